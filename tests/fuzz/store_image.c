/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of a store, as somebody else may have made it: opened, checked, and its header read, all without a key. */
#include "vault/vault.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *bytes = malloc(size + 1);
	struct store *store = NULL;
	struct vault *v = NULL;
	struct err e = { 0 };
	uint64_t epoch = 0;
	int r;

	MUST(bytes != NULL);
	memcpy(bytes, data, size);
	r = store_sqlite_open_image(bytes, size, &store, &e);
	if (r == 0) {
		r = store_sqlite_check(store, &e);
		if (r < 0)
			store_close(store);
	}
	if (r == 0)
		r = vault_open(store, &v, &e);
	if (r < 0) {
		MUST(!v);
		fuzz_refused(r, &e);
	} else {
		MUST(vault_state(v) == VAULT_SEALED && strlen(vault_store_id(v)) == 32);
		MUST(vault_stored_epoch(v, &epoch, &e) == 0);
		MUST(vault_count(v) == 0 && !vault_audit_seed(v));
	}
	vault_free(v);
	/* It was looked at only. */
	MUST(size == 0 || memcmp(bytes, data, size) == 0);
	free(bytes);
	return 0;
}
