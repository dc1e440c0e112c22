/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - long options by table, words between them kept in order. Pure.
 *
 *	coffer [common option]… VERB [own or common option | WORD]…
 *
 * `--name VALUE` and `--name=VALUE` are the same, `--` ends the options, `-h` is `--help`. Tables
 * end with a row without a name. Values are borrowed from argv, which is not copied: options_rest
 * moves the words of argv together to its front.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"

#define OPTIONS_GIVEN_MAX 64 /* more options than that on one line are a mistake */

struct option_row {
	const char *name;     /* without its dashes */
	const char *argument; /* what stands for its value in the help; NULL: it takes none */
	bool repeats;
	const char *help;
	const char *values; /* separated by spaces: all it may be, or what is often meant; NULL */
};

struct option_given {
	const struct option_row *row;
	const char *value; /* "" for an option that takes none */
};

struct options {
	const struct option_row *common, *own; /* own may be NULL */
	struct option_given given[OPTIONS_GIVEN_MAX];
	size_t ngiven;
	char **word;
	size_t words;
};

/* The row of a name of `len` bytes, or NULL. The table may be NULL. */
const struct option_row *options_find(const struct option_row *table, const char *name, size_t len);

void options_begin(struct options *o, const struct option_row *common);

/*
 * Take common options up to the first word. Returns how many elements of argv that took, or
 * -EINVAL.
 */
int options_leading(struct options *o, int argc, char **argv, struct err *e);

/*
 * Take all of argv: own and common options, and words. 0 or -EINVAL with a sentence that shows no
 * value, and says which option is nearest to one that is not there.
 */
int options_rest(struct options *o, const struct option_row *own, int argc, char **argv,
                 struct err *e);

/*
 * Whether an option was given; its n-th value (from 0), or NULL. A name outside of the tables is
 * our bug.
 */
bool options_has(const struct options *o, const char *name);
const char *options_text(const struct options *o, const char *name, size_t n);

/*
 * A decimal number of the option: 1 and *ret if it was given, 0 if not, -EINVAL naming it and the
 * range.
 */
int options_number(const struct options *o, const char *name, int64_t min, int64_t max,
                   int64_t *ret, struct err *e);
