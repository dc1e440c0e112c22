/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "coffer/cleanup.h"

_Static_assert(SEAL_KEY_LEN == crypto_kdf_KEYBYTES, "root key");
_Static_assert(SEAL_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "sealing key");
_Static_assert(SEAL_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(SEAL_TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");

#define KDF_CONTEXT "coffer01"      /* crypto_kdf_CONTEXTBYTES; from the root key */
#define KDF_SLOT_CONTEXT "cofwrap1" /* from a slot's key */

/* First eight bytes of associated data: what is sealed, and in which layout. */
#define BOUND_DOC "cofdocu1"
#define BOUND_DATA_KEY "cofdkey1"
#define BOUND_BODY "cofbody1"

int seal_keys_derive(const struct secret *root, const unsigned char store_id[SEAL_STORE_ID_LEN],
                     struct secret **ret)
{
	SCOPED(secret_free_ptr) struct secret *keys = secret_new(sizeof(struct seal_keys));
	struct seal_keys *k;

	if (!keys)
		return -ENOMEM;
	k = (struct seal_keys *)keys->bytes;
	unsigned char *derived[] = { k->name, k->doc, k->wrap, k->mac, k->audit };

	memcpy(k->root, root->bytes, SEAL_KEY_LEN);
	memcpy(k->store_id, store_id, SEAL_STORE_ID_LEN);
	for (size_t i = 0; i < ARRAY_LEN(derived); i++)
		crypto_kdf_derive_from_key(derived[i], SEAL_KEY_LEN, i + 1, KDF_CONTEXT, k->root);
	*ret = TAKE_PTR(keys);
	return 0;
}

/* nonce | ciphertext | tag, to `out` of plain.len + SEAL_OVERHEAD bytes. */
static void aead_seal(const unsigned char key[SEAL_KEY_LEN], struct store_bytes bound,
                      struct store_bytes plain, unsigned char *out)
{
	randombytes_buf(out, SEAL_NONCE_LEN);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + SEAL_NONCE_LEN, NULL, plain.bytes,
	                                           plain.len, bound.bytes, bound.len, NULL, out,
	                                           key);
}

/* To `plain` of sealed.len - SEAL_OVERHEAD bytes, which is wiped by libsodium if it does not open.
 */
static int aead_open(const unsigned char key[SEAL_KEY_LEN], struct store_bytes bound,
                     struct store_bytes sealed, unsigned char *plain)
{
	const unsigned char *bytes = sealed.bytes;

	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, bytes + SEAL_NONCE_LEN,
	                                               sealed.len - SEAL_NONCE_LEN, bound.bytes,
	                                               bound.len, bytes, key) != 0)
		return -EBADMSG;
	return 0;
}

/* The key that wraps: never the slot's key itself, which the client also holds. */
static int slot_wrapping_key(const struct secret *slot_key, struct secret **ret)
{
	struct secret *key;

	if (slot_key->len != SEAL_KEY_LEN)
		return -EKEYREJECTED;
	key = secret_new(SEAL_KEY_LEN);
	if (!key)
		return -ENOMEM;
	crypto_kdf_derive_from_key(key->bytes, SEAL_KEY_LEN, 1, KDF_SLOT_CONTEXT, slot_key->bytes);
	*ret = key;
	return 0;
}

int seal_root_key(const struct secret *slot_key, struct store_bytes bound,
                  const unsigned char root[SEAL_KEY_LEN], unsigned char wrapped[SEAL_WRAPPED_LEN])
{
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	int r = slot_wrapping_key(slot_key, &key);

	if (r < 0)
		return r;
	aead_seal(key->bytes, bound, (struct store_bytes){ root, SEAL_KEY_LEN }, wrapped);
	return 0;
}

int seal_root_key_open(const struct secret *slot_key, struct store_bytes bound,
                       const unsigned char wrapped[SEAL_WRAPPED_LEN], struct secret **ret)
{
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	SCOPED(secret_free_ptr) struct secret *root = secret_new(SEAL_KEY_LEN);
	int r;

	if (!root)
		return -ENOMEM;
	r = slot_wrapping_key(slot_key, &key);
	if (r < 0)
		return r;
	if (aead_open(key->bytes, bound, (struct store_bytes){ wrapped, SEAL_WRAPPED_LEN },
	              root->bytes) < 0)
		return -EKEYREJECTED;
	*ret = TAKE_PTR(root);
	return 0;
}

static crypto_generichash_blake2b_state hash_begin(const char *domain, const unsigned char *key)
{
	crypto_generichash_blake2b_state state;
	unsigned char personal[crypto_generichash_blake2b_PERSONALBYTES] = { 0 };

	memcpy(personal, domain, strnlen(domain, sizeof(personal)));
	crypto_generichash_blake2b_init_salt_personal(&state, key, key ? SEAL_KEY_LEN : 0,
	                                              SEAL_HASH_LEN, NULL, personal);
	return state;
}

void seal_hash(const char *domain, struct store_bytes bytes, unsigned char hash[SEAL_HASH_LEN])
{
	crypto_generichash_blake2b_state state = hash_begin(domain, NULL);

	crypto_generichash_blake2b_update(&state, bytes.bytes, bytes.len);
	crypto_generichash_blake2b_final(&state, hash, SEAL_HASH_LEN);
}

void seal_mac(const unsigned char key[SEAL_KEY_LEN], const char *domain, struct store_bytes bytes,
              unsigned char mac[SEAL_HASH_LEN])
{
	crypto_generichash_blake2b_state state = hash_begin(domain, key);

	crypto_generichash_blake2b_update(&state, bytes.bytes, bytes.len);
	crypto_generichash_blake2b_final(&state, mac, SEAL_HASH_LEN);
	sodium_memzero(&state, sizeof(state));
}

static void hash_text(crypto_generichash_blake2b_state *state, const char *text)
{
	size_t len = strlen(text);
	unsigned char prefix[2] = { (unsigned char)len, (unsigned char)(len >> 8) };

	crypto_generichash_blake2b_update(state, prefix, sizeof(prefix));
	crypto_generichash_blake2b_update(state, (const unsigned char *)text, len);
}

void seal_record_key(const struct seal_keys *k, enum store_class class,
                     const struct seal_place *place, unsigned char key[STORE_KEY_LEN])
{
	crypto_generichash_blake2b_state state = hash_begin("coffer name 1", k->name);
	unsigned char number[8];

	key[0] = (unsigned char)class;
	for (size_t i = 0; i < sizeof(number); i++)
		number[i] = (unsigned char)(place->number >> (8 * i));
	crypto_generichash_blake2b_update(&state, key, 1);
	hash_text(&state, place->kind);
	hash_text(&state, place->id);
	crypto_generichash_blake2b_update(&state, number, sizeof(number));
	crypto_generichash_blake2b_final(&state, key + 1, SEAL_HASH_LEN);
	sodium_memzero(&state, sizeof(state));
}

static struct store_bytes encoded(const struct encoder *e)
{
	return (struct store_bytes){ e->bytes, e->len };
}

static void bind_doc(const struct seal_keys *k, const unsigned char key[STORE_KEY_LEN],
                     struct encoder *to)
{
	encode_bytes(to, BOUND_DOC, 8);
	encode_bytes(to, k->store_id, SEAL_STORE_ID_LEN);
	encode_bytes(to, key, STORE_KEY_LEN);
}

int seal_doc(const struct seal_keys *k, const unsigned char key[STORE_KEY_LEN],
             struct store_bytes plain, struct encoder *to)
{
	SCOPED(encoder_clear) struct encoder bound = { 0 };
	unsigned char *room = encode_room(to, plain.len + SEAL_OVERHEAD);

	bind_doc(k, key, &bound);
	if (!room || bound.failed)
		return -ENOMEM;
	aead_seal(k->doc, encoded(&bound), plain, room);
	return 0;
}

int seal_doc_open(const struct seal_keys *k, const unsigned char key[STORE_KEY_LEN],
                  struct store_bytes sealed, struct encoder *to)
{
	SCOPED(encoder_clear) struct encoder bound = { 0 };
	unsigned char *room;

	if (sealed.len <= SEAL_OVERHEAD) /* no document is empty */
		return -EBADMSG;
	room = encode_room(to, sealed.len - SEAL_OVERHEAD);
	bind_doc(k, key, &bound);
	if (!room || bound.failed)
		return -ENOMEM;
	return aead_open(k->doc, encoded(&bound), sealed, room);
}

/* Both halves of a body are bound to the place; the value also to the version's metadata. */
static void bind_body(const struct seal_keys *k, const char what[static 8],
                      const struct seal_place *place, struct encoder *to)
{
	encode_bytes(to, what, 8);
	encode_bytes(to, k->store_id, SEAL_STORE_ID_LEN);
	encode_text(to, place->kind);
	encode_text(to, place->id);
	encode_u64(to, place->number);
}

int seal_body(const struct seal_keys *k, const struct seal_place *place, struct store_bytes meta,
              const struct secret *value, struct encoder *to)
{
	SCOPED(encoder_clear) struct encoder bound_key = { 0 }, bound_value = { 0 };
	SCOPED(secret_free_ptr) struct secret *data_key = secret_new(SEAL_KEY_LEN);
	unsigned char *room = encode_room(to, SEAL_WRAPPED_LEN + value->len + SEAL_OVERHEAD);

	bind_body(k, BOUND_DATA_KEY, place, &bound_key);
	bind_body(k, BOUND_BODY, place, &bound_value);
	encode_bytes(&bound_value, meta.bytes, meta.len);
	if (!data_key || !room || bound_key.failed || bound_value.failed)
		return -ENOMEM;
	randombytes_buf(data_key->bytes, data_key->len);
	aead_seal(k->wrap, encoded(&bound_key),
	          (struct store_bytes){ data_key->bytes, data_key->len }, room);
	aead_seal(data_key->bytes, encoded(&bound_value),
	          (struct store_bytes){ value->bytes, value->len }, room + SEAL_WRAPPED_LEN);
	return 0;
}

int seal_body_open(const struct seal_keys *k, const struct seal_place *place,
                   struct store_bytes meta, struct store_bytes body, struct secret **ret)
{
	SCOPED(encoder_clear) struct encoder bound_key = { 0 }, bound_value = { 0 };
	SCOPED(secret_free_ptr) struct secret *data_key = secret_new(SEAL_KEY_LEN);
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	struct store_bytes sealed;
	int r;

	if (body.len < SEAL_WRAPPED_LEN + SEAL_OVERHEAD ||
	    body.len > SEAL_WRAPPED_LEN + SEAL_OVERHEAD + SECRET_VALUE_MAX)
		return -EBADMSG;
	sealed.bytes = (const unsigned char *)body.bytes + SEAL_WRAPPED_LEN;
	sealed.len = body.len - SEAL_WRAPPED_LEN;
	value = secret_new(sealed.len - SEAL_OVERHEAD);
	bind_body(k, BOUND_DATA_KEY, place, &bound_key);
	bind_body(k, BOUND_BODY, place, &bound_value);
	encode_bytes(&bound_value, meta.bytes, meta.len);
	if (!data_key || !value || bound_key.failed || bound_value.failed)
		return -ENOMEM;
	r = aead_open(k->wrap, encoded(&bound_key),
	              (struct store_bytes){ body.bytes, SEAL_WRAPPED_LEN }, data_key->bytes);
	if (r == 0)
		r = aead_open(data_key->bytes, encoded(&bound_value), sealed, value->bytes);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(value);
	return 0;
}
