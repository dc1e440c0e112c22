/* SPDX-License-Identifier: Apache-2.0 */
/* header_parse: the one record in clear. What is taken is within the caps and reads back. */
#include <errno.h>

#include "coffer/json.h"
#include "fuzz.h"
#include "vault/header.h"

static void slots_are_within_caps(const struct header *h)
{
	MUST(h->slots >= 1 && h->slots <= VAULT_SLOTS_MAX);
	for (size_t i = 0; i < h->slots; i++) {
		const struct vault_slot *slot = &h->slot[i];

		MUST(slot->id >= 1 && header_check_slot(slot, NULL) == 0);
		MUST(slot->ops <= VAULT_ARGON_OPS_MAX && slot->memory <= VAULT_ARGON_MEMORY_MAX);
		for (size_t other = 0; other < i; other++)
			MUST(h->slot[other].id != slot->id);
	}
}

static void reads_back(const struct header *h)
{
	char *text = header_text(h), *text_again;
	struct header again;
	struct err e = { 0 };

	MUST(text && strlen(text) <= HEADER_LEN_MAX);
	MUST(header_parse(text, strlen(text), &again, &e) == 0);
	MUST(again.slots == h->slots && strcmp(again.store_id_text, h->store_id_text) == 0);
	MUST(memcmp(again.wrapped, h->wrapped, sizeof(h->wrapped)) == 0);
	text_again = header_text(&again);
	MUST(text_again && strcmp(text, text_again) == 0);
	json_text_free(text_again);
	json_text_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header h = { .slots = 77 };
	struct err e = { 0 };
	int r = header_parse(data, size, &h, &e);

	if (r < 0) {
		MUST((r == -EBADMSG || r == -EPROTONOSUPPORT) && h.slots == 77);
		fuzz_refused(r, &e);
		return 0;
	}
	MUST(strlen(h.store_id_text) == 2 * SEAL_STORE_ID_LEN);
	slots_are_within_caps(&h);
	reads_back(&h);
	return 0;
}
