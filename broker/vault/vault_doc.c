/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "vault/internal.h"

#define DOC_NAME_SIZE (META_KIND_MAX + 1 + META_ID_MAX + 1) /* KIND:ID */

/* Printable ASCII without space; a kind also without the ':' that ends it in the index. */
static bool is_token(const char *text, size_t max, bool colon)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || (text[i] == ':' && !colon))
			return false;
	return true;
}

static int check_place(const char *kind, const char *id, char name[DOC_NAME_SIZE], struct err *e)
{
	if (strcmp(kind, META_KIND) == 0)
		return err_set(e, -EINVAL,
		               "documents of kind \"" META_KIND "\" are the vault's own");
	if (!is_token(kind, META_KIND_MAX, false) || !is_token(id, META_ID_MAX, true))
		return err_set(
			e, -EINVAL,
			"kind and id of a document are 1 to %d and 1 to %d printable characters",
			META_KIND_MAX, META_ID_MAX);
	snprintf(name, DOC_NAME_SIZE, "%s:%s", kind, id);
	return 0;
}

static int check_docs(const struct vault *v, const struct vault_docs *d, struct err *e)
{
	char name[DOC_NAME_SIZE];
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->puts; i++) {
		r = check_place(d->kind, d->put[i].id, name, e);
		if (r == 0 && d->put[i].len > VAULT_DOC_MAX)
			r = err_set(e, -EFBIG, "a document has at most %d bytes, not %zu",
			            VAULT_DOC_MAX, d->put[i].len);
	}
	for (size_t i = 0; r == 0 && i < d->removes; i++) {
		r = check_place(d->kind, d->remove[i], name, e);
		if (r == 0 && !index_find(&v->docs, name))
			r = err_set(e, -ENOENT, "there is no %s \"%s\"", d->kind, d->remove[i]);
	}
	return r;
}

/* The transaction is durable: from here on nothing fails. */
static void publish(struct vault *v, const struct vault_docs *d, struct entry **fresh)
{
	char name[DOC_NAME_SIZE];

	for (size_t i = 0; i < d->removes; i++)
		if (check_place(d->kind, d->remove[i], name, NULL) == 0)
			index_remove(&v->docs, name);
	for (size_t i = 0; i < d->puts; i++)
		index_put(&v->docs, TAKE_PTR(fresh[i]));
}

static int write_docs(struct vault *v, const struct vault_docs *d, struct err *e)
{
	SCOPED(change_end) struct change change = { 0 };
	int r = change_begin(v, d->puts + d->removes, &change, e);

	for (size_t i = 0; r == 0 && i < d->removes; i++)
		r = change_doc_remove(&change, d->kind, d->remove[i], e);
	for (size_t i = 0; r == 0 && i < d->puts; i++)
		r = change_doc(&change, d->kind, d->put[i].id,
		               (struct store_bytes){ d->put[i].bytes, d->put[i].len }, e);
	return r == 0 ? change_commit(&change, e) : r;
}

int vault_docs_change(struct vault *v, const struct vault_docs *d, struct err *e)
{
	char name[DOC_NAME_SIZE];
	struct entry **fresh = NULL;
	int r = vault_need_unsealed(v, e);

	if (r == 0)
		r = check_docs(v, d, e);
	if (r < 0 || d->puts + d->removes == 0)
		return r;
	fresh = calloc(d->puts + 1, sizeof(struct entry *));
	if (!fresh || index_reserve(&v->docs, d->puts) < 0)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < d->puts; i++) {
		check_place(d->kind, d->put[i].id, name, NULL);
		fresh[i] = entry_new(name);
		r = fresh[i] ? 0 : -ENOMEM;
	}
	if (r < 0)
		err_set(e, r, "cannot store the %s: out of memory", d->kind);
	if (r == 0)
		r = write_docs(v, d, e);
	if (r == 0)
		publish(v, d, fresh);
	for (size_t i = 0; fresh && i < d->puts; i++)
		entry_free(fresh[i]);
	free(fresh);
	return r;
}

int vault_doc_put(struct vault *v, const char *kind, const char *id, const void *bytes, size_t len,
                  struct err *e)
{
	const struct vault_doc doc = { id, bytes, len };

	return vault_docs_change(v, &(struct vault_docs){ kind, &doc, 1, NULL, 0 }, e);
}

int vault_doc_remove(struct vault *v, const char *kind, const char *id, struct err *e)
{
	return vault_docs_change(v, &(struct vault_docs){ kind, NULL, 0, &id, 1 }, e);
}

int vault_doc_each(struct vault *v, const char *kind, vault_visit_doc visit, void *arg,
                   struct err *e)
{
	char prefix[META_KIND_MAX + 2];
	size_t len;
	int r = vault_need_unsealed(v, e);

	if (r < 0)
		return r;
	if (!is_token(kind, META_KIND_MAX, false))
		return err_set(e, -EINVAL, "the kind of a document is 1 to %d printable characters",
		               META_KIND_MAX);
	len = (size_t)snprintf(prefix, sizeof(prefix), "%s:", kind);
	for (size_t i = index_lower_bound(&v->docs, prefix); r == 0 && i < v->docs.n; i++) {
		SCOPED(encoder_clear) struct encoder plain = { 0 };
		const char *name = v->docs.entry[i]->name;
		struct doc_frame frame;

		if (strncmp(name, prefix, len) != 0)
			break;
		r = vault_read_doc(v, kind, name + len, &plain, &frame, e);
		if (r == -ENOENT)
			r = vault_damaged("document", name + len, e);
		if (r == 0)
			r = visit(arg, name + len, frame.payload.bytes, frame.payload.len);
	}
	return r;
}
