/* SPDX-License-Identifier: Apache-2.0 */
/* grant_text.h - a grant's JSON as text for people. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* "container=web label:app=payments"; the caller frees. NULL without memory. */
char *grant_conditions_text(const json_t *grant);

/* "tag,weak". Returns `text`. */
const char *grant_leaves_text(const json_t *grant, char *text, size_t size);

/* Name, conditions, and whatever else it says: one line. The caller frees. NULL without memory. */
char *grant_line(const json_t *grant);
