/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - the vault's own state, shared by the files that make it up and by nobody else.
 *
 *	vault.c          open, init, unseal, seal, slots
 *	vault_load.c     every document into memory, checked against the Merkle root
 *	vault_read.c     one document or body, checked against its leaf; get, find, list, history
 *	vault_change.c   one transaction: store, tree and root record together
 *	vault_put.c      put, rollback, remove
 *	vault_doc.c      documents of other parts
 *	vault_backup.c   the store copied; all of it looked at
 */
#pragma once

#include "vault/header.h"
#include "vault/index.h"
#include "vault/merkle.h"
#include "vault/meta.h"
#include "vault/root.h"
#include "vault/vault.h"

#define VAULT_DOC_MAX (256 * 1024) /* bytes of a document of another part */

struct vault {
	struct store *store;
	enum vault_state state;
	struct header header;
	unsigned char header_hash[SEAL_HASH_LEN];

	/* While unsealed: */
	struct secret *keys; /* holds a struct seal_keys */
	struct merkle *tree;
	struct index secrets;
	struct index docs; /* of other parts; the name is KIND:ID */
	struct root root;
	unsigned char root_bytes[ROOT_LEN]; /* the record as it stands in the store */
	uint64_t live;                      /* entries of `secrets` that are live */
	int64_t clock_base, clock_boot;     /* wall clock and CLOCK_BOOTTIME at unseal */
	struct meta last_read;              /* owns the labels that vault_get handed out last */
};

/* Key of the header and of the root record. */
void vault_single_key(enum store_class class, unsigned char key[STORE_KEY_LEN]);

/* A secret that is there: 0, or -ENOKEY or -ENOENT with a sentence. */
int vault_need_secret(const struct vault *v, const char *name, struct entry **ret, struct err *e);

/* Load what is there, into an unsealed vault's empty memory. On failure the caller seals it. */
int vault_load(struct vault *v, struct err *e);

/* -EBADMSG: "NAME is damaged…" */
int vault_damaged(const char *what, const char *name, struct err *e);

/*
 * The document of kind and id, from the store, checked against its leaf: -ENOENT (no sentence) if
 * there is none, -EBADMSG. `plain` keeps the bytes that `ret` points into.
 */
int vault_read_doc(struct vault *v, const char *kind, const char *id, struct encoder *plain,
                   struct doc_frame *ret, struct err *e);
/* The versions of a secret that is in the index. Clear *ret in any case. */
int vault_read_meta(struct vault *v, const char *name, struct meta *ret, struct err *e);
/* The value of a version that `version` describes. */
int vault_read_body(struct vault *v, const char *name, const struct meta_version *version,
                    struct secret **ret, struct err *e);
/* 0, or -EKEYEXPIRED with a sentence. */
int vault_check_expiry(const struct vault *v, const char *name, const struct vault_version *version,
                       struct err *e);

/*
 * A transaction. change_begin, any number of steps, change_commit; change_end (for SCOPED) undoes
 * what was not committed, in the store and in the tree. The index is the caller's to change, after
 * the commit.
 */
struct change_undo {
	unsigned char key[MERKLE_HASH_LEN], hash[MERKLE_HASH_LEN];
	bool had;
};

struct change {
	struct vault *v; /* NULL: not under way */
	struct change_undo *undo;
	size_t undos, size;
	uint64_t epoch_floor; /* the new epoch is above it */
	bool header;          /* the header was changed too, to one with this hash: */
	unsigned char header_hash[SEAL_HASH_LEN];
};

/* `docs`: how many documents will be written or removed at most. */
int change_begin(struct vault *v, size_t docs, struct change *c, struct err *e);
int change_doc(struct change *c, const char *kind, const char *id, struct store_bytes payload,
               struct err *e);
int change_doc_remove(struct change *c, const char *kind, const char *id, struct err *e);
/* Seals `value` under a data key of its own and sets version->body. */
int change_body(struct change *c, const char *name, const struct secret *value,
                struct meta_version *version, struct err *e);
int change_body_remove(struct change *c, const char *name, uint64_t number, struct err *e);
/* The header's text, whose hash then stands in the root record. */
int change_header(struct change *c, const char *text, struct err *e);
int change_commit(struct change *c, struct err *e);
void change_end(struct change *c);
