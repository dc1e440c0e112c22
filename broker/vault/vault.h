/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault.h - names, versions and documents, sealed into a store and opened from it.
 *
 * Keys: unseal slots each wrap the same random 32-byte root key (as LUKS does); from the root key
 * are derived (BLAKE2b key derivation of libsodium, crypto_kdf) one key each for record names,
 * documents, wrapping data keys, the Merkle MAC and the audit signature. Every version has a random
 * data key of its own. Encryption is XChaCha20-Poly1305 (IETF); the associated data binds store id,
 * kind, name, version and metadata, so that a record moved, swapped or replayed under another name
 * or number does not open.
 *
 * A Merkle tree over all documents (which name the tags of their bodies), its root MACed together
 * with an epoch that grows by one with each transaction, catches records removed and, beside the
 * audit log's head, a store set back. See docs/store-format.md for every byte.
 *
 * States: uninitialised (no header) → sealed → unsealed. While sealed every call on names gives
 * -ENOKEY. The vault keeps names and current metadata in memory (some 200 bytes a secret), values
 * never.
 *
 * Errors beside the store's: -ENOKEY sealed; -EKEYREJECTED wrong key; -EBADMSG damaged (nothing is
 * served from it); -ESTALE rolled back; -ENOENT; -EEXIST; -EAGAIN if_version does not hold;
 * -EKEYEXPIRED the version has expired; -EINVAL; -EFBIG; -ENOSPC; -EPROTONOSUPPORT a store of
 * another format version.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "coffer/err.h"
#include "coffer/name.h"
#include "coffer/secret.h"
#include "vault/store.h"

#define VAULT_KEY_LEN 32
#define VAULT_SLOTS_MAX 8
#define VAULT_SALT_LEN 16       /* crypto_pwhash_SALTBYTES */
#define VAULT_KEEP_VERSIONS 10  /* older ones are dropped at put */
#define VAULT_ITEMS_MAX 128     /* names in one transaction */
#define VAULT_LABELS_MAX 16     /* labels of one version */
#define VAULT_LABEL_LEN_MAX 128 /* bytes of a label's key or value */
/* Caps on what a slot may ask for: the header is read before any key. */
#define VAULT_ARGON_OPS_MAX 10
#define VAULT_ARGON_MEMORY_MAX (1ULL << 30)

enum vault_state { VAULT_UNINITIALISED, VAULT_SEALED, VAULT_UNSEALED };

enum vault_slot_kind { VAULT_SLOT_KEYFILE = 1, VAULT_SLOT_PASSPHRASE = 2 };

struct vault_slot {
	uint32_t id;
	enum vault_slot_kind kind;
	unsigned char salt[VAULT_SALT_LEN]; /* passphrase: for Argon2id, done by the client */
	uint64_t ops, memory;
};

struct vault_label {
	char *key, *value;
};

#define VAULT_PRIVATE_KEY 1 /* the value holds a PEM private key */
#define VAULT_CERTIFICATE \
	2 /* the value holds a certificate; not known of what older brokers stored */

struct vault_version {
	uint64_t number;    /* from 1; goes on after a removal */
	int64_t created_ns; /* wall clock; the file's mtime */
	int64_t expires_ns; /* 0: never */
	uint64_t size;
	uint32_t flags;
	uint32_t labels;
	const struct vault_label *label; /* borrowed from the vault: valid until it next changes */
};

struct vault_secret {
	const char *name; /* borrowed likewise */
	struct vault_version current;
};

struct vault_item {
	const char *name;
	const struct secret *value;
	int64_t expires_ns;
	bool has_if_version; /* if_version 0: must not exist */
	uint64_t if_version;
	const struct vault_label *label;
	uint32_t labels;
};

struct vault;

/* Takes the store over, also on failure. Reads and caps the header; an empty store is
 * uninitialised. */
int vault_open(struct store *store, struct vault **ret, struct err *e);
void vault_free(struct vault *v); /* wipes every key */

enum vault_state vault_state(const struct vault *v);
const char *vault_store_id(const struct vault *v); /* 32 hex digits; "" uninitialised */
size_t vault_slots(const struct vault *v, const struct vault_slot **ret);

/* Make the header with one slot that `key` (VAULT_KEY_LEN bytes) opens; slot->id is set. Leaves it
 * unsealed. */
int vault_init(struct vault *v, struct vault_slot *slot, const struct secret *key, struct err *e);

/*
 * Open slot `slot` with `key`, check header and Merkle root, load the names. `epoch_floor`: the
 * epoch in the audit log's head; a store below it is -ESTALE unless `accept_rollback`.
 */
int vault_unseal(struct vault *v, uint32_t slot, const struct secret *key, uint64_t epoch_floor,
                 bool accept_rollback, struct err *e);

/* Whether `key` opens that slot, and nothing else: 0, -EKEYREJECTED, -ENOENT. */
int vault_check_key(const struct vault *v, uint32_t slot, const struct secret *key, struct err *e);
void vault_seal(struct vault *v);

/* The key that a keyfile's content yields: BLAKE2b-256 of the whole content (at least 32 bytes, at
 * most 4 KiB). */
int vault_keyfile_key(const struct secret *content, struct secret **ret, struct err *e);

/* 0, or -ENOKEY with a sentence that says whether there is nothing yet or it is sealed. */
int vault_need_unsealed(const struct vault *v, struct err *e);

uint64_t vault_epoch(const struct vault *v);
uint64_t vault_count(const struct vault *v); /* secrets, not documents; 0 while sealed */

/*
 * The time that expiry goes by: the wall clock, but never behind the latest that any transaction
 * saw, nor behind what the boot-time clock says has passed since unseal. Setting the clock back has
 * no effect on it.
 */
int64_t vault_now(const struct vault *v);

/* Persist vault_now without another change: at an expiry, and now and then. One small transaction.
 */
int vault_mark_time(struct vault *v, struct err *e);

/* Another slot for the same root key, while unsealed; slot->id is set. -ENOSPC with VAULT_SLOTS_MAX
 * of them. */
int vault_add_slot(struct vault *v, struct vault_slot *slot, const struct secret *key,
                   struct err *e);

/* The 32-byte seed of the audit signature key (Ed25519). Caller frees. NULL while sealed. */
struct secret *vault_audit_seed(const struct vault *v);

/* One transaction over all items; versions[i] is set for each. Recognises PEM private keys and
 * certificates. */
int vault_put(struct vault *v, const struct vault_item *items, size_t n, uint64_t *ret_versions,
              struct err *e);

/*
 * The value of a version (0: current). An expired version is -EKEYEXPIRED unless `even_expired`.
 * Labels of another version than the current are valid until the next vault_get. `ret_version` may
 * be NULL.
 */
int vault_get(struct vault *v, const char *name, uint64_t version, bool even_expired,
              struct secret **ret, struct vault_version *ret_version, struct err *e);

int vault_find(struct vault *v, const char *name,
               struct vault_secret *ret); /* 0 or -ENOENT, -ENOKEY */

/* In order of names; `prefix` "" for all, "tls/" or "tls" (names that begin with it). Non-zero ends
 * it. */
typedef int (*vault_visit)(void *arg, const struct vault_secret *secret);
int vault_list(struct vault *v, const char *prefix, vault_visit visit, void *arg);

/* Newest first. */
typedef int (*vault_visit_version)(void *arg, const struct vault_version *version);
int vault_history(struct vault *v, const char *name, vault_visit_version visit, void *arg,
                  struct err *e);

/* A new version with the bytes and metadata of an old one (without its expiry if that has passed).
 */
int vault_rollback(struct vault *v, const char *name, uint64_t to, uint64_t *ret_version,
                   struct err *e);
int vault_remove(struct vault *v, const char *name, struct err *e);

/* Documents of other parts (grants), sealed and in the same tree. `kind` and `id` are short ASCII.
 */
int vault_doc_put(struct vault *v, const char *kind, const char *id, const void *bytes, size_t len,
                  struct err *e);
int vault_doc_remove(struct vault *v, const char *kind, const char *id, struct err *e);

/* Many of one kind in one transaction, each named once; -ENOENT: one to be removed is not there. */
struct vault_doc {
	const char *id;
	const void *bytes;
	size_t len;
};
struct vault_docs {
	const char *kind;
	const struct vault_doc *put;
	size_t puts;
	const char *const *remove;
	size_t removes;
};
int vault_docs_change(struct vault *v, const struct vault_docs *d, struct err *e);
typedef int (*vault_visit_doc)(void *arg, const char *id, const void *bytes, size_t len);
int vault_doc_each(struct vault *v, const char *kind, vault_visit_doc visit, void *arg,
                   struct err *e);
