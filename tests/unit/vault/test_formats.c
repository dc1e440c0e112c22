/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure parts: what is sealed opens under the same conditions only, and decoders take nothing
 * but what encoders make.
 */
#include "coffer/json.h"
#include "fixture.h"
#include "vault/header.h"
#include "vault/meta.h"
#include "vault/root.h"

static struct secret *keys;
static const struct seal_keys *k;

static void setup(void)
{
	SCOPED(secret_free_ptr) struct secret *root = secret_new(SEAL_KEY_LEN);
	static const unsigned char id[SEAL_STORE_ID_LEN] = "the-store-is-it";

	memset(root->bytes, 9, root->len);
	ck_ok(seal_keys_derive(root, id, &keys));
	k = seal_keys(keys);
}

static void teardown(void)
{
	secret_free(keys);
}

START_TEST(derived_keys_are_those_of_crypto_kdf)
{
	const unsigned char *derived[] = { k->name, k->doc, k->wrap, k->mac, k->audit };
	unsigned char root[32], expected[32];

	memset(root, 9, sizeof(root));
	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		crypto_kdf_derive_from_key(expected, sizeof(expected), i + 1, "coffer01", root);
		ck_assert_mem_eq(derived[i], expected, sizeof(expected));
		for (size_t j = 0; j < i; j++)
			ck_assert_mem_ne(derived[i], derived[j], 32);
	}
}
END_TEST

static const struct seal_place places[] = {
	{ "secret", "a", 1 }, { "secret", "a", 2 }, { "secret", "b", 1 },
	{ "secre", "ta", 1 }, { "secret", "", 1 },  { "secret", "a", 1ULL << 32 },
	{ "grant", "a", 1 },
};

START_TEST(every_place_has_a_record_key_of_its_own)
{
	unsigned char key[2 * ARRAY_LEN(places)][STORE_KEY_LEN];

	for (size_t i = 0; i < ARRAY_LEN(key); i++) {
		enum store_class class = i < ARRAY_LEN(places) ? STORE_DOC : STORE_BODY;

		seal_record_key(k, class, &places[i % ARRAY_LEN(places)], key[i]);
		ck_assert_int_eq(key[i][0], class);
		for (size_t j = 0; j < i; j++)
			ck_assert_mem_ne(key[i] + 1, key[j] + 1, STORE_KEY_LEN - 1);
	}
}
END_TEST

static struct store_bytes bytes_of(const struct encoder *e)
{
	return (struct store_bytes){ e->bytes, e->len };
}

START_TEST(a_body_opens_in_its_own_place_only)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy("value", 5), *got = NULL;
	SCOPED(encoder_clear) struct encoder body = { 0 };
	const struct store_bytes meta = { "meta", 4 }, other = { "metb", 4 };

	ck_ok(seal_body(k, &places[0], meta, value, &body));
	for (size_t i = 1; i < ARRAY_LEN(places); i++)
		ck_assert_int_eq(seal_body_open(k, &places[i], meta, bytes_of(&body), &got),
		                 -EBADMSG);
	ck_assert_int_eq(seal_body_open(k, &places[0], other, bytes_of(&body), &got), -EBADMSG);
	ck_assert_ptr_null(got);
	ck_ok(seal_body_open(k, &places[0], meta, bytes_of(&body), &got));
	ck_assert_uint_eq(got->len, 5);
	ck_assert_mem_eq(got->bytes, "value", 5);
}
END_TEST

START_TEST(two_bodies_of_one_value_share_nothing)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_new(64);
	SCOPED(encoder_clear) struct encoder one = { 0 }, two = { 0 };
	const struct store_bytes meta = { "meta", 4 };

	ck_ok(seal_body(k, &places[0], meta, value, &one));
	ck_ok(seal_body(k, &places[0], meta, value, &two));
	ck_assert_uint_eq(one.len, 72 + 24 + 64 + 16);
	ck_assert_uint_eq(one.len, two.len);
	for (size_t i = 0; i + 8 <= one.len; i += 8)
		ck_assert_mem_ne(one.bytes + i, two.bytes + i, 8);
}
END_TEST

START_TEST(a_document_opens_under_its_own_key_only)
{
	SCOPED(encoder_clear) struct encoder sealed = { 0 }, plain = { 0 };
	unsigned char key[STORE_KEY_LEN] = { STORE_DOC, 1 };

	ck_ok(seal_doc(k, key, (struct store_bytes){ "text", 4 }, &sealed));
	ck_ok(seal_doc_open(k, key, bytes_of(&sealed), &plain));
	ck_assert_uint_eq(plain.len, 4);
	ck_assert_mem_eq(plain.bytes, "text", 4);
	for (size_t i = 0; i < sizeof(key); i++) {
		key[i] ^= 0x80;
		ck_assert_int_eq(seal_doc_open(k, key, bytes_of(&sealed), &plain), -EBADMSG);
		key[i] ^= 0x80;
	}
}
END_TEST

START_TEST(the_root_record_is_maced)
{
	struct root root = { .epoch = 7,
		             .leaves = 3,
		             .time_ns = -5,
		             .tree = { 1 },
		             .header = { 2 } },
		    got = { 0 };
	unsigned char bytes[ROOT_LEN];
	struct store_bytes record = { bytes, ROOT_LEN };

	root_encode(k, &root, bytes);
	ck_ok(root_decode(k, record, &got));
	ck_assert_mem_eq(&root, &got, sizeof(root));
	for (size_t bit = 0; bit < ROOT_LEN * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		ck_assert_int_eq(root_decode(k, record, &got), -EBADMSG);
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	for (record.len = 0; record.len < ROOT_LEN; record.len++)
		ck_assert_int_eq(root_decode(k, record, &got), -EBADMSG);
}
END_TEST

static void encode_meta(struct encoder *to)
{
	static const struct vault_label labels[] = {
		{ (char *)(uintptr_t) "k", (char *)(uintptr_t) "v" },
		{ (char *)(uintptr_t) "stage", (char *)(uintptr_t) "" }
	};
	struct meta m = { .next = 9, .versions = 2 };

	m.version[0].version = (struct vault_version){ .number = 3, .created_ns = 1, .size = 5 };
	m.version[1].version = (struct vault_version){ .number = 8,
		                                       .created_ns = 2,
		                                       .expires_ns = 4,
		                                       .size = 6,
		                                       .flags = VAULT_PRIVATE_KEY,
		                                       .labels = 2,
		                                       .label = labels };
	memset(m.version[1].body, 6, SEAL_HASH_LEN);
	meta_encode(&m, to);
	ck_assert(!to->failed);
}

START_TEST(metadata_comes_back_as_it_was)
{
	SCOPED(encoder_clear) struct encoder bytes = { 0 };
	SCOPED(meta_clear) struct meta m = { 0 };

	encode_meta(&bytes);
	ck_ok(meta_decode(bytes_of(&bytes), &m));
	ck_assert_uint_eq(m.next, 9);
	ck_assert_uint_eq(m.versions, 2);
	ck_assert_ptr_null(meta_find(&m, 4));
	ck_assert_ptr_eq(meta_find(&m, 8), &m.version[1]);
	ck_assert_str_eq(m.version[1].version.label[1].key, "stage");
	ck_assert_int_eq(m.version[1].version.expires_ns, 4);
	ck_assert_uint_eq(m.version[1].version.flags, VAULT_PRIVATE_KEY);
	ck_assert_uint_eq(m.version[1].body[31], 6);
	meta_drop_oldest(&m);
	ck_assert_uint_eq(m.version[0].version.number, 8);
}
END_TEST

START_TEST(cut_or_lengthened_metadata_is_refused)
{
	SCOPED(encoder_clear) struct encoder bytes = { 0 };
	struct meta m;

	encode_meta(&bytes);
	encode_u8(&bytes, 0);
	for (size_t len = 0; len <= bytes.len; len++) {
		int r = meta_decode((struct store_bytes){ bytes.bytes, len }, &m);

		ck_assert_msg(r == (len == bytes.len - 1 ? 0 : -EBADMSG), "%zu bytes: %d", len, r);
		meta_clear(&m);
	}
}
END_TEST

/* Nothing of this opens with a key; but a decoder must hold whatever comes. */
START_TEST(damaged_metadata_never_reads_beyond_its_bytes)
{
	SCOPED(encoder_clear) struct encoder bytes = { 0 };
	struct doc_frame frame;
	struct meta m;

	encode_meta(&bytes);
	for (unsigned int i = 0; i < 200000; i++) {
		size_t at = randombytes_uniform((uint32_t)bytes.len);
		unsigned char before = bytes.bytes[at], *copy;
		size_t len = bytes.len - randombytes_uniform(4);

		bytes.bytes[at] = (unsigned char)randombytes_uniform(256);
		copy = malloc(len); /* of its own, so that a sanitizer sees its end */
		memcpy(copy, bytes.bytes, len);
		meta_decode((struct store_bytes){ copy, len }, &m);
		meta_clear(&m);
		doc_decode((struct store_bytes){ copy, len }, &frame);
		free(copy);
		bytes.bytes[at] = before;
	}
}
END_TEST

START_TEST(a_header_comes_back_as_it_was)
{
	struct header h = { .slots = 2 }, got;
	char *text;

	randombytes_buf(h.store_id, sizeof(h.store_id));
	sodium_bin2hex(h.store_id_text, sizeof(h.store_id_text), h.store_id, sizeof(h.store_id));
	h.slot[0] = (struct vault_slot){ .id = 1, .kind = VAULT_SLOT_KEYFILE };
	h.slot[1] = (struct vault_slot){ .id = UINT32_MAX,
		                         .kind = VAULT_SLOT_PASSPHRASE,
		                         .ops = VAULT_ARGON_OPS_MAX,
		                         .memory = VAULT_ARGON_MEMORY_MAX };
	randombytes_buf(h.slot[1].salt, VAULT_SALT_LEN);
	randombytes_buf(h.wrapped, sizeof(h.wrapped[0]) * 2);
	text = header_text(&h);
	ck_assert_ptr_nonnull(text);
	ck_ok(header_parse(text, strlen(text), &got, &fix.err));
	ck_assert_mem_eq(&got, &h, sizeof(h));
	for (size_t len = 0; len < strlen(text); len++)
		ck_assert_int_eq(header_parse(text, len, &got, &fix.err), -EBADMSG);
	json_text_free(text);
}
END_TEST

START_TEST(an_overlong_header_is_not_even_parsed)
{
	char *text = malloc(HEADER_LEN_MAX + 1);
	struct header h;

	memset(text, ' ', HEADER_LEN_MAX + 1);
	ck_assert_int_eq(header_parse(text, HEADER_LEN_MAX + 1, &h, &fix.err), -EBADMSG);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("formats");
	TCase *tests = tcase_create("formats");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, derived_keys_are_those_of_crypto_kdf);
	tcase_add_test(tests, every_place_has_a_record_key_of_its_own);
	tcase_add_test(tests, a_body_opens_in_its_own_place_only);
	tcase_add_test(tests, two_bodies_of_one_value_share_nothing);
	tcase_add_test(tests, a_document_opens_under_its_own_key_only);
	tcase_add_test(tests, the_root_record_is_maced);
	tcase_add_test(tests, metadata_comes_back_as_it_was);
	tcase_add_test(tests, cut_or_lengthened_metadata_is_refused);
	tcase_add_test(tests, damaged_metadata_never_reads_beyond_its_bytes);
	tcase_add_test(tests, a_header_comes_back_as_it_was);
	tcase_add_test(tests, an_overlong_header_is_not_even_parsed);
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
