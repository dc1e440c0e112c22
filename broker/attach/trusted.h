/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trusted.h - files of engines on the host, and whether only root could have written them.
 *
 * A path is trusted if every folder on the way and the thing itself belong to root and nobody else
 * may write there. (A sticky folder such as /tmp may lie on the way: in it nobody can replace what
 * is root's.) Symbolic links on the way are resolved first, then the real path is walked without
 * any, so that what was checked is what is opened.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "attach/oci.h"
#include "coffer/err.h"

struct trusted_folder {
	int fd;                     /* O_PATH; owned by the caller */
	bool by_root;               /* false: it is, or may be, in a user's hands */
	char path[ATTACH_TEXT_MAX]; /* the real one */
};

/* Open the folder `path` (absolute). 0 or -errno with a sentence. */
int trusted_open(const char *path, struct trusted_folder *ret, struct err *e);

/*
 * A regular file of a folder, for reading. *by_root as trusted_read. Its descriptor, or -errno with a
 * sentence.
 */
int trusted_open_file(int folder, const char *name, size_t *ret_size, bool *by_root, struct err *e);

/*
 * A regular file of at most OCI_FILE_MAX bytes in a folder; NUL behind it, the caller frees.
 * *by_root is cleared if the file is not root's alone, else left as it is.
 */
int trusted_read(int folder, const char *name, char **ret, size_t *ret_len, bool *by_root,
                 struct err *e);
