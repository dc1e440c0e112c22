/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - keys, and what is sealed with them. Pure but for the random numbers.
 *
 *	slot key (from a keyfile or passphrase) ── wraps ──► root key (random, 32 bytes)
 *	root key ── crypto_kdf, context "coffer01" ──► 1 record names    2 documents
 *	                                               3 data keys       4 root record    5 audit
 *	data key (random for each version) ── seals ──► the value
 *
 * Sealing is XChaCha20-Poly1305 (crypto_aead_xchacha20poly1305_ietf) with a random 24-byte nonce in
 * front:
 *
 *	sealed = nonce 24 | ciphertext | tag 16
 *
 * The associated data begins with eight bytes that say what is sealed and the store's id, so that
 * nothing opens as another kind of thing or in another store. Hashes are BLAKE2b-256 with a 16-byte
 * personalisation as domain. docs/store-format.md draws every byte; algorithms: libsodium's
 * documentation and draft-irtf-cfrg-xchacha-03, RFC 7693.
 *
 * Errors: -ENOMEM; what does not open is -EBADMSG (a root key: -EKEYREJECTED), whether it was
 * damaged, moved or sealed with another key; then nothing of it is handed out.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "coffer/secret.h"
#include "vault/codec.h"
#include "vault/store.h"

#define SEAL_KEY_LEN 32
#define SEAL_HASH_LEN 32
#define SEAL_STORE_ID_LEN 16
#define SEAL_NONCE_LEN 24
#define SEAL_TAG_LEN 16
#define SEAL_OVERHEAD (SEAL_NONCE_LEN + SEAL_TAG_LEN)
#define SEAL_WRAPPED_LEN (SEAL_KEY_LEN + SEAL_OVERHEAD)

/* Everything that the vault seals with; lives in a struct secret. */
struct seal_keys {
	unsigned char root[SEAL_KEY_LEN];
	unsigned char name[SEAL_KEY_LEN];
	unsigned char doc[SEAL_KEY_LEN];
	unsigned char wrap[SEAL_KEY_LEN];
	unsigned char mac[SEAL_KEY_LEN];
	unsigned char audit[SEAL_KEY_LEN];
	unsigned char store_id[SEAL_STORE_ID_LEN];
};

/* The keys of a root key of SEAL_KEY_LEN bytes. The caller frees *ret; it holds a struct seal_keys.
 */
int seal_keys_derive(const struct secret *root, const unsigned char store_id[SEAL_STORE_ID_LEN],
                     struct secret **ret);

static inline const struct seal_keys *seal_keys(const struct secret *keys)
{
	return (const struct seal_keys *)keys->bytes;
}

/* Wrap a root key for a slot. `bound` is all that the slot says of itself (header.h). */
int seal_root_key(const struct secret *slot_key, struct store_bytes bound,
                  const unsigned char root[SEAL_KEY_LEN], unsigned char wrapped[SEAL_WRAPPED_LEN]);
int seal_root_key_open(const struct secret *slot_key, struct store_bytes bound,
                       const unsigned char wrapped[SEAL_WRAPPED_LEN], struct secret **ret);

/* What a record is for; number 0 for documents. */
struct seal_place {
	const char *kind, *id;
	uint64_t number;
};

/* The key under which a record is stored: its class and a keyed hash of its place. */
void seal_record_key(const struct seal_keys *k, enum store_class class,
                     const struct seal_place *place, unsigned char key[STORE_KEY_LEN]);

/* A document, bound to its record key (which is a keyed hash of kind and id). Appended to `to`. */
int seal_doc(const struct seal_keys *k, const unsigned char key[STORE_KEY_LEN],
             struct store_bytes plain, struct encoder *to);
int seal_doc_open(const struct seal_keys *k, const unsigned char key[STORE_KEY_LEN],
                  struct store_bytes sealed, struct encoder *to);

/*
 * A value under a fresh data key, bound to its place and to `meta`, the encoded metadata of the
 * version:
 *
 *	body = sealed data key 72 | sealed value
 */
int seal_body(const struct seal_keys *k, const struct seal_place *place, struct store_bytes meta,
              const struct secret *value, struct encoder *to);
int seal_body_open(const struct seal_keys *k, const struct seal_place *place,
                   struct store_bytes meta, struct store_bytes body, struct secret **ret);

/* Domains of the hashes that other records hold. */
#define SEAL_DOMAIN_DOC "coffer doc 1"       /* leaf of the tree: a sealed document */
#define SEAL_DOMAIN_BODY "coffer body 1"     /* in a secret's document: a sealed body */
#define SEAL_DOMAIN_HEADER "coffer header 1" /* in the root record: the header */

/* BLAKE2b-256 under a domain of at most 16 characters. */
void seal_hash(const char *domain, struct store_bytes bytes, unsigned char hash[SEAL_HASH_LEN]);

/* BLAKE2b-256 keyed with `key`, under a domain. */
void seal_mac(const unsigned char key[SEAL_KEY_LEN], const char *domain, struct store_bytes bytes,
              unsigned char mac[SEAL_HASH_LEN]);
