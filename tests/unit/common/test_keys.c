/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/keys.h"

#define MEMORY_LOW (8ULL << 20) /* fast; the default is for people */

static struct secret *filled(size_t len, unsigned char byte)
{
	struct secret *s = secret_new(len);

	ck_assert_ptr_nonnull(s);
	memset(s->bytes, byte, len);
	return s;
}

START_TEST(keyfile_key_is_the_hash_of_the_whole_content)
{
	/* BLAKE2b-256 of this was computed by another implementation (coreutils b2sum -l 256). */
	static const char content[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
	static const char expected[] =
		"2bd32c36e5cb96b33733101f647c07a7bd797c6582cf852d7e3061ab28b02022";
	struct secret *s = secret_copy(content, strlen(content)), *key = NULL;
	char hex[2 * KEYS_LEN + 1];
	struct err e;

	ck_assert_int_eq(keys_from_keyfile(s, &key, &e), 0);
	ck_assert_uint_eq(key->len, KEYS_LEN);
	sodium_bin2hex(hex, sizeof(hex), key->bytes, key->len);
	ck_assert_str_eq(hex, expected);
	secret_free(key);
	secret_free(s);
}
END_TEST

START_TEST(keyfile_of_a_wrong_size_is_refused)
{
	static const struct {
		size_t len;
		int result;
	} rows[] = { { 0, -EINVAL }, { 31, -EINVAL }, { 32, 0 }, { 4096, 0 }, { 4097, -EINVAL } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret *s = filled(rows[i].len, 'x'), *key = NULL;
		struct err e;

		ck_assert_msg(keys_from_keyfile(s, &key, &e) == rows[i].result, "%zu bytes",
		              rows[i].len);
		ck_assert(rows[i].result == 0 ? key != NULL : key == NULL);
		secret_free(key);
		secret_free(s);
	}
}
END_TEST

START_TEST(passphrase_key_depends_on_passphrase_salt_and_cost)
{
	static const struct {
		const char *passphrase;
		unsigned char salt;
		uint64_t ops, memory;
	} rows[] = {
		{ "correct horse", 1, 2, MEMORY_LOW },     { "correct horsf", 1, 2, MEMORY_LOW },
		{ "correct horse", 2, 2, MEMORY_LOW },     { "correct horse", 1, 3, MEMORY_LOW },
		{ "correct horse", 1, 2, 2 * MEMORY_LOW },
	};
	struct secret *keys[5] = { 0 }, *again = NULL;
	unsigned char salt[KEYS_SALT_LEN];
	struct err e;

	for (size_t i = 0; i < 5; i++) {
		struct secret *s = secret_copy(rows[i].passphrase, strlen(rows[i].passphrase));

		memset(salt, rows[i].salt, sizeof(salt));
		ck_assert_int_eq(
			keys_from_passphrase(s, salt, rows[i].ops, rows[i].memory, &keys[i], &e),
			0);
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(memcmp(keys[i]->bytes, keys[j]->bytes, KEYS_LEN) != 0,
			              "rows %zu and %zu give one key", i, j);
		if (i == 4) {
			ck_assert_int_eq(keys_from_passphrase(s, salt, rows[i].ops, rows[i].memory,
			                                      &again, &e),
			                 0);
			ck_assert_mem_eq(again->bytes, keys[i]->bytes, KEYS_LEN);
		}
		secret_free(s);
	}
	for (size_t i = 0; i < 5; i++)
		secret_free(keys[i]);
	secret_free(again);
}
END_TEST

START_TEST(slot_that_asks_for_a_terabyte_is_refused)
{
	static const struct {
		uint64_t ops, memory;
	} rows[] = {
		{ 3, 1ULL << 40 },
		{ 3, KEYS_MEMORY_MAX + 1 },
		{ KEYS_OPS_MAX + 1, MEMORY_LOW },
		{ 0, MEMORY_LOW },
		{ UINT64_MAX, MEMORY_LOW },
		{ 3, UINT64_MAX },
		{ 3, 0 },
		{ 3, 8191 },
	};
	struct secret *s = filled(10, 'x'), *key = NULL;
	unsigned char salt[KEYS_SALT_LEN] = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e;

		ck_assert_msg(keys_from_passphrase(s, salt, rows[i].ops, rows[i].memory, &key,
		                                   &e) == -ERANGE,
		              "row %zu", i);
		ck_assert_ptr_null(key);
	}
	secret_free(s);
}
END_TEST

START_TEST(empty_and_overlong_passphrases_are_refused)
{
	static const size_t lens[] = { 0, KEYS_PASSPHRASE_MAX + 1 };
	unsigned char salt[KEYS_SALT_LEN] = { 0 };

	for (size_t i = 0; i < 2; i++) {
		struct secret *s = filled(lens[i], 'x'), *key = NULL;
		struct err e;

		ck_assert_int_eq(keys_from_passphrase(s, salt, 2, MEMORY_LOW, &key, &e), -EINVAL);
		secret_free(s);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keys");
	TCase *tc = tcase_create("keys");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_add_test(tc, keyfile_key_is_the_hash_of_the_whole_content);
	tcase_add_test(tc, keyfile_of_a_wrong_size_is_refused);
	tcase_add_test(tc, passphrase_key_depends_on_passphrase_salt_and_cost);
	tcase_add_test(tc, slot_that_asks_for_a_terabyte_is_refused);
	tcase_add_test(tc, empty_and_overlong_passphrases_are_refused);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
