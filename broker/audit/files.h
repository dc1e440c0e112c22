/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - the files of the audit log: which there are, appending, rotating, pruning. Private to
 * audit/.
 *
 *	audit/log.jsonl               being written
 *	audit/log-000000000042.jsonl  an older one; the number is that of its first line
 *
 * Knows lines and their numbers, nothing of heads and signatures.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "audit/audit.h"
#include "coffer/chain.h"

#define FILES_CURRENT "log.jsonl"
/* older files we look at; ours are AUDIT_FILES_MAX, more were put there */
#define FILES_OLD_MAX 256

struct files {
	int dir; /* borrowed */
	int fd;  /* the current file, -1 while it is broken */
	dev_t dev;
	ino_t ino;
	uint64_t size;               /* of it, as synced: what is beyond was never acknowledged */
	uint64_t first;              /* number of its first line, 0 while it is empty */
	uint64_t old[FILES_OLD_MAX]; /* first lines of older files, ascending */
	size_t old_count;
};

/* Find the older files, and remove temporary ones that a crash left. 0 or -errno. */
int files_list(struct files *files);

/* Open or make the current file; sets fd, dev, ino; size is what it is on disk. */
int files_open_current(struct files *files);

/* Cut the current file to `size`. */
int files_cut(struct files *files, uint64_t size);

/*
 * Whether the current file still is the one at its path, with the size we left it at: -ESTALE if
 * somebody else wrote, cut, replaced or removed it.
 */
int files_check(const struct files *files);

/* Append `len` bytes of whole lines, the first of them numbered `first`, and sync. On failure
 * nothing counts. */
int files_append(struct files *files, const char *lines, size_t len, uint64_t first);

/* The current file becomes an older one and an empty one takes its place. */
int files_rotate(struct files *files);

/* Remove older files that hold only lines before `oldest`. Failures are left for the next time. */
void files_prune(struct files *files, uint64_t oldest);

/* The name of the i-th file, oldest first; i == old_count is the current one. */
void files_name(const struct files *files, size_t i, char name[64]);

/* The last line of the i-th file, as it claims to be. -ENOENT if there is none. */
int files_last_line(const struct files *files, size_t i, uint64_t *ret_seq,
                    uint8_t ret_hash[CHAIN_HASH_LEN]);
