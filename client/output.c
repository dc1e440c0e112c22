/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"

#define ESCAPED_BYTE 4 /* \xHH */
#define COLUMN_GAP 2
#define FACT_COLUMN 14
#define LINE_MAX_BYTES 2048 /* one line on stderr: an error's text and what stands around it */

struct table {
	const char *const *heading;
	size_t columns, rows, room;
	size_t width[TABLE_COLUMNS_MAX];
	char **cell; /* rows * columns, owned */
};

static char *escaped(const char *text)
{
	size_t len = strlen(text), size = len * ESCAPED_BYTE + 1;
	char *copy = malloc(size);

	if (copy)
		name_escape(text, len, copy, size);
	return copy;
}

struct table *table_new(const char *const *headings)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->heading = headings;
	while (headings[t->columns]) {
		assert(t->columns < TABLE_COLUMNS_MAX);
		t->width[t->columns] = strlen(headings[t->columns]);
		t->columns++;
	}
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cell[i]);
	free(t->cell);
	free(t);
}

void table_free_ptr(struct table **t)
{
	table_free(*t);
	*t = NULL;
}

static int grow(struct table *t)
{
	size_t room = t->room ? t->room * 2 : 16;
	char **cell = NULL;

	if (t->rows < t->room)
		return 0;
	cell = reallocarray(t->cell, room, t->columns * sizeof(*cell));
	if (!cell)
		return -ENOMEM;
	t->cell = cell;
	t->room = room;
	return 0;
}

int table_add(struct table *t, const char *const *cells)
{
	char **row = NULL;

	if (grow(t) < 0)
		return -ENOMEM;
	row = t->cell + t->rows * t->columns;
	for (size_t i = 0; i < t->columns; i++) {
		row[i] = escaped(cells[i] && cells[i][0] ? cells[i] : "-");
		if (!row[i]) {
			while (i-- > 0)
				free(row[i]);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < t->columns; i++)
		if (strlen(row[i]) > t->width[i])
			t->width[i] = strlen(row[i]);
	t->rows++;
	return 0;
}

/* No spaces behind the last cell of a line. */
static void print_aligned(const struct table *t, FILE *out, const char *const *row)
{
	for (size_t i = 0; i < t->columns; i++) {
		bool last = i + 1 == t->columns;

		fprintf(out, "%-*s%*s", last ? 0 : (int)t->width[i], row[i], last ? 0 : COLUMN_GAP,
		        "");
	}
	fputc('\n', out);
}

void table_print(const struct table *t, FILE *out, bool aligned)
{
	if (aligned)
		print_aligned(t, out, t->heading);
	for (size_t i = 0; i < t->rows; i++) {
		const char *const *row = (const char *const *)(t->cell + i * t->columns);

		if (aligned) {
			print_aligned(t, out, row);
			continue;
		}
		for (size_t j = 0; j < t->columns; j++)
			fprintf(out, "%s%c", row[j], j + 1 < t->columns ? '\t' : '\n');
	}
}

void output_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		char shown[ESCAPED_BYTE + 1];

		fputs(name_escape(text, 1, shown, sizeof(shown)), out);
	}
}

void output_fact(FILE *out, int indent, const char *label, const char *text)
{
	fprintf(out, "%*s%-*s ", indent, "", FACT_COLUMN - indent, label);
	output_text(out, text && text[0] ? text : "-");
	fputc('\n', out);
}

void output_names(const json_t *names, char *buffer, size_t size)
{
	char shown[NAME_LEN_MAX + 1];
	size_t used = 0, i = 0;
	json_t *name = NULL;

	buffer[0] = '\0';
	json_array_foreach (names, i, name) {
		const char *text = json_is_string(name) ? json_string_value(name) : "?";
		int n = snprintf(buffer + used, size - used, "%s%s", i ? ", " : "",
		                 name_escape(text, strlen(text), shown, sizeof(shown)));

		if (n < 0 || (size_t)n >= size - used) {
			snprintf(buffer + used, size - used, "%s", "...");
			return;
		}
		used += (size_t)n;
	}
}

int output_json(const json_t *value, struct err *e)
{
	SCOPED(json_text_ptr) char *text = json_text(value);

	if (!text)
		return err_errno(e, -ENOMEM, "cannot print the answer");
	puts(text);
	return 0;
}

/* Names inside were escaped where they were put in; this only guards that a line stays one line. */
__attribute__((format(printf, 2, 0))) static void print_line(const char *kind, const char *format,
                                                             va_list args)
{
	char line[LINE_MAX_BYTES];

	if (vsnprintf(line, sizeof(line), format, args) < 0)
		return;
	for (char *p = line; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	fprintf(stderr, "coffer: %s%s\n", kind, line);
}

void output_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("", format, args);
	va_end(args);
}

void output_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("warning: ", format, args);
	va_end(args);
}

void output_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("note: ", format, args);
	va_end(args);
}
