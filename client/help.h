/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.h - help texts, printed from the table of verbs.
 */
#pragma once

#include <stdio.h>

#include "client.h"

void help_print_all(FILE *out);
void help_print_verb(FILE *out, const struct verb *verb);
