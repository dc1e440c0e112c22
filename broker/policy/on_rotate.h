/* SPDX-License-Identifier: Apache-2.0 */
/*
 * on_rotate.h - what a grant asks for when a version of its files replaces another. Pure.
 *
 *	signal:HUP                      to the container's first process
 *	exec:/usr/sbin/nginx -s reload  run inside the container, without a shell
 *
 * A signal is one of those that programs use to be told something, with or without "SIG", in any
 * case; not KILL and not what stops a process. A command is split at spaces into words and is not
 * interpreted further; its first word is an absolute path.
 */
#pragma once

#include "coffer/err.h"

#define ON_ROTATE_TEXT_MAX 1024 /* bytes of the whole text */
#define ON_ROTATE_WORDS_MAX 32

struct on_rotate {
	int signal;                          /* 0: a command */
	char *word[ON_ROTATE_WORDS_MAX + 1]; /* of a command, into `text`; NULL-terminated */
	unsigned int words;
	char text[ON_ROTATE_TEXT_MAX + 1];
};

/* -EINVAL with a sentence. *ret refers to itself: it is not to be copied. */
int on_rotate_parse(const char *text, struct on_rotate *ret, struct err *e);

/* "HUP" of SIGHUP, for one that on_rotate_parse gave. */
const char *on_rotate_signal_name(int signal);

/* The text as it is kept and shown ("sighup" becomes "signal:HUP"; one space between words). */
#define ON_ROTATE_SHOWN_MAX (ON_ROTATE_TEXT_MAX + sizeof("signal:"))
const char *on_rotate_format(const struct on_rotate *o, char buffer[ON_ROTATE_SHOWN_MAX]);
