/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bolt.h - reads the key-value files of bbolt (go.etcd.io/bbolt), in which Podman up to 4.x and containerd
 * keep what they know. Pure and read-only: the bytes of one whole file in, keys and values out
 * (bolt_file.h reads the file).
 *
 * The format is that of bbolt's page.go, bucket.go and db.go, version 2: pages of one size, numbers in the
 * byte order of the host.
 *
 *   page 0, 1    two copies of the meta page; the valid one with the higher transaction id counts
 *   every page   id 8 | flags 2 | count 2 | overflow 4 | `count` elements of 16 bytes | keys and values
 *   branch       pos 4 | key size 4 | page id 8             ascending; each key is the first of its page
 *   leaf         flags 4 | pos 4 | key size 4 | value size 4      ascending; pos counts from the element
 *   meta         magic 4 | version 4 | page size 4 | flags 4 | root bucket 16 | free list 8 | pages 8 |
 *                transaction id 8 | FNV-1a 64 of what stands before it 8
 *   bucket       a leaf's value with flag 1: root page id 8 | sequence 8, and if that id is 0 the bucket's
 *                only page, a leaf, follows (it is "inline")
 *
 * Nothing in a file is believed: every page id, count, position and length is checked against what is there,
 * a search goes at most BOLT_DEPTH_MAX pages deep, and a walk visits no more pages than the file has.
 *
 * Errors: -EBADMSG with a sentence. On failure the output is untouched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"

#define BOLT_FILE_MAX (64 * 1024 * 1024) /* of hosts with thousands of containers: some MiB */
#define BOLT_DEPTH_MAX 16 /* pages of 1 KiB with two keys each reach it with 65,536 leaves */

/* A file. Borrows its bytes. */
struct bolt {
	const unsigned char *bytes;
	size_t len;
	uint32_t page_size;
	uint64_t pages; /* that are in use and in the file */
	uint64_t root, txid;
};

int bolt_open(const void *bytes, size_t len, struct bolt *ret, struct err *e);

/* Plain data, valid as long as its file. */
struct bolt_bucket {
	const struct bolt *db;
	uint64_t page;               /* 0: inline */
	const unsigned char *inside; /* the inline page */
	size_t inside_len;
};

struct bolt_bytes {
	const unsigned char *at;
	size_t len;
};

struct bolt_bucket bolt_root(const struct bolt *db);

/* A bucket, or a value that is none, under a key. 1, 0 if there is none of that kind, or -EBADMSG. */
int bolt_bucket(const struct bolt_bucket *in, const void *key, size_t key_len,
                struct bolt_bucket *ret, struct err *e);
int bolt_value(const struct bolt_bucket *in, const void *key, size_t key_len,
               struct bolt_bytes *ret, struct err *e);

/*
 * A value below buckets: `path` is NULL-terminated, the last name is the value's key. As bolt_value.
 */
int bolt_get(const struct bolt *db, const char *const *path, struct bolt_bytes *ret, struct err *e);

/*
 * Every entry of a bucket, in the order of the file. `bucket` is NULL for a value. What `visit` returns other
 * than 0 ends the walk and is returned.
 */
typedef int (*bolt_visit)(void *arg, struct bolt_bytes key, struct bolt_bytes value,
                          const struct bolt_bucket *bucket);
int bolt_each(const struct bolt_bucket *in, bolt_visit visit, void *arg, struct err *e);
