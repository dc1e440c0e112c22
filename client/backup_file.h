/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup_file.h - the file of a backup: a tar archive (ustar, POSIX.1-1988) of four members in this
 * order, so that `tar tf` and `sha256sum -c` are at home in it.
 *
 *	coffer-backup/about.json   format, store_id, epoch, created, version
 *	coffer-backup/head.json    the audit log's head of that moment, as docs/audit.md has it
 *	coffer-backup/store.db     the store, sealed as it was (docs/store-format.md)
 *	coffer-backup/SHA256SUMS   of the three before it, as sha256sum prints them
 *
 * and two blocks of zeros. Nothing else may be in it, and nothing behind it: so a file that was cut,
 * changed or went on is found without a key. Whoever changes it and makes the sums anew is found
 * with one.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "coffer/chain.h"
#include "coffer/err.h"
#include "progress.h"

#define BACKUP_FORMAT 1
#define BACKUP_ABOUT_MAX 4096
#define BACKUP_STORE_MAX 077777777777ULL /* what a header of tar can say: 8 GiB */

struct backup_file {
	int fd;                             /* borrowed */
	uint64_t store_offset, store_size;  /* where store.db lies in it */
	json_t *about;                      /* owned */
	char head_text[CHAIN_HEAD_MAX + 1]; /* "" if there was none */
};

/*
 * Write all of it to an empty file. `about` without its format, which is added; `store` is read from
 * its start, `size` bytes. -ENOSPC and others of write(2); -EFBIG; -EBADMSG the store is shorter.
 */
int backup_file_write(int fd, json_t *about, const char *head, int store, uint64_t size,
                      struct progress *p, struct err *e);

/*
 * Check a whole file, sums included. -EBADMSG with a sentence that says what is wrong,
 * -EPROTONOSUPPORT another format. Clear *ret in any case.
 */
int backup_file_read(int fd, struct backup_file *ret, struct progress *p, struct err *e);
void backup_file_clear(struct backup_file *f);
