/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name.h - what a secret's name, a grant's pattern and a path below the mount may look like. Pure.
 *
 * A name: segments joined by '/', each `[a-z0-9][a-z0-9._-]*`, at most 255 bytes and 8 segments in
 * all. (So no segment is "." or "..", and none is empty.) A prefix is a name followed by one '/'.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "coffer/err.h"

#define NAME_LEN_MAX 255    /* what a file name may have on every Linux file system */
#define NAME_SEGMENTS_MAX 8 /* deeper trees help nobody and bound our recursion */

/* 0, or -EINVAL with a sentence that shows the (escaped) name and the rule it breaks. */
int name_check(const char *name, struct err *e);
int name_check_prefix(const char *prefix, struct err *e); /* "tls/" */

/* A path below the mount, as --as takes it: the same rules as a name. */
int name_check_path(const char *path, struct err *e);

/* The part behind the last '/', inside `name`. */
const char *name_last_segment(const char *name);

/* Whether `name` lies under `prefix` (which ends in '/'). */
bool name_has_prefix(const char *name, const char *prefix);

/*
 * `text` made safe for a terminal and a log line: printable ASCII as it is, everything else
 * (control bytes, ESC, CR, LF, DEL, non-ASCII, backslash) as \xHH. Cut with "..." to fit `size`.
 * Returns `buffer`.
 */
const char *name_escape(const char *text, size_t len, char *buffer, size_t size);
