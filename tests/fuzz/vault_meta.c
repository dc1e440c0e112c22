/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc_decode and meta_decode: one spelling for each content. What is taken, written again, is the
 * very bytes it came from. Input: a document; its payload is read as a secret's versions.
 */
#include <errno.h>

#include "fuzz.h"
#include "vault/meta.h"

static bool same(const struct encoder *written, struct store_bytes was)
{
	return !written->failed && written->len == was.len &&
	       (was.len == 0 || memcmp(written->bytes, was.bytes, was.len) == 0);
}

static void versions_make_sense(const struct meta *m)
{
	uint64_t last = 0;

	MUST(m->versions <= VAULT_KEEP_VERSIONS);
	for (size_t i = 0; i < m->versions; i++) {
		const struct vault_version *v = &m->version[i].version;

		MUST(v->number > last && v->number < m->next);
		MUST(v->size <= SECRET_VALUE_MAX && v->expires_ns >= 0);
		MUST(v->labels <= VAULT_LABELS_MAX && (v->labels == 0 || v->label));
		for (size_t l = 0; l < v->labels; l++)
			MUST(strlen(v->label[l].key) <= VAULT_LABEL_LEN_MAX &&
			     strlen(v->label[l].value) <= VAULT_LABEL_LEN_MAX);
		MUST(meta_find(m, v->number) == &m->version[i]);
		last = v->number;
	}
	MUST(!meta_find(m, m->next));
}

static void versions(struct store_bytes payload)
{
	struct encoder written = { 0 };
	struct meta m;
	int r = meta_decode(payload, &m);

	if (r == 0) {
		versions_make_sense(&m);
		meta_encode(&m, &written);
		MUST(same(&written, payload));
		while (m.versions > 0)
			meta_drop_oldest(&m);
	} else {
		MUST(r == -EBADMSG);
	}
	encoder_clear(&written);
	meta_clear(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct store_bytes bytes = { data, size };
	struct encoder written = { 0 };
	struct doc_frame frame;
	int r = doc_decode(bytes, &frame);

	versions(bytes);
	if (r < 0) {
		MUST(r == -EBADMSG);
		return 0;
	}
	MUST(strlen(frame.kind) <= META_KIND_MAX && strlen(frame.id) <= META_ID_MAX);
	MUST(frame.payload.len <= size);
	MUST(doc_encode(frame.kind, frame.id, frame.payload, &written) == 0);
	MUST(same(&written, bytes));
	encoder_clear(&written);
	versions(frame.payload);
	return 0;
}
