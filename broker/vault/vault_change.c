/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "vault/internal.h"

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "cannot change the store: out of memory");
}

int change_begin(struct vault *v, size_t docs, struct change *c, struct err *e)
{
	int r;

	*c = (struct change){ .size = docs };
	if (merkle_reserve(v->tree, docs) < 0)
		return no_memory(e);
	if (docs) {
		c->undo = calloc(docs, sizeof(*c->undo));
		if (!c->undo)
			return no_memory(e);
	}
	r = v->store->backend->begin(v->store, e);
	if (r == 0)
		c->v = v;
	return r;
}

/* Set a leaf, remembering what it was. */
static void set_leaf(struct change *c, const unsigned char key[STORE_KEY_LEN],
                     const unsigned char *hash)
{
	struct change_undo *undo = &c->undo[c->undos++];
	const unsigned char *before = merkle_get(c->v->tree, key + 1);

	memcpy(undo->key, key + 1, MERKLE_HASH_LEN);
	undo->had = before;
	if (before)
		memcpy(undo->hash, before, MERKLE_HASH_LEN);
	merkle_set(c->v->tree, key + 1, hash);
}

int change_doc(struct change *c, const char *kind, const char *id, struct store_bytes payload,
               struct err *e)
{
	const struct seal_keys *k = seal_keys(c->v->keys);
	SCOPED(encoder_clear) struct encoder plain = { 0 }, sealed = { 0 };
	unsigned char key[STORE_KEY_LEN], hash[SEAL_HASH_LEN];
	struct store_bytes value;
	int r;

	if (c->undos == c->size || doc_encode(kind, id, payload, &plain) < 0)
		return no_memory(e);
	seal_record_key(k, STORE_DOC, &(struct seal_place){ .kind = kind, .id = id }, key);
	if (seal_doc(k, key, (struct store_bytes){ plain.bytes, plain.len }, &sealed) < 0)
		return no_memory(e);
	value = (struct store_bytes){ sealed.bytes, sealed.len };
	r = c->v->store->backend->put(c->v->store, key, value, NULL, e);
	if (r < 0)
		return r;
	seal_hash(SEAL_DOMAIN_DOC, value, hash);
	set_leaf(c, key, hash);
	return 0;
}

int change_doc_remove(struct change *c, const char *kind, const char *id, struct err *e)
{
	unsigned char key[STORE_KEY_LEN];
	int r;

	if (c->undos == c->size)
		return no_memory(e);
	seal_record_key(seal_keys(c->v->keys), STORE_DOC,
	                &(struct seal_place){ .kind = kind, .id = id }, key);
	r = c->v->store->backend->remove(c->v->store, key, e);
	if (r == 0)
		set_leaf(c, key, NULL);
	return r;
}

int change_body(struct change *c, const char *name, const struct secret *value,
                struct meta_version *version, struct err *e)
{
	const struct seal_keys *k = seal_keys(c->v->keys);
	const struct seal_place place = { META_KIND, name, version->version.number };
	SCOPED(encoder_clear) struct encoder meta = { 0 }, body = { 0 };
	unsigned char key[STORE_KEY_LEN];
	struct store_bytes bytes;

	meta_encode_version(&version->version, &meta);
	if (meta.failed ||
	    seal_body(k, &place, (struct store_bytes){ meta.bytes, meta.len }, value, &body) < 0)
		return no_memory(e);
	bytes = (struct store_bytes){ body.bytes, body.len };
	seal_hash(SEAL_DOMAIN_BODY, bytes, version->body);
	seal_record_key(k, STORE_BODY, &place, key);
	return c->v->store->backend->put(c->v->store, key, bytes, NULL, e);
}

int change_body_remove(struct change *c, const char *name, uint64_t number, struct err *e)
{
	unsigned char key[STORE_KEY_LEN];

	seal_record_key(seal_keys(c->v->keys), STORE_BODY,
	                &(struct seal_place){ META_KIND, name, number }, key);
	return c->v->store->backend->remove(c->v->store, key, e);
}

int change_header(struct change *c, const char *text, struct err *e)
{
	struct store_bytes bytes = { text, strlen(text) };
	unsigned char key[STORE_KEY_LEN];
	int r;

	vault_single_key(STORE_HEADER, key);
	r = c->v->store->backend->put(c->v->store, key, bytes, NULL, e);
	if (r == 0)
		seal_hash(SEAL_DOMAIN_HEADER, bytes, c->header_hash);
	c->header = r == 0;
	return r;
}

/* The new root record, on the condition that the old one is still there: then all else is as we
 * know it. */
static int put_root(struct change *c, struct root *root, unsigned char bytes[ROOT_LEN],
                    struct err *e)
{
	struct vault *v = c->v;
	const bool first = v->root.epoch == 0;
	const struct store_bytes before = { first ? NULL : v->root_bytes, first ? 0 : ROOT_LEN };
	unsigned char key[STORE_KEY_LEN];

	root->epoch = (v->root.epoch > c->epoch_floor ? v->root.epoch : c->epoch_floor) + 1;
	root->leaves = merkle_leaves(v->tree);
	root->time_ns = vault_now(v);
	merkle_root(v->tree, root->tree);
	memcpy(root->header, c->header ? c->header_hash : v->header_hash, SEAL_HASH_LEN);
	root_encode(seal_keys(v->keys), root, bytes);
	vault_single_key(STORE_ROOT, key);
	return v->store->backend->put(v->store, key, (struct store_bytes){ bytes, ROOT_LEN },
	                              &before, e);
}

int change_commit(struct change *c, struct err *e)
{
	struct vault *v = c->v;
	unsigned char bytes[ROOT_LEN];
	struct root root;
	int r = put_root(c, &root, bytes, e);

	if (r == 0)
		r = v->store->backend->commit(v->store, e);
	if (r < 0)
		return r; /* change_end undoes the rest */
	v->root = root;
	memcpy(v->root_bytes, bytes, ROOT_LEN);
	if (c->header)
		memcpy(v->header_hash, c->header_hash, SEAL_HASH_LEN);
	c->v = NULL;
	return 0;
}

void change_end(struct change *c)
{
	if (c->v) {
		/* Backwards, so that a document set twice ends as it began. What was there always
		 * has room. */
		while (c->undos) {
			const struct change_undo *undo = &c->undo[--c->undos];

			merkle_set(c->v->tree, undo->key, undo->had ? undo->hash : NULL);
		}
		c->v->store->backend->rollback(c->v->store);
	}
	free(c->undo);
	*c = (struct change){ 0 };
}
