/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed.h - a program in memory that nobody can change any more, to be run instead of its file.
 *
 * A process that is in a container's pid namespace can be named there by /proc/PID/exe, and with some rights that
 * name can be opened to be written, then or later: the file that it leads to must not be the host's.
 */
#pragma once

#include <stddef.h>

#include "coffer/err.h"

/* A close-on-exec descriptor of a copy of the program at `path`, with every seal, or -errno with a sentence. */
int sealed_program(const char *path, struct err *e);

/*
 * In a child that is to run `program` (which sealed_program gave): fds[i] becomes descriptor 3 + i (free
 * where it is -1), the program's follows, and everything above is closed. 0 or -errno.
 */
#define SEALED_FDS_MAX 16
int sealed_arrange(int program, const int *fds, size_t count);

/* Then run it, with an empty environment. Returns only on failure: -errno. */
int sealed_exec(size_t count, char *const argv[]);
