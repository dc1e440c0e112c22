/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.h - help texts, printed from the table of verbs.
 */
#pragma once

#include <stdio.h>

#include "client.h"

/* The commands by topic, a line for each topic; and all of them, a line for each. */
void help_print_overview(FILE *out);
void help_print_all(FILE *out);
void help_print_verb(FILE *out, const struct verb *verb);

/*
 * CLIENT_USAGE, with a sentence that says which command is nearest to the first word, or where that
 * is a command to the first two.
 */
int help_no_such_verb(size_t words, char **word, struct err *e);

/* The command of two words that these two are nearest to ("audit verifi"), or NULL. */
const char *help_nearest_pair(const char *first, const char *second);
