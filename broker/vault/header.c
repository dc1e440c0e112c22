/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/header.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"

#define WRAPPED_TEXT_LEN (2 * SEAL_WRAPPED_LEN)

static const struct {
	enum vault_slot_kind kind;
	const char *name;
} slot_kinds[] = {
	{ VAULT_SLOT_KEYFILE, "keyfile" },
	{ VAULT_SLOT_PASSPHRASE, "passphrase" },
};

static const char *kind_name(enum vault_slot_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(slot_kinds); i++)
		if (slot_kinds[i].kind == kind)
			return slot_kinds[i].name;
	return NULL;
}

int header_check_slot(const struct vault_slot *slot, struct err *e)
{
	if (!kind_name(slot->kind))
		return err_set(e, -EINVAL,
		               "an unseal slot is a keyfile or a passphrase, not kind %u",
		               (unsigned int)slot->kind);
	if (slot->kind != VAULT_SLOT_PASSPHRASE)
		return 0;
	if (slot->ops < crypto_pwhash_OPSLIMIT_MIN || slot->ops > VAULT_ARGON_OPS_MAX)
		return err_set(e, -EINVAL,
		               "slot %" PRIu32 " asks for %" PRIu64
		               " passes of Argon2id; 1 to %d are allowed",
		               slot->id, slot->ops, VAULT_ARGON_OPS_MAX);
	if (slot->memory < crypto_pwhash_MEMLIMIT_MIN || slot->memory > VAULT_ARGON_MEMORY_MAX)
		return err_set(e, -EINVAL,
		               "slot %" PRIu32 " asks for %" PRIu64
		               " bytes of memory for Argon2id; %u to %llu are allowed",
		               slot->id, slot->memory, (unsigned int)crypto_pwhash_MEMLIMIT_MIN,
		               VAULT_ARGON_MEMORY_MAX);
	return 0;
}

void header_bind_slot(const struct header *h, const struct vault_slot *slot, struct encoder *to)
{
	encode_bytes(to, "cofslot1", 8);
	encode_bytes(to, h->store_id, sizeof(h->store_id));
	encode_u32(to, HEADER_FORMAT);
	encode_u32(to, slot->id);
	encode_u32(to, slot->kind);
	encode_bytes(to, slot->salt, sizeof(slot->salt));
	encode_u64(to, slot->ops);
	encode_u64(to, slot->memory);
}

/* Exactly `len` bytes of lower-case hexadecimal. */
static int get_hex(const json_t *object, const char *field, unsigned char *bytes, size_t len,
                   struct err *e)
{
	const char *text = NULL;
	size_t done = 0;
	int r = json_get_string(object, field, true, &text, e);

	if (r < 0)
		return r;
	if (strlen(text) != 2 * len || strspn(text, "0123456789abcdef") != 2 * len ||
	    sodium_hex2bin(bytes, len, text, 2 * len, NULL, &done, NULL) != 0 || done != len)
		return err_set(e, -EINVAL, "field \"%s\" is not %zu hexadecimal digits", field,
		               2 * len);
	return 0;
}

static int get_kind(const json_t *object, enum vault_slot_kind *ret, struct err *e)
{
	const char *name = NULL;
	int r = json_get_string(object, "kind", true, &name, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(slot_kinds); i++) {
		if (strcmp(slot_kinds[i].name, name) == 0) {
			*ret = slot_kinds[i].kind;
			return 0;
		}
	}
	return err_set(e, -EINVAL, "a slot is of no kind that this version knows");
}

static int parse_slot(const json_t *object, struct header *h, struct err *e)
{
	static const char *const keyfile_keys[] = { "id", "kind", "wrapped", NULL };
	static const char *const passphrase_keys[] = { "id",     "kind",    "salt", "ops",
		                                       "memory", "wrapped", NULL };
	struct vault_slot *slot = &h->slot[h->slots];
	int64_t id = 0, ops = 0, memory = 0;
	int r;

	if (!json_is_object(object))
		return err_set(e, -EINVAL, "a slot is not an object");
	r = get_kind(object, &slot->kind, e);
	if (r == 0)
		r = json_only_keys(
			object,
			slot->kind == VAULT_SLOT_PASSPHRASE ? passphrase_keys : keyfile_keys, e);
	if (r == 0)
		r = json_get_int(object, "id", true, 1, UINT32_MAX, &id, e);
	if (r == 0)
		r = get_hex(object, "wrapped", h->wrapped[h->slots], SEAL_WRAPPED_LEN, e);
	if (r == 0 && slot->kind == VAULT_SLOT_PASSPHRASE) {
		r = get_hex(object, "salt", slot->salt, sizeof(slot->salt), e);
		if (r == 0)
			r = json_get_int(object, "ops", true, 0, INT64_MAX, &ops, e);
		if (r == 0)
			r = json_get_int(object, "memory", true, 0, INT64_MAX, &memory, e);
	}
	if (r < 0)
		return r;
	slot->id = (uint32_t)id;
	slot->ops = (uint64_t)ops;
	slot->memory = (uint64_t)memory;
	for (size_t i = 0; i < h->slots; i++)
		if (h->slot[i].id == slot->id)
			return err_set(e, -EINVAL, "two slots have the number %" PRIu32, slot->id);
	r = header_check_slot(slot, e);
	if (r == 0)
		h->slots++;
	return r;
}

static int parse_object(const json_t *object, struct header *h, struct err *e)
{
	static const char *const keys[] = { "format", "store_id", "slots", NULL };
	int64_t format = 0;
	json_t *slots = NULL;
	int r;

	if (!json_is_object(object))
		return err_set(e, -EINVAL, "it is not an object");
	r = json_get_int(object, "format", true, 0, INT64_MAX, &format, e);
	if (r < 0)
		return r;
	if (format != HEADER_FORMAT)
		return err_set(e, -EPROTONOSUPPORT,
		               "it has format %" PRId64
		               ", this cofferd reads format %d: use the version of Coffer "
		               "that wrote it",
		               format, HEADER_FORMAT);
	r = json_only_keys(object, keys, e);
	if (r == 0)
		r = get_hex(object, "store_id", h->store_id, sizeof(h->store_id), e);
	if (r == 0)
		r = json_get_array(object, "slots", true, VAULT_SLOTS_MAX, &slots, e);
	for (size_t i = 0; r == 0 && i < json_array_size(slots); i++)
		r = parse_slot(json_array_get(slots, i), h, e);
	if (r == 0 && h->slots == 0)
		return err_set(e, -EINVAL, "it has no unseal slot");
	return r;
}

int header_parse(const void *bytes, size_t len, struct header *ret, struct err *e)
{
	SCOPED(json_ptr) json_t *object = NULL;
	struct header h = { 0 };
	int r;

	if (len > HEADER_LEN_MAX)
		return err_set(e, -EBADMSG, "the store's header is damaged: it is %zu bytes long",
		               len);
	r = json_parse(bytes, len, &object, e);
	if (r == 0)
		r = parse_object(object, &h, e);
	if (r == -EPROTONOSUPPORT)
		return err_prefix(e, r, "cannot use this store");
	if (r < 0)
		return r == -ENOMEM
		               ? r
		               : err_prefix(e, -EBADMSG, "the store's header is damaged or forged");
	sodium_bin2hex(h.store_id_text, sizeof(h.store_id_text), h.store_id, sizeof(h.store_id));
	*ret = h;
	return 0;
}

static json_t *slot_object(const struct header *h, size_t i)
{
	const struct vault_slot *slot = &h->slot[i];
	char wrapped[WRAPPED_TEXT_LEN + 1], salt[2 * VAULT_SALT_LEN + 1];

	sodium_bin2hex(wrapped, sizeof(wrapped), h->wrapped[i], SEAL_WRAPPED_LEN);
	if (slot->kind != VAULT_SLOT_PASSPHRASE)
		return json_pack("{s:I, s:s, s:s}", "id", (json_int_t)slot->id, "kind",
		                 kind_name(slot->kind), "wrapped", wrapped);
	sodium_bin2hex(salt, sizeof(salt), slot->salt, sizeof(slot->salt));
	return json_pack("{s:I, s:s, s:s, s:I, s:I, s:s}", "id", (json_int_t)slot->id, "kind",
	                 kind_name(slot->kind), "salt", salt, "ops", (json_int_t)slot->ops,
	                 "memory", (json_int_t)slot->memory, "wrapped", wrapped);
}

char *header_text(const struct header *h)
{
	SCOPED(json_ptr) json_t *object = NULL;
	json_t *slots = json_array(); /* owned by object once packed */

	for (size_t i = 0; slots && i < h->slots; i++) {
		if (json_array_append_new(slots, slot_object(h, i)) != 0) {
			json_decref(slots);
			return NULL;
		}
	}
	object = json_pack("{s:i, s:s, s:o}", "format", HEADER_FORMAT, "store_id", h->store_id_text,
	                   "slots", slots);
	return object ? json_text(object) : NULL;
}
