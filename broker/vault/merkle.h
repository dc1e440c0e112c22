/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merkle.h - one hash over all documents, cheap to keep current. Pure.
 *
 * A leaf is a document's key (32 bytes, a keyed hash, so nobody without the key chooses where it
 * falls) and the hash of its ciphertext. The tree has a fixed shape: 65,536 buckets by the first
 * two bytes of the key (most significant first), and 16 levels of nodes above. A change costs one
 * bucket and 16 nodes.
 *
 *	bucket = H("coffer bucket 1", key | hash, for each leaf in order of keys)
 *	node   = H("coffer node 1", left | right)
 *
 * H is BLAKE2b-256 with that personalisation. An empty bucket, and a node over two empty ones, is
 * 32 zero bytes and costs no memory: pages of the tree that were never written are never allocated.
 *
 * Source: the idea is R. Merkle's; the domain separation between leaves and nodes follows RFC 6962,
 * section 2.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define MERKLE_HASH_LEN 32

struct merkle;

struct merkle *merkle_new(void); /* NULL without memory */
void merkle_free(struct merkle *m);

/* Make sure that `more` leaves can be added without memory. 0 or -ENOMEM. */
int merkle_reserve(struct merkle *m, size_t more);

/* Set a leaf, or with `hash` NULL take it away. A new leaf needs room reserved before. Cannot fail.
 */
void merkle_set(struct merkle *m, const unsigned char key[MERKLE_HASH_LEN],
                const unsigned char *hash);

/* The hash of a leaf, borrowed until the next change; NULL if there is none. */
const unsigned char *merkle_get(const struct merkle *m, const unsigned char key[MERKLE_HASH_LEN]);

/* Bring what changed up to date and give the root. */
void merkle_root(struct merkle *m, unsigned char root[MERKLE_HASH_LEN]);

size_t merkle_leaves(const struct merkle *m);
