/* SPDX-License-Identifier: Apache-2.0 */
/* The headers that we write are tar's, and what is none is refused. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tar.h"

START_TEST(a_header_reads_back)
{
	static const uint64_t sizes[] = { 0, 1, 511, 512, 077777777777ULL };
	unsigned char block[TAR_BLOCK];
	char name[TAR_NAME_MAX + 1];
	uint64_t size = 1;

	for (size_t i = 0; i < 5; i++) {
		tar_header("coffer-backup/store.db", sizes[i], 1795500476, block);
		ck_assert_int_eq(tar_parse(block, name, &size), 0);
		ck_assert_str_eq(name, "coffer-backup/store.db");
		ck_assert_uint_eq(size, sizes[i]);
	}
}
END_TEST

START_TEST(any_byte_changed_is_noticed)
{
	unsigned char block[TAR_BLOCK];
	char name[TAR_NAME_MAX + 1];
	uint64_t size;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		tar_header("a", 77, 1, block);
		block[i] ^= 1;
		/* The last byte of the sum's own field is not looked at by anybody. */
		ck_assert_msg(tar_parse(block, name, &size) != 0 || i == 155, "byte %zu", i);
	}
	memset(block, 0, sizeof(block));
	ck_assert_int_ne(tar_parse(block, name, &size), 0);
}
END_TEST

START_TEST(padding_fills_blocks)
{
	ck_assert_uint_eq(tar_padded(0), 0);
	ck_assert_uint_eq(tar_padded(1), 512);
	ck_assert_uint_eq(tar_padded(512), 512);
	ck_assert_uint_eq(tar_padded(513), 1024);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tar");
	TCase *tests = tcase_create("tar");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, a_header_reads_back);
	tcase_add_test(tests, any_byte_changed_is_noticed);
	tcase_add_test(tests, padding_fills_blocks);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
