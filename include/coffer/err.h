/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - one sentence for people, in memory the caller owns.
 *
 * Functions of this project return 0 or a count, or a negative errno: the number a program may act
 * on. The text beside it says what failed, why, and what to do. It is a fixed array, so that
 * reporting an error never allocates, and it never holds bytes of a secret. NULL is allowed
 * wherever a `struct err *` is taken.
 */
#pragma once

#define ERR_TEXT_MAX 512 /* one sentence with a path and a hint; longer text is cut */

struct err {
	char text[ERR_TEXT_MAX];
};

/*
 * Set the text and return `code` (a negative errno, or 0 for a text that is no error), so that
 * `return err_set(e, -EINVAL, "...")` reads well.
 */
int err_set(struct err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put context in front of what is there: "cannot open the store" + ": " + old text. Returns `code`. */
int err_prefix(struct err *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and the errno's own text behind. `code` is a negative errno. */
int err_errno(struct err *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
