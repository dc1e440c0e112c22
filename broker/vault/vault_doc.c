/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
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

int vault_doc_put(struct vault *v, const char *kind, const char *id, const void *bytes, size_t len,
                  struct err *e)
{
	SCOPED(change_end) struct change change = { 0 };
	SCOPED(entry_free_ptr) struct entry *entry = NULL;
	char name[DOC_NAME_SIZE];
	int r = vault_need_unsealed(v, e);

	if (r == 0)
		r = check_place(kind, id, name, e);
	if (r < 0)
		return r;
	if (len > VAULT_DOC_MAX)
		return err_set(e, -EFBIG, "a document has at most %d bytes, not %zu", VAULT_DOC_MAX,
		               len);
	entry = entry_new(name);
	if (!entry || index_reserve(&v->docs, 1) < 0)
		return err_set(e, -ENOMEM, "cannot store the %s: out of memory", kind);
	r = change_begin(v, 1, &change, e);
	if (r == 0)
		r = change_doc(&change, kind, id, (struct store_bytes){ bytes, len }, e);
	if (r == 0)
		r = change_commit(&change, e);
	if (r == 0)
		index_put(&v->docs, TAKE_PTR(entry));
	return r;
}

int vault_doc_remove(struct vault *v, const char *kind, const char *id, struct err *e)
{
	SCOPED(change_end) struct change change = { 0 };
	char name[DOC_NAME_SIZE];
	int r = vault_need_unsealed(v, e);

	if (r == 0)
		r = check_place(kind, id, name, e);
	if (r < 0)
		return r;
	if (!index_find(&v->docs, name))
		return err_set(e, -ENOENT, "there is no %s \"%s\"", kind, id);
	r = change_begin(v, 1, &change, e);
	if (r == 0)
		r = change_doc_remove(&change, kind, id, e);
	if (r == 0)
		r = change_commit(&change, e);
	if (r == 0)
		index_remove(&v->docs, name);
	return r;
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
