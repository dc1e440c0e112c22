/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.h - where values, passphrases and keys come from: pipes, files, terminals; never the
 * command line.
 */
#pragma once

#include <stdbool.h>

#include "coffer/err.h"
#include "coffer/secret.h"

/* A value from a file, raw. -EFBIG above SECRET_VALUE_MAX, -EISDIR, -errno. */
int input_value_file(const char *path, struct secret **ret, struct err *e);

/*
 * From standard input: a terminal is asked twice, anything else is read raw to its end. `name` is
 * for the question.
 */
int input_value_stdin(const char *name, struct secret **ret, struct err *e);

/*
 * A passphrase from a file (one line feed at its end is not part of it), or, with `path` NULL,
 * from a terminal, asked twice if it is a new one.
 */
int input_passphrase(const char *path, bool is_new, struct secret **ret, struct err *e);

/*
 * A keyfile's content, KEYS_CONTENT_MAX bytes at most. Must be a regular file; one that others
 * may read or own is warned of on stderr. -ENOENT if there is none.
 */
int input_keyfile(const char *path, struct secret **ret, struct err *e);

/*
 * Make a keyfile: 32 random bytes as 64 hex digits and a line feed, mode 0400. Durable before it
 * returns, and never in place of a file that is there (-EEXIST).
 */
int input_make_keyfile(const char *path, struct secret **ret, struct err *e);
