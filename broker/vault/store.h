/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the small interface behind which sealed records are kept.
 *
 * A backend holds opaque records: a key (STORE_KEY_LEN bytes: one class byte and a keyed hash) and
 * a value (ciphertext). It learns sizes, times and how many of each class there are, nothing else.
 * Everything between store_begin and store_commit is one transaction: durable when store_commit
 * returns 0, and all or nothing. A replicated engine can stand behind the same calls.
 *
 * Errors: -ENOSPC (disk full), -EROFS, -EIO (a failed sync is final: the store refuses everything
 * afterwards, since what is on disk is unknown), -EBADMSG (the file is not a store, or torn),
 * -EWOULDBLOCK (another broker holds it), -EAGAIN (compare-and-set: the record is not what was
 * expected).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"

#define STORE_KEY_LEN 33
#define STORE_VALUE_MAX (2 * 1024 * 1024) /* a value of 1 MiB, its keys, tags and metadata */

enum store_class {
	STORE_HEADER = 0, /* one record in clear: format, store id, unseal slots */
	STORE_ROOT = 1,   /* one record: epoch and Merkle root, MACed */
	STORE_DOC = 2,    /* small sealed documents: one for each secret, one for each grant */
	STORE_BODY = 3,   /* sealed values: one for each version */
};

struct store;

struct store_copy;

struct store_bytes {
	const void *bytes;
	size_t len;
};

/* Called for each record of a class; the bytes are borrowed for the call. Non-zero ends the scan
 * and is returned. */
typedef int (*store_visit)(void *arg, const unsigned char key[STORE_KEY_LEN],
                           struct store_bytes value);

struct store_backend {
	int (*begin)(struct store *s, struct err *e);
	int (*commit)(struct store *s, struct err *e);
	void (*rollback)(struct store *s);
	/* 1 and an allocated copy, 0 if there is none, or -errno. Caller frees. */
	int (*get)(struct store *s, const unsigned char key[STORE_KEY_LEN], void **ret,
	           size_t *ret_len, struct err *e);
	/* `expected` NULL: whatever was there; bytes NULL: must be absent; else must equal (-EAGAIN
	 * if not). */
	int (*put)(struct store *s, const unsigned char key[STORE_KEY_LEN],
	           struct store_bytes value, const struct store_bytes *expected, struct err *e);
	int (*remove)(struct store *s, const unsigned char key[STORE_KEY_LEN], struct err *e);
	int (*scan)(struct store *s, enum store_class class, store_visit visit, void *arg,
	            struct err *e);
	/* Changed by another host since the last call? A local backend answers 0. */
	int (*watch)(struct store *s);
	/* Begin a copy of everything (below); NULL: this kind of store makes none. */
	int (*copy)(struct store *s, struct store_copy **ret, struct err *e);
	void (*close)(struct store *s);
};

struct store {
	const struct store_backend *backend;
};

/* SQLite (WAL, synchronous=FULL) in the folder `dirfd`; creates store.db if absent. Locked against
 * a second broker. */
int store_sqlite_open(int dirfd, const char *dir_for_messages, struct store **ret, struct err *e);
void store_close(struct store *s); /* NULL is fine */

/*
 * A copy of the whole store in a file of its own, made in steps of some milliseconds while the store
 * is used: what is changed meanwhile is in it, so that it is the store as it stands when a step
 * returns 0. The file lies in the store's folder without a name, so that nothing is left of it when
 * its last descriptor is closed. End every copy before its store is closed.
 *
 * store_copy_step: 1 there is more to do, 0 whole, -ENOSPC, -EBUSY (the store changes faster than it
 * is copied), -EIO. *ret_done and *ret_total count bytes. store_copy_take: once whole, a read-only
 * descriptor, the caller's.
 */
int store_copy_begin(struct store *s, struct store_copy **ret, struct err *e);
int store_copy_step(struct store_copy *c, uint64_t *ret_done, uint64_t *ret_total, struct err *e);
int store_copy_take(struct store_copy *c);
void store_copy_free(struct store_copy *c); /* NULL is fine */

/*
 * Such a copy, opened to be looked at only: from memory that the caller keeps until store_close, or
 * as the file `name` of a folder, which nobody may change meanwhile. -EBADMSG, -EPROTONOSUPPORT as
 * store_sqlite_open. store_sqlite_check: SQLite finds nothing wrong with its structure, and every
 * record has the shape of one (-EBADMSG); reads all of it.
 */
int store_sqlite_open_image(unsigned char *bytes, size_t len, struct store **ret, struct err *e);
int store_sqlite_open_copy(int dirfd, const char *name, struct store **ret, struct err *e);
int store_sqlite_check(struct store *s, struct err *e);

/*
 * Put such a file `name` of the folder in the place of the store, which is closed and was never
 * initialised. Killed at any moment it leaves the one or the other, whole.
 */
int store_sqlite_install(int dirfd, const char *dir_for_messages, const char *name, struct err *e);
