/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete.h - what completion knows of the table of verbs; for the test that it knows all of it.
 */
#pragma once

#include "client.h"

#define COMPLETE_TOKEN_MAX 64 /* of a synopsis */

/* Whether values for what stands there ("FILE") have a source, if only that there are none. */
bool complete_knows(const char *placeholder);

/*
 * The next of a verb's synopsis that stands for an argument, "NAME" of "[NAME]..."; options and
 * their values are passed over. Begin with `*synopsis` at its start. False: there is none.
 */
bool complete_next_word(const struct verb *verb, const char **synopsis,
                        char token[COMPLETE_TOKEN_MAX]);
