/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/name.h"
#include "output.h"
#include "terminal.h"

#define ESCAPED_BYTE 4 /* \xHH */
#define COLUMN_GAP 2
#define CUT_TO 8 /* columns that a cell keeps at least when it is cut */
#define CUT_MARK "..."

/* "2026-01-02T03:04:05.000000Z": what is shown of it on a terminal, and where its fraction is. */
#define TIME_LEN 27
#define TIME_DOT 19

struct table {
	const char *const *heading;
	size_t columns, rows, room;
	char **cell; /* rows * columns, owned */
};

static bool may_cut(const struct table *t, size_t column)
{
	return t->heading[column][0] == TABLE_MAY_CUT;
}

static const char *heading(const struct table *t, size_t column)
{
	return t->heading[column] + may_cut(t, column);
}

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
	t->rows++;
	return 0;
}

static bool is_time(const char *cell)
{
	return strlen(cell) == TIME_LEN && cell[4] == '-' && cell[10] == 'T' &&
	       cell[TIME_DOT] == '.' && cell[TIME_LEN - 1] == 'Z';
}

/* What a terminal shows of a cell: how many bytes of it, and what behind them. */
struct shown {
	size_t len;
	const char *behind;
};

static struct shown shown_of(const char *cell, size_t width)
{
	size_t len = strlen(cell);

	if (is_time(cell))
		return (struct shown){ TIME_DOT, "Z" };
	if (len > width)
		return (struct shown){ width - strlen(CUT_MARK), CUT_MARK };
	return (struct shown){ len, "" };
}

static void measure(const struct table *t, size_t width[TABLE_COLUMNS_MAX])
{
	for (size_t i = 0; i < t->columns; i++)
		width[i] = strlen(heading(t, i));
	for (size_t i = 0; i < t->rows * t->columns; i++) {
		struct shown shown = shown_of(t->cell[i], SIZE_MAX);
		size_t len = shown.len + strlen(shown.behind);

		if (len > width[i % t->columns])
			width[i % t->columns] = len;
	}
}

/* Take from the widest that may be cut until the lines fit, or nothing is left to take. */
static void fit(const struct table *t, size_t columns, size_t width[TABLE_COLUMNS_MAX])
{
	for (;;) {
		size_t sum = (t->columns - 1) * COLUMN_GAP, widest = t->columns;

		for (size_t i = 0; i < t->columns; i++) {
			size_t least = strlen(heading(t, i));

			sum += width[i];
			if (may_cut(t, i) && width[i] > (least > CUT_TO ? least : CUT_TO) &&
			    (widest == t->columns || width[i] > width[widest]))
				widest = i;
		}
		if (sum <= columns || widest == t->columns)
			return;
		width[widest]--;
	}
}

/* No spaces behind the last cell of a line. */
static void print_gap(const struct table *t, FILE *out, size_t column, size_t len, size_t width)
{
	if (column + 1 < t->columns)
		fprintf(out, "%*s", (int)(width > len ? width - len : 0) + COLUMN_GAP, "");
	else
		fputc('\n', out);
}

static bool tells_a_state(const struct table *t, size_t column)
{
	const char *name = heading(t, column);

	return strcmp(name, "STATE") == 0 || strcmp(name, "EXPIRES") == 0;
}

static void print_row(const struct table *t, FILE *out, char *const *row, const size_t *width)
{
	for (size_t i = 0; i < t->columns; i++) {
		struct shown shown = shown_of(row[i], width[i]);

		if (tells_a_state(t, i) && !*shown.behind)
			output_toned(out, output_tone_of(row[i]), row[i]);
		else
			fprintf(out, "%.*s%s", (int)shown.len, row[i], shown.behind);
		print_gap(t, out, i, shown.len + strlen(shown.behind), width[i]);
	}
}

void table_print_within(const struct table *t, FILE *out, size_t columns)
{
	size_t width[TABLE_COLUMNS_MAX];

	measure(t, width);
	fit(t, columns, width);
	for (size_t i = 0; i < t->columns; i++) {
		output_toned(out, TONE_HEADING, heading(t, i));
		print_gap(t, out, i, strlen(heading(t, i)), width[i]);
	}
	for (size_t i = 0; i < t->rows; i++)
		print_row(t, out, t->cell + i * t->columns, width);
}

void table_print(const struct table *t, FILE *out, bool aligned)
{
	int fd = fileno(out);

	if (aligned) {
		table_print_within(t, out, terminal_is(fd) ? terminal_columns(fd) : SIZE_MAX);
		return;
	}
	for (size_t i = 0; i < t->rows * t->columns; i++)
		fprintf(out, "%s%c", t->cell[i], (i + 1) % t->columns ? '\t' : '\n');
}
