/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest.h - which of some words was meant by a mistyped one. Pure.
 */
#pragma once

#include <stddef.h>

#define NEAREST_WORD_MAX 32 /* a longer word is no command and no option of ours */

/*
 * Goes on from word to word of a table:
 *
 *	struct nearest n = { .typed = word, .len = strlen(word) };
 *	for each word of the table
 *		nearest_look(&n, known);
 *	n.found                  the nearest, or NULL
 *
 * Near is what has been begun ("sta" of "status"), or what two slips make of it: a letter too many, too few, wrong, or two that changed places; one slip for words of
 * five letters and less.
 */
struct nearest {
	const char *typed; /* borrowed; `len` bytes of it */
	size_t len;
	const char *found; /* borrowed from the table */
	unsigned slips;    /* between typed and found */
};

void nearest_look(struct nearest *n, const char *known);
