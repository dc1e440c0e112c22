/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - rows of cells, for people on a terminal and for programs elsewhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

/*
 * Rows of cells. On a terminal aligned, under a heading; else separated by tabs, without one, so
 * that `cut` works. An empty cell is "-".
 *
 * On a terminal times are shown to the second, and a table that is too wide gets narrower where a
 * heading begins with TABLE_MAY_CUT (which is not shown): conditions, labels, never what names a
 * thing, so that it can be copied. Where that is not enough the terminal wraps the line.
 */
#define TABLE_MAY_CUT '~'
struct table;
struct table *
table_new(const char *const *headings); /* NULL-terminated, borrowed; NULL without memory */
void table_free(struct table *t);
void table_free_ptr(struct table **t);
/* As many cells as there are headings; copied and escaped. NULL is an empty cell. 0 or -ENOMEM. */
int table_add(struct table *t, const char *const *cells);
void table_print(const struct table *t, FILE *out, bool aligned);
void table_print_within(const struct table *t, FILE *out, size_t columns); /* aligned */
