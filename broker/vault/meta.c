/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/meta.h"

#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"

int doc_encode(const char *kind, const char *id, struct store_bytes payload, struct encoder *to)
{
	encode_u8(to, META_FORMAT);
	encode_text(to, kind);
	encode_text(to, id);
	encode_bytes(to, payload.bytes, payload.len);
	return to->failed ? -ENOMEM : 0;
}

int doc_decode(struct store_bytes plain, struct doc_frame *ret)
{
	struct decoder from = { .bytes = plain.bytes, .left = plain.len };

	if (decode_u8(&from) != META_FORMAT)
		return -EBADMSG;
	decode_text(&from, ret->kind, sizeof(ret->kind));
	decode_text(&from, ret->id, sizeof(ret->id));
	if (from.failed)
		return -EBADMSG;
	ret->payload = (struct store_bytes){ from.bytes, from.left };
	return 0;
}

void meta_encode_version(const struct vault_version *version, struct encoder *to)
{
	encode_u64(to, version->number);
	encode_u64(to, (uint64_t)version->created_ns);
	encode_u64(to, (uint64_t)version->expires_ns);
	encode_u64(to, version->size);
	encode_u32(to, version->flags);
	encode_u16(to, (uint16_t)version->labels);
	for (size_t i = 0; i < version->labels; i++) {
		encode_text(to, version->label[i].key);
		encode_text(to, version->label[i].value);
	}
}

void meta_encode(const struct meta *m, struct encoder *to)
{
	encode_u64(to, m->next);
	encode_u16(to, (uint16_t)m->versions);
	for (size_t i = 0; i < m->versions; i++) {
		encode_bytes(to, m->version[i].body, SEAL_HASH_LEN);
		meta_encode_version(&m->version[i].version, to);
	}
}

static int decode_labels(struct decoder *from, struct vault_version *ret)
{
	char text[VAULT_LABELS_MAX][2][VAULT_LABEL_LEN_MAX + 1];
	struct vault_label label[VAULT_LABELS_MAX];
	uint32_t n = decode_u16(from);
	int r;

	if (n > VAULT_LABELS_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		decode_text(from, text[i][0], sizeof(text[i][0]));
		decode_text(from, text[i][1], sizeof(text[i][1]));
		label[i] = (struct vault_label){ .key = text[i][0], .value = text[i][1] };
	}
	if (from->failed)
		return -EBADMSG;
	r = labels_copy(label, n, &ret->label);
	if (r == 0)
		ret->labels = n;
	return r;
}

/* Labels come last, so that on failure there is nothing to free. */
static int decode_version(struct decoder *from, struct meta_version *ret)
{
	const unsigned char *body = decode_bytes(from, SEAL_HASH_LEN);
	struct vault_version *v = &ret->version;

	*ret = (struct meta_version){ 0 };
	v->number = decode_u64(from);
	v->created_ns = (int64_t)decode_u64(from);
	v->expires_ns = (int64_t)decode_u64(from);
	v->size = decode_u64(from);
	v->flags = decode_u32(from);
	if (!body || from->failed || v->size > SECRET_VALUE_MAX || v->expires_ns < 0)
		return -EBADMSG;
	memcpy(ret->body, body, SEAL_HASH_LEN);
	return decode_labels(from, v);
}

int meta_decode(struct store_bytes payload, struct meta *ret)
{
	struct decoder from = { .bytes = payload.bytes, .left = payload.len };
	uint64_t last = 0;
	size_t count;

	ret->versions = 0;
	ret->next = decode_u64(&from);
	count = decode_u16(&from);
	if (from.failed || count > VAULT_KEEP_VERSIONS)
		return -EBADMSG;
	while (ret->versions < count) {
		struct meta_version *version = &ret->version[ret->versions++];
		int r = decode_version(&from, version);

		if (r < 0)
			return r;
		if (version->version.number <= last)
			return -EBADMSG;
		last = version->version.number;
	}
	return decode_done(&from) && ret->next > last ? 0 : -EBADMSG;
}

void meta_clear(struct meta *m)
{
	for (size_t i = 0; i < m->versions; i++)
		labels_free(m->version[i].version.label);
	m->versions = 0;
}

const struct meta_version *meta_find(const struct meta *m, uint64_t number)
{
	for (size_t i = 0; i < m->versions; i++)
		if (m->version[i].version.number == number)
			return &m->version[i];
	return NULL;
}

void meta_drop_oldest(struct meta *m)
{
	labels_free(m->version[0].version.label);
	m->versions--;
	memmove(&m->version[0], &m->version[1], m->versions * sizeof(m->version[0]));
}
