/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "vault/internal.h"

int vault_copy_begin(struct vault *v, struct store_copy **ret, struct err *e)
{
	if (v->state == VAULT_UNINITIALISED)
		return vault_need_unsealed(v, e);
	return store_copy_begin(v->store, ret, e);
}

int vault_stored_epoch(struct vault *v, uint64_t *ret, struct err *e)
{
	SCOPED(free_ptr) void *bytes = NULL;
	unsigned char key[STORE_KEY_LEN];
	struct decoder from;
	size_t len = 0;
	int r;

	vault_single_key(STORE_ROOT, key);
	r = v->store->backend->get(v->store, key, &bytes, &len, e);
	if (r < 0)
		return r;
	if (r == 0 || len != ROOT_LEN)
		return err_set(e, -EBADMSG, "the store is damaged: it has no root record");
	from = (struct decoder){ .bytes = bytes, .left = len };
	decode_bytes(&from, 8);
	*ret = decode_u64(&from);
	return 0;
}

static int count_body(void *arg, const unsigned char key[STORE_KEY_LEN], struct store_bytes value)
{
	(*(uint64_t *)arg)++;
	return 0;
}

/* Every version of one secret opens. */
static int check_secret(struct vault *v, const char *name, uint64_t *versions, struct err *e)
{
	SCOPED(meta_clear) struct meta meta = { 0 };
	int r = vault_read_meta(v, name, &meta, e);

	for (size_t i = 0; r == 0 && i < meta.versions; i++) {
		SCOPED(secret_free_ptr) struct secret *value = NULL;

		r = vault_read_body(v, name, &meta.version[i], &value, e);
		(*versions)++;
	}
	return r;
}

int vault_check(struct vault *v, uint64_t *ret_versions, struct err *e)
{
	uint64_t versions = 0, bodies = 0;
	int r = vault_need_unsealed(v, e);

	for (size_t i = 0; r == 0 && i < v->secrets.n; i++)
		r = check_secret(v, v->secrets.entry[i]->name, &versions, e);
	if (r == 0)
		r = v->store->backend->scan(v->store, STORE_BODY, count_body, &bodies, e);
	if (r == 0 && bodies != versions)
		r = err_set(e, -EBADMSG,
		            "the store is damaged: it holds values that belong to no secret");
	if (r == 0)
		*ret_versions = versions;
	return r;
}
