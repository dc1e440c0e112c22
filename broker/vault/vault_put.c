/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"
#include "vault/internal.h"
#include "vault/pem.h"

/* One put under way: the transaction, and the entries that take their place in the index once it is
 * durable. */
struct put {
	struct vault *v;
	struct change change;
	int64_t now_ns;
	struct entry *fresh[VAULT_ITEMS_MAX];
};

static void put_end(struct put *p)
{
	for (size_t i = 0; i < VAULT_ITEMS_MAX; i++)
		entry_free(p->fresh[i]);
	change_end(&p->change);
}

static int check_labels(const struct vault_item *item, struct err *e)
{
	if (item->labels > VAULT_LABELS_MAX)
		return err_set(e, -EINVAL, "\"%s\" has %" PRIu32 " labels; at most %d are kept",
		               item->name, item->labels, VAULT_LABELS_MAX);
	for (size_t i = 0; i < item->labels; i++) {
		const struct vault_label *label = &item->label[i];
		size_t key = strlen(label->key);

		if (key == 0 || key > VAULT_LABEL_LEN_MAX ||
		    strlen(label->value) > VAULT_LABEL_LEN_MAX)
			return err_set(e, -EINVAL,
			               "label %zu of \"%s\": key and value may have %d bytes each, "
			               "a key at least 1",
			               i + 1, item->name, VAULT_LABEL_LEN_MAX);
		for (size_t j = 0; j < i; j++)
			if (strcmp(item->label[j].key, label->key) == 0)
				return err_set(
					e, -EINVAL,
					"label %zu of \"%s\" has the same key as another one",
					i + 1, item->name);
	}
	return 0;
}

static int check_item(const struct vault_item *item, struct err *e)
{
	int r = name_check(item->name, e);

	if (r < 0)
		return r;
	if (item->value->len > SECRET_VALUE_MAX)
		return err_set(e, -EFBIG,
		               "the value of \"%s\" has %zu bytes; at most %d are stored",
		               item->name, item->value->len, SECRET_VALUE_MAX);
	if (item->expires_ns < 0)
		return err_set(e, -EINVAL, "\"%s\" cannot expire before 1970", item->name);
	return check_labels(item, e);
}

static int check_items(const struct vault_item *items, size_t n, struct err *e)
{
	if (n == 0 || n > VAULT_ITEMS_MAX)
		return err_set(e, -EINVAL, "one put stores 1 to %d names, not %zu", VAULT_ITEMS_MAX,
		               n);
	for (size_t i = 0; i < n; i++) {
		int r = check_item(&items[i], e);

		if (r < 0)
			return r;
		for (size_t j = 0; j < i; j++)
			if (strcmp(items[i].name, items[j].name) == 0)
				return err_set(e, -EINVAL,
				               "\"%s\" is named twice in one put; name it once",
				               items[i].name);
	}
	return 0;
}

static int check_if_version(const struct entry *entry, const struct vault_item *item, struct err *e)
{
	uint64_t current = entry && entry->live ? entry->current.number : 0;

	if (!item->has_if_version || item->if_version == current)
		return 0;
	if (current == 0)
		return err_set(e, -EAGAIN,
		               "\"%s\" was to be at version %" PRIu64
		               ", but it does not exist; nothing was stored",
		               item->name, item->if_version);
	return err_set(e, -EAGAIN,
	               "\"%s\" was to be at version %" PRIu64 ", but it is at %" PRIu64
	               "; nothing was stored: look at the new one and repeat",
	               item->name, item->if_version, current);
}

/* What is known of the secret; one never stored begins with number 1. */
static int read_before(struct vault *v, const struct entry *entry, struct meta *meta, struct err *e)
{
	meta->versions = 0;
	meta->next = 1;
	return entry ? vault_read_meta(v, entry->name, meta, e) : 0;
}

/* The new version at the end of `meta`, its body in the store. */
static int add_version(struct put *p, const struct vault_item *item, struct meta *meta,
                       struct err *e)
{
	struct meta_version *added;
	int r = 0;

	if (meta->next == UINT64_MAX)
		return err_set(e, -EOVERFLOW, "\"%s\" has no version numbers left", item->name);
	if (meta->versions == VAULT_KEEP_VERSIONS) {
		r = change_body_remove(&p->change, item->name, meta->version[0].version.number, e);
		meta_drop_oldest(meta);
	}
	if (r < 0)
		return r;
	added = &meta->version[meta->versions];
	*added = (struct meta_version){ .version = { .number = meta->next++,
		                                     .created_ns = p->now_ns,
		                                     .expires_ns = item->expires_ns,
		                                     .size = item->value->len,
		                                     .labels = item->labels } };
	if (pem_has_private_key(item->value->bytes, item->value->len))
		added->version.flags |= VAULT_PRIVATE_KEY;
	if (pem_has_certificate(item->value->bytes, item->value->len))
		added->version.flags |= VAULT_CERTIFICATE;
	if (labels_copy(item->label, item->labels, &added->version.label) < 0)
		return err_set(e, -ENOMEM, "cannot store \"%s\": out of memory", item->name);
	meta->versions++;
	return change_body(&p->change, item->name, item->value, added, e);
}

static int write_meta(struct put *p, const char *name, const struct meta *meta, struct err *e)
{
	SCOPED(encoder_clear) struct encoder payload = { 0 };

	meta_encode(meta, &payload);
	if (payload.failed)
		return err_set(e, -ENOMEM, "cannot store \"%s\": out of memory", name);
	return change_doc(&p->change, META_KIND, name,
	                  (struct store_bytes){ payload.bytes, payload.len }, e);
}

static int put_item(struct put *p, const struct vault_item *item, struct entry **ret_fresh,
                    struct err *e)
{
	SCOPED(meta_clear) struct meta meta = { 0 };
	SCOPED(entry_free_ptr) struct entry *fresh = entry_new(item->name);
	const struct entry *entry = index_find(&p->v->secrets, item->name);
	int r;

	if (!fresh)
		return err_set(e, -ENOMEM, "cannot store \"%s\": out of memory", item->name);
	r = read_before(p->v, entry, &meta, e);
	if (r == 0)
		r = add_version(p, item, &meta, e);
	if (r == 0)
		r = write_meta(p, item->name, &meta, e);
	if (r < 0)
		return r;
	fresh->live = true;
	fresh->current = meta.version[--meta.versions].version; /* its labels go to the entry */
	*ret_fresh = TAKE_PTR(fresh);
	return 0;
}

/* The transaction is durable: from here on nothing fails. */
static void publish(struct put *p, size_t n, uint64_t *ret_versions)
{
	for (size_t i = 0; i < n; i++) {
		const struct entry *before = index_find(&p->v->secrets, p->fresh[i]->name);

		if (!before || !before->live)
			p->v->live++;
		ret_versions[i] = p->fresh[i]->current.number;
		index_put(&p->v->secrets, TAKE_PTR(p->fresh[i]));
	}
}

int vault_put(struct vault *v, const struct vault_item *items, size_t n, uint64_t *ret_versions,
              struct err *e)
{
	SCOPED(put_end) struct put p = { .v = v, .now_ns = vault_now(v) };
	int r = vault_need_unsealed(v, e);

	if (r == 0)
		r = check_items(items, n, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_if_version(index_find(&v->secrets, items[i].name), &items[i], e);
	if (r == 0 && index_reserve(&v->secrets, n) < 0)
		r = err_set(e, -ENOMEM, "cannot store: out of memory");
	if (r == 0)
		r = change_begin(v, n, &p.change, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_item(&p, &items[i], &p.fresh[i], e);
	if (r == 0)
		r = change_commit(&p.change, e);
	if (r == 0)
		publish(&p, n, ret_versions);
	return r;
}

int vault_rollback(struct vault *v, const char *name, uint64_t to, uint64_t *ret_version,
                   struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	struct vault_version old;
	struct vault_item item;
	int r;

	if (to == 0)
		return err_set(
			e, -EINVAL,
			"a rollback needs the number of a version; `coffer history` shows them");
	r = vault_get(v, name, to, true, &value, &old, e);
	if (r < 0)
		return r;
	item = (struct vault_item){
		.name = name, .value = value, .label = old.label, .labels = old.labels
	};
	if (old.expires_ns > vault_now(v))
		item.expires_ns = old.expires_ns;
	return vault_put(v, &item, 1, ret_version, e);
}

/* Every body goes; the document stays, without versions, so that numbers go on. */
static int remove_all(struct put *p, const char *name, struct err *e)
{
	SCOPED(meta_clear) struct meta meta = { 0 };
	int r = vault_read_meta(p->v, name, &meta, e);

	for (size_t i = 0; r == 0 && i < meta.versions; i++)
		r = change_body_remove(&p->change, name, meta.version[i].version.number, e);
	if (r < 0)
		return r;
	meta_clear(&meta);
	return write_meta(p, name, &meta, e);
}

int vault_remove(struct vault *v, const char *name, struct err *e)
{
	SCOPED(put_end) struct put p = { .v = v };
	struct entry *entry = NULL;
	int r = vault_need_secret(v, name, &entry, e);

	if (r < 0)
		return r;
	p.fresh[0] = entry_new(name);
	if (!p.fresh[0])
		return err_set(e, -ENOMEM, "cannot remove \"%s\": out of memory", name);
	r = change_begin(v, 1, &p.change, e);
	if (r == 0)
		r = remove_all(&p, name, e);
	if (r == 0)
		r = change_commit(&p.change, e);
	if (r < 0)
		return r;
	index_put(&v->secrets, TAKE_PTR(p.fresh[0]));
	v->live--;
	return 0;
}
