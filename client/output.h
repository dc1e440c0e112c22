/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - what people and scripts read from us. Whatever a name, path or reason holds, only
 * printable ASCII reaches the terminal (name_escape).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "coffer/err.h"

#define TABLE_COLUMNS_MAX 12

/*
 * Rows of cells. On a terminal aligned, under a heading; else separated by tabs, without one, so
 * that `cut` works. An empty cell is "-".
 */
struct table;
struct table *
table_new(const char *const *headings); /* NULL-terminated, borrowed; NULL without memory */
void table_free(struct table *t);
void table_free_ptr(struct table **t);
/* As many cells as there are headings; copied and escaped. NULL is an empty cell. 0 or -ENOMEM. */
int table_add(struct table *t, const char *const *cells);
void table_print(const struct table *t, FILE *out, bool aligned);

/* The whole text, escaped, without cutting it. */
void output_text(FILE *out, const char *text);

/* "label      text": one line of a listing of facts, indented by `indent` columns. "" is "-". */
void output_fact(FILE *out, int indent, const char *label, const char *text);

/* "runc/web, docker/db" of a list of texts, escaped, and cut with "..." to fit. */
void output_names(const json_t *names, char *buffer, size_t size);

/* A JSON value on one line. 0 or -ENOMEM. */
int output_json(const json_t *value, struct err *e);

/* "coffer: …" on stderr, one line whatever the arguments hold. */
void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "coffer: warning: …" and "coffer: note: …" likewise. */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void output_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
