/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"
#include "vault/internal.h"

#define DOC_NAME_SIZE (META_KIND_MAX + 1 + META_ID_MAX + 1)

struct load {
	struct vault *v;
	struct err *e;
	struct encoder
		plain; /* of one document; kept for the next, so that loading allocates once */
};

static int torn(struct err *e)
{
	return err_set(e, -EBADMSG,
	               "the store is damaged: a record in it does not open, or is not where it "
	               "belongs; restore a backup");
}

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "cannot unseal: out of memory");
}

/* A secret's document: its name and current version go into the index. */
static int load_secret(struct load *load, const struct doc_frame *frame)
{
	SCOPED(meta_clear) struct meta meta = { 0 };
	SCOPED(entry_free_ptr) struct entry *entry = NULL;
	struct vault *v = load->v;
	int r = meta_decode(frame->payload, &meta);

	if (r == -EBADMSG || name_check(frame->id, NULL) < 0)
		return torn(load->e);
	entry = entry_new(frame->id);
	if (r < 0 || !entry || index_reserve(&v->secrets, 1) < 0)
		return no_memory(load->e);
	if (meta.versions) {
		entry->live = true;
		entry->current = meta.version[meta.versions - 1].version;
		meta.versions--; /* its labels went to the entry */
		v->live++;
	}
	index_append(&v->secrets, TAKE_PTR(entry));
	return 0;
}

static int load_other(struct load *load, const struct doc_frame *frame)
{
	char name[DOC_NAME_SIZE];
	struct entry *entry;

	snprintf(name, sizeof(name), "%s:%s", frame->kind, frame->id);
	if (index_reserve(&load->v->docs, 1) < 0 || !(entry = entry_new(name)))
		return no_memory(load->e);
	index_append(&load->v->docs, entry);
	return 0;
}

static int load_doc(void *arg, const unsigned char key[STORE_KEY_LEN], struct store_bytes value)
{
	struct load *load = arg;
	const struct seal_keys *k = seal_keys(load->v->keys);
	unsigned char hash[SEAL_HASH_LEN], own_key[STORE_KEY_LEN];
	struct doc_frame frame;
	int r;

	load->plain.len = 0;
	r = seal_doc_open(k, key, value, &load->plain);
	if (r == 0)
		r = doc_decode((struct store_bytes){ load->plain.bytes, load->plain.len }, &frame);
	if (r < 0)
		return r == -ENOMEM ? no_memory(load->e) : torn(load->e);
	seal_record_key(k, STORE_DOC, &(struct seal_place){ .kind = frame.kind, .id = frame.id },
	                own_key);
	if (memcmp(own_key, key, STORE_KEY_LEN) != 0)
		return torn(load->e);
	if (merkle_reserve(load->v->tree, 1) < 0)
		return no_memory(load->e);
	seal_hash(SEAL_DOMAIN_DOC, value, hash);
	merkle_set(load->v->tree, key + 1, hash);
	return strcmp(frame.kind, META_KIND) == 0 ? load_secret(load, &frame)
	                                          : load_other(load, &frame);
}

int vault_load(struct vault *v, struct err *e)
{
	struct load load = { .v = v, .e = e };
	unsigned char tree[MERKLE_HASH_LEN];
	int r = v->store->backend->scan(v->store, STORE_DOC, load_doc, &load, e);

	encoder_clear(&load.plain);
	if (r < 0)
		return r;
	if (index_sort(&v->secrets) < 0 || index_sort(&v->docs) < 0)
		return torn(e);
	merkle_root(v->tree, tree);
	if (merkle_leaves(v->tree) != v->root.leaves ||
	    sodium_memcmp(tree, v->root.tree, MERKLE_HASH_LEN) != 0)
		return err_set(e, -EBADMSG,
		               "the store is damaged: records were removed or replaced by older "
		               "ones (its Merkle root does "
		               "not fit); restore a backup");
	return 0;
}
