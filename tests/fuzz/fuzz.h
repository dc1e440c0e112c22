/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h - what every target shares. A target is one function that takes any bytes, gives them to a
 * parser, and holds what comes out against what the parser's header promises. It returns 0 always;
 * a broken promise aborts.
 *
 * The same target is linked with libFuzzer, or with replay.c, which runs it over its corpus.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert, never compiled out, and not for what only the host may lack (memory). */
#define MUST(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

_Noreturn static inline void fuzz_fail(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, condition);
	abort();
}

/* The input as text, up to its first NUL, in a block that ends with the text: caller frees. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	size_t len = size ? strnlen((const char *)data, size) : 0;
	char *text = malloc(len + 1);

	MUST(text);
	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

/* Printable ASCII: fit for a terminal and for one line of a log. */
static inline bool fuzz_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* What a refusal leaves behind: a sentence that carries nothing of the input unescaped. */
static inline void fuzz_refused(int result, const struct err *e)
{
	MUST(result < 0);
	MUST(memchr(e->text, '\0', sizeof(e->text)));
	MUST(*e->text && fuzz_printable(e->text));
}

/* Reads the input piece by piece; zeros behind its end. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

/* At most `len` bytes; *ret_len: how many there were. Not NULL. */
static inline const uint8_t *fuzz_take(struct fuzz_input *in, size_t len, size_t *ret_len)
{
	static const uint8_t none;
	const uint8_t *at = in->left ? in->at : &none;

	*ret_len = len < in->left ? len : in->left;
	if (*ret_len > 0)
		in->at += *ret_len;
	in->left -= *ret_len;
	return at;
}

/* A little-endian number of `width` bytes, at most 8. */
static inline uint64_t fuzz_number(struct fuzz_input *in, size_t width)
{
	size_t len;
	const uint8_t *at = fuzz_take(in, width, &len);
	uint64_t number = 0;

	for (size_t i = 0; i < len; i++)
		number |= (uint64_t)at[i] << (8 * i);
	return number;
}
