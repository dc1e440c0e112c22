/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.h - the record that speaks for the whole store, MACed. Pure.
 *
 *	 0  "cofroot1"
 *	 8  epoch         u64
 *	16  leaves        u64
 *	24  time          i64, nanoseconds since 1970
 *	32  tree root     32 bytes
 *	64  header hash   32 bytes
 *	96  MAC           32 bytes
 *
 * Little-endian. The MAC is BLAKE2b-256, keyed with derived key 4, domain "coffer root 1", over the
 * store's id and all that stands before it. `epoch` grows with every transaction; `time` is the
 * latest wall clock that any transaction saw: expiry never goes by less, even if the clock is set
 * back while the broker is away.
 */
#pragma once

#include <stdint.h>

#include "vault/merkle.h"
#include "vault/seal.h"

#define ROOT_LEN 128

struct root {
	uint64_t epoch, leaves;
	int64_t time_ns;
	unsigned char tree[MERKLE_HASH_LEN];
	unsigned char header[SEAL_HASH_LEN];
};

void root_encode(const struct seal_keys *k, const struct root *root, unsigned char bytes[ROOT_LEN]);

/* 0, or -EBADMSG: not a root record, or not MACed with this key for this store. */
int root_decode(const struct seal_keys *k, struct store_bytes bytes, struct root *ret);
