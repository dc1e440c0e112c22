/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder.h - the files below a folder that are to become secrets, each named by where it lies.
 *
 * Looked through before anything is read, so that everything that stands in the way is said at once.
 * Nothing outside of the folder is ever opened: links are resolved beneath it (openat2(2)), also
 * while somebody else moves things about in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "coffer/err.h"

#define FOLDER_FILES_MAX 10000 /* some 80 transactions */

struct folder_file {
	char *path; /* below the folder */
	char *name; /* of the secret */
	size_t size;
};

struct folder {
	int fd;
	struct folder_file *file; /* ordered by name */
	size_t files, room;
	size_t refused; /* entries that cannot be secrets */
};

enum folder_remark {
	FOLDER_SKIPPED, /* hidden, or an editor's backup: left out */
	FOLDER_REFUSED, /* no regular file, out of the folder, no name for a secret, too large */
	FOLDER_EXPOSED, /* every user of the host can read it */
};
typedef void (*folder_say)(void *arg, enum folder_remark remark, const char *sentence);

/*
 * Look through `path`. A file's name is `prefix` ("" or one that ends in '/') and its path. *ret is
 * the caller's to clear, also on failure. -ENOENT, -ENOTDIR, -EACCES: with a sentence; -E2BIG above
 * FOLDER_FILES_MAX. Refused entries are no failure here.
 */
int folder_scan(const char *path, const char *prefix, folder_say say, void *arg, struct folder *ret,
                struct err *e);
void folder_clear(struct folder *f);

/* The file, opened for reading: a descriptor, or -errno with a sentence. */
int folder_open(const struct folder *f, size_t i, struct err *e);
