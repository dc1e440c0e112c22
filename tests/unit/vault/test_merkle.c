/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>

#include "fixture.h"
#include "vault/merkle.h"

#define LEAVES 600

static unsigned char keys[LEAVES][MERKLE_HASH_LEN], hashes[LEAVES][MERKLE_HASH_LEN];
static bool present[LEAVES];
static struct merkle *tree;

/* Some keys share a bucket, some share all but the last byte. */
static void setup(void)
{
	randombytes_buf(keys, sizeof(keys));
	randombytes_buf(hashes, sizeof(hashes));
	for (size_t i = 1; i < LEAVES; i += 3) {
		memcpy(keys[i], keys[i - 1], i % 2 ? 2 : MERKLE_HASH_LEN - 1);
		keys[i][MERKLE_HASH_LEN - 1] = (unsigned char)~keys[i - 1][MERKLE_HASH_LEN - 1];
	}
	memset(present, 0, sizeof(present));
	tree = merkle_new();
	ck_assert_ptr_nonnull(tree);
	ck_ok(merkle_reserve(tree, LEAVES));
}

static void teardown(void)
{
	merkle_free(tree);
}

static void set(size_t i, bool there)
{
	merkle_set(tree, keys[i], there ? hashes[i] : NULL);
	present[i] = there;
}

/* --- the definition, written down again without any cleverness --- */

static void blake(const char *domain, const unsigned char *bytes, size_t len, unsigned char *hash)
{
	unsigned char personal[crypto_generichash_blake2b_PERSONALBYTES] = { 0 };

	memcpy(personal, domain, strlen(domain));
	ck_assert_int_eq(crypto_generichash_blake2b_salt_personal(hash, MERKLE_HASH_LEN, bytes, len,
	                                                          NULL, 0, NULL, personal),
	                 0);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(keys[*(const size_t *)a], keys[*(const size_t *)b], MERKLE_HASH_LEN);
}

static void expected_node(unsigned int level, unsigned int first, unsigned char *hash)
{
	static const unsigned char zeros[2 * MERKLE_HASH_LEN];
	unsigned char bytes[2 * MERKLE_HASH_LEN * 8];
	size_t members[LEAVES], n = 0;
	unsigned int width = 65536u >> level;

	for (size_t i = 0; i < LEAVES; i++) {
		unsigned int bucket = keys[i][0] * 256u + keys[i][1];

		if (present[i] && bucket >= first && bucket < first + width)
			members[n++] = i;
	}
	memset(hash, 0, MERKLE_HASH_LEN);
	if (n == 0)
		return;
	if (level == 16) {
		ck_assert_uint_le(n, 8);
		qsort(members, n, sizeof(members[0]), by_key);
		for (size_t i = 0; i < n; i++) {
			memcpy(bytes + 64 * i, keys[members[i]], 32);
			memcpy(bytes + 64 * i + 32, hashes[members[i]], 32);
		}
		blake("coffer bucket 1", bytes, 64 * n, hash);
		return;
	}
	expected_node(level + 1, first, bytes);
	expected_node(level + 1, first + width / 2, bytes + 32);
	ck_assert_int_ne(memcmp(bytes, zeros, sizeof(zeros)), 0);
	blake("coffer node 1", bytes, 64, hash);
}

static void expect_root(void)
{
	unsigned char root[MERKLE_HASH_LEN], expected[MERKLE_HASH_LEN];

	merkle_root(tree, root);
	expected_node(0, 0, expected);
	ck_assert_mem_eq(root, expected, sizeof(root));
}

START_TEST(the_root_is_the_documented_hash_after_any_changes)
{
	size_t n = 0;

	expect_root();
	for (size_t i = 0; i < LEAVES; i++)
		set(i, true);
	ck_assert_uint_eq(merkle_leaves(tree), LEAVES);
	expect_root();
	for (size_t round = 0; round < 20; round++) {
		for (size_t i = 0; i < 30; i++) {
			size_t leaf = randombytes_uniform(LEAVES);

			randombytes_buf(hashes[leaf], MERKLE_HASH_LEN);
			set(leaf, randombytes_uniform(2));
		}
		expect_root();
	}
	for (size_t i = 0; i < LEAVES; i++)
		n += present[i];
	ck_assert_uint_eq(merkle_leaves(tree), n);
	for (size_t i = 0; i < LEAVES; i++)
		set(i, false);
	ck_assert_uint_eq(merkle_leaves(tree), 0);
	expect_root();
}
END_TEST

START_TEST(every_leaf_is_found_and_no_other)
{
	for (size_t i = 0; i < LEAVES; i += 2)
		set(i, true);
	for (size_t i = 0; i < LEAVES; i++) {
		const unsigned char *hash = merkle_get(tree, keys[i]);

		ck_assert(!hash == !present[i]);
		if (hash)
			ck_assert_mem_eq(hash, hashes[i], MERKLE_HASH_LEN);
	}
}
END_TEST

START_TEST(the_order_of_changes_does_not_matter)
{
	unsigned char forward[MERKLE_HASH_LEN], backward[MERKLE_HASH_LEN];

	for (size_t i = 0; i < LEAVES; i++)
		set(i, true);
	merkle_root(tree, forward);
	merkle_free(tree);
	tree = merkle_new();
	ck_ok(merkle_reserve(tree, LEAVES));
	for (size_t i = LEAVES; i-- > 0;) {
		set(i, true);
		if (i % 7 == 0)
			merkle_root(tree, backward);
	}
	merkle_root(tree, backward);
	ck_assert_mem_eq(forward, backward, MERKLE_HASH_LEN);
}
END_TEST

START_TEST(any_change_of_a_leaf_changes_the_root)
{
	unsigned char before[MERKLE_HASH_LEN], after[MERKLE_HASH_LEN];

	for (size_t i = 0; i < LEAVES; i++)
		set(i, true);
	merkle_root(tree, before);
	for (size_t i = 0; i < LEAVES; i++) {
		hashes[i][i % 32] ^= 1;
		set(i, true);
		merkle_root(tree, after);
		ck_assert_mem_ne(before, after, MERKLE_HASH_LEN);
		hashes[i][i % 32] ^= 1;
		set(i, false);
		merkle_root(tree, after);
		ck_assert_mem_ne(before, after, MERKLE_HASH_LEN);
		set(i, true);
		merkle_root(tree, after);
		ck_assert_mem_eq(before, after, MERKLE_HASH_LEN);
	}
}
END_TEST

START_TEST(room_of_removed_leaves_is_used_again)
{
	for (size_t round = 0; round < 10; round++) {
		ck_ok(merkle_reserve(tree, LEAVES));
		for (size_t i = 0; i < LEAVES; i++)
			set(i, true);
		for (size_t i = 0; i < LEAVES; i++)
			set(i, false);
	}
	for (size_t i = 0; i < LEAVES; i++)
		set(i, true);
	ck_ok(merkle_reserve(tree, 1));
	expect_root();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("merkle");
	TCase *tests = tcase_create("merkle");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_root_is_the_documented_hash_after_any_changes);
	tcase_add_test(tests, every_leaf_is_found_and_no_other);
	tcase_add_test(tests, the_order_of_changes_does_not_matter);
	tcase_add_test(tests, any_change_of_a_leaf_changes_the_root);
	tcase_add_test(tests, room_of_removed_leaves_is_used_again);
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
