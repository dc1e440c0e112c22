/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.h - what a document holds: the frame of every document, and the versions of a secret. Pure.
 *
 * A document, before it is sealed:
 *
 *	+------------+-----------+---------+---------------+
 *	| format u8  | kind text | id text | payload bytes |      text: u16 length, bytes
 *	+------------+-----------+---------+---------------+
 *
 * Payload of kind "secret", whose id is the secret's name (oldest version first; none: it was
 * removed, and the document stays so that numbers go on):
 *
 *	next u64 | count u16 | count times: body hash 32, version
 *	version = number u64 | created i64 | expires i64 | size u64 | flags u32
 *	          | labels u16 | key text, value text …
 *
 * The encoded `version` is also the associated data of its body. Decoders are strict: every length,
 * order and range is checked, though only what opened with our key comes here.
 */
#pragma once

#include "vault/codec.h"
#include "vault/labels.h"
#include "vault/seal.h"
#include "vault/vault.h"

#define META_KIND "secret"
#define META_FORMAT 1
#define META_KIND_MAX 31 /* a document's kind, bytes */
#define META_ID_MAX 255  /* and id: a secret's name is the longest */

struct doc_frame {
	char kind[META_KIND_MAX + 1];
	char id[META_ID_MAX + 1];
	struct store_bytes payload; /* borrowed from what was decoded */
};

int doc_encode(const char *kind, const char *id, struct store_bytes payload, struct encoder *to);
int doc_decode(struct store_bytes plain, struct doc_frame *ret); /* 0 or -EBADMSG */

struct meta_version {
	struct vault_version version; /* its labels are owned: labels_copy, labels_free */
	unsigned char body[SEAL_HASH_LEN];
};

struct meta {
	uint64_t next; /* the number that the next version gets */
	size_t versions;
	struct meta_version version[VAULT_KEEP_VERSIONS]; /* oldest first */
};

void meta_encode(const struct meta *m, struct encoder *to);
/* 0, -EBADMSG, -ENOMEM; clear *ret in any case. */
int meta_decode(struct store_bytes payload, struct meta *ret);
void meta_clear(struct meta *m);

/* The version with that number, or NULL. */
const struct meta_version *meta_find(const struct meta *m, uint64_t number);

/* Take the oldest version out. */
void meta_drop_oldest(struct meta *m);

/* What a body is bound to. */
void meta_encode_version(const struct vault_version *version, struct encoder *to);
