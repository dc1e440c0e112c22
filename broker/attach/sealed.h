/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed.h - a program in memory that nobody can change any more, to be run instead of its file.
 *
 * A process that is in a container can be named there by /proc/PID/exe, and with some rights that
 * name can be opened to be written, then or later: the file that it leads to must not be the host's.
 */
#pragma once

#include "coffer/err.h"

/* A close-on-exec descriptor of a copy of the program at `path`, with every seal, or -errno with a sentence. */
int sealed_program(const char *path, struct err *e);
