/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/times.h"
#include "vault/internal.h"

/* a name is at most 255 bytes; it has been checked before it is shown */
#define SHOWN_NAME_SIZE 300

int vault_damaged(const char *what, const char *name, struct err *e)
{
	return err_set(e, -EBADMSG,
	               "the stored %s of \"%.*s\" is damaged or was exchanged on disk; nothing of "
	               "it is served: restore "
	               "a backup",
	               what, SHOWN_NAME_SIZE, name);
}

int vault_read_doc(struct vault *v, const char *kind, const char *id, struct encoder *plain,
                   struct doc_frame *ret, struct err *e)
{
	const struct seal_keys *k = seal_keys(v->keys);
	SCOPED(free_ptr) void *bytes = NULL;
	unsigned char key[STORE_KEY_LEN], hash[SEAL_HASH_LEN];
	const unsigned char *leaf;
	struct store_bytes sealed = { 0 };
	int r;

	seal_record_key(k, STORE_DOC, &(struct seal_place){ .kind = kind, .id = id }, key);
	leaf = merkle_get(v->tree, key + 1);
	if (!leaf)
		return -ENOENT;
	r = v->store->backend->get(v->store, key, &bytes, &sealed.len, e);
	if (r < 0)
		return r;
	if (r == 0)
		return vault_damaged("document", id, e);
	sealed.bytes = bytes;
	seal_hash(SEAL_DOMAIN_DOC, sealed, hash);
	if (sodium_memcmp(hash, leaf, SEAL_HASH_LEN) != 0)
		return vault_damaged("document", id, e);
	r = seal_doc_open(k, key, sealed, plain);
	if (r == 0)
		r = doc_decode((struct store_bytes){ plain->bytes, plain->len }, ret);
	if (r == -ENOMEM)
		return err_set(e, r, "cannot read \"%s\": out of memory", id);
	if (r < 0 || strcmp(ret->kind, kind) != 0 || strcmp(ret->id, id) != 0)
		return vault_damaged("document", id, e);
	return 0;
}

int vault_read_meta(struct vault *v, const char *name, struct meta *ret, struct err *e)
{
	SCOPED(encoder_clear) struct encoder plain = { 0 };
	struct doc_frame frame;
	int r = vault_read_doc(v, META_KIND, name, &plain, &frame, e);

	ret->versions = 0;
	if (r == -ENOENT)
		return vault_damaged("document", name, e);
	if (r < 0)
		return r;
	r = meta_decode(frame.payload, ret);
	if (r == -ENOMEM)
		return err_set(e, r, "cannot read \"%s\": out of memory", name);
	return r < 0 ? vault_damaged("document", name, e) : 0;
}

int vault_read_body(struct vault *v, const char *name, const struct meta_version *version,
                    struct secret **ret, struct err *e)
{
	const struct seal_keys *k = seal_keys(v->keys);
	const struct seal_place place = { META_KIND, name, version->version.number };
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	SCOPED(encoder_clear) struct encoder meta = { 0 };
	SCOPED(free_ptr) void *bytes = NULL;
	unsigned char key[STORE_KEY_LEN], hash[SEAL_HASH_LEN];
	struct store_bytes body = { 0 };
	int r;

	seal_record_key(k, STORE_BODY, &place, key);
	r = v->store->backend->get(v->store, key, &bytes, &body.len, e);
	if (r < 0)
		return r;
	if (r == 0)
		return vault_damaged("value", name, e);
	body.bytes = bytes;
	seal_hash(SEAL_DOMAIN_BODY, body, hash);
	if (sodium_memcmp(hash, version->body, SEAL_HASH_LEN) != 0)
		return vault_damaged("value", name, e);
	meta_encode_version(&version->version, &meta);
	r = meta.failed ? -ENOMEM
	                : seal_body_open(k, &place, (struct store_bytes){ meta.bytes, meta.len },
	                                 body, &value);
	if (r == -ENOMEM)
		return err_set(e, r,
		               "cannot read \"%s\": out of (locked) memory; raise RLIMIT_MEMLOCK "
		               "(ulimit -l)",
		               name);
	if (r < 0 || value->len != version->version.size)
		return vault_damaged("value", name, e);
	*ret = TAKE_PTR(value);
	return 0;
}

int vault_need_unsealed(const struct vault *v, struct err *e)
{
	switch (v->state) {
	case VAULT_UNSEALED:
		return 0;
	case VAULT_SEALED:
		return err_set(e, -ENOKEY, "the store is sealed; open it with `coffer unseal`");
	default:
		return err_set(e, -ENOKEY, "there is no store yet; make one with `coffer init`");
	}
}

static struct entry *find_live(const struct vault *v, const char *name)
{
	struct entry *entry = index_find(&v->secrets, name);

	return entry && entry->live ? entry : NULL;
}

int vault_find(struct vault *v, const char *name, struct vault_secret *ret)
{
	const struct entry *entry;

	if (v->state != VAULT_UNSEALED)
		return -ENOKEY;
	entry = find_live(v, name);
	if (!entry)
		return -ENOENT;
	*ret = (struct vault_secret){ .name = entry->name, .current = entry->current };
	return 0;
}

int vault_list(struct vault *v, const char *prefix, vault_visit visit, void *arg)
{
	size_t len = strlen(prefix);
	int r = 0;

	if (v->state != VAULT_UNSEALED)
		return -ENOKEY;
	for (size_t i = index_lower_bound(&v->secrets, prefix); r == 0 && i < v->secrets.n; i++) {
		const struct entry *entry = v->secrets.entry[i];
		const struct vault_secret secret = { .name = entry->name,
			                             .current = entry->current };

		if (strncmp(entry->name, prefix, len) != 0)
			break;
		if (entry->live)
			r = visit(arg, &secret);
	}
	return r;
}

int vault_need_secret(const struct vault *v, const char *name, struct entry **ret, struct err *e)
{
	char shown[SHOWN_NAME_SIZE];
	int r = vault_need_unsealed(v, e);

	if (r < 0)
		return r;
	*ret = find_live(v, name);
	if (!*ret)
		return err_set(e, -ENOENT, "there is no secret \"%s\"; `coffer ls` shows the names",
		               name_escape(name, strlen(name), shown, sizeof(shown)));
	return 0;
}

int vault_history(struct vault *v, const char *name, vault_visit_version visit, void *arg,
                  struct err *e)
{
	SCOPED(meta_clear) struct meta meta = { 0 };
	struct entry *entry = NULL;
	int r = vault_need_secret(v, name, &entry, e);

	if (r < 0 || !entry)
		return r;
	r = vault_read_meta(v, entry->name, &meta, e);
	for (size_t i = meta.versions; r == 0 && i > 0; i--)
		r = visit(arg, &meta.version[i - 1].version);
	return r;
}

int vault_check_expiry(const struct vault *v, const char *name, const struct vault_version *version,
                       struct err *e)
{
	char time[TIMES_TEXT_MAX];

	if (version->expires_ns == 0 || version->expires_ns > vault_now(v))
		return 0;
	return err_set(e, -EKEYEXPIRED,
	               "version %" PRIu64
	               " of \"%s\" expired at %s; store a new one with `coffer put`",
	               version->number, name, times_format(version->expires_ns, time));
}

int vault_get(struct vault *v, const char *name, uint64_t version, bool even_expired,
              struct secret **ret, struct vault_version *ret_version, struct err *e)
{
	SCOPED(meta_clear) struct meta meta = { 0 };
	const struct meta_version *found;
	struct entry *entry = NULL;
	int r = vault_need_secret(v, name, &entry, e);

	if (r < 0 || !entry)
		return r;
	r = vault_read_meta(v, entry->name, &meta, e);
	if (r < 0)
		return r;
	found = meta_find(&meta, version ? version : entry->current.number);
	if (!found)
		return version ? err_set(e, -ENOENT,
		                         "\"%s\" has no version %" PRIu64
		                         " (any more); `coffer history` shows which it has",
		                         entry->name, version)
		               : vault_damaged("document", entry->name, e);
	if (!even_expired)
		r = vault_check_expiry(v, entry->name, &found->version, e);
	if (r == 0)
		r = vault_read_body(v, entry->name, found, ret, e);
	if (r < 0 || !ret_version)
		return r;
	if (found->version.number == entry->current.number) {
		*ret_version = entry->current;
	} else {
		*ret_version = found->version;
		meta_clear(&v->last_read);
		v->last_read = meta;
		meta.versions = 0; /* handed over */
	}
	return 0;
}
