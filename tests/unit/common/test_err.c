/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/err.h"

START_TEST(a_sentence_is_set_and_the_code_handed_back)
{
	struct err e = { 0 };

	ck_assert_int_eq(err_set(&e, -EINVAL, "no such %s", "thing"), -EINVAL);
	ck_assert_str_eq(e.text, "no such thing");
}
END_TEST

START_TEST(nobody_listening_is_fine)
{
	ck_assert_int_eq(err_set(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(err_prefix(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(err_errno(NULL, -EIO, "x"), -EIO);
}
END_TEST

START_TEST(context_goes_in_front)
{
	struct err e = { 0 };

	err_set(&e, -ENOENT, "no file");
	ck_assert_int_eq(err_prefix(&e, -ENOENT, "cannot open %s", "it"), -ENOENT);
	ck_assert_str_eq(e.text, "cannot open it: no file");
}
END_TEST

START_TEST(the_system_s_words_come_behind)
{
	struct err e = { 0 };

	ck_assert_int_eq(err_errno(&e, -ENOENT, "cannot open x"), -ENOENT);
	ck_assert_str_eq(e.text, "cannot open x: No such file or directory");
	err_errno(&e, -99999, "odd");
	ck_assert_str_eq(e.text, "odd: error 99999");
}
END_TEST

START_TEST(a_message_may_be_made_from_itself)
{
	struct err e = { 0 };

	err_set(&e, -EIO, "inner");
	err_set(&e, -EIO, "outer (%s)", e.text);
	ck_assert_str_eq(e.text, "outer (inner)");
}
END_TEST

START_TEST(longer_text_is_cut_within_the_array)
{
	struct err e;
	char big[3 * ERR_TEXT_MAX];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	err_set(&e, -EIO, "%s", big);
	ck_assert_uint_eq(strlen(e.text), ERR_TEXT_MAX - 1);
	err_prefix(&e, -EIO, "front");
	ck_assert_uint_eq(strlen(e.text), ERR_TEXT_MAX - 1);
	ck_assert(strncmp(e.text, "front: xxx", 10) == 0);
	err_errno(&e, -EIO, "%s", big);
	ck_assert_uint_eq(strlen(e.text), ERR_TEXT_MAX - 1);
}
END_TEST

START_TEST(a_cut_never_tears_a_character)
{
	/* 2, 3 and 4 bytes each; at one of the offsets the cut falls inside for every one of them.
	 */
	static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91" };

	for (size_t i = 0; i < 3; i++) {
		for (size_t offset = 0; offset < 4; offset++) {
			char big[2 * ERR_TEXT_MAX] = { 0 };
			struct err e;
			size_t size = strlen(characters[i]), len;

			memset(big, 'x', offset);
			for (size_t at = offset; at + size < sizeof(big); at += size)
				memcpy(big + at, characters[i], size);
			err_set(&e, -EIO, "%s", big);
			len = strlen(e.text);
			ck_assert_uint_ge(len, ERR_TEXT_MAX - 4);
			ck_assert_msg((len - offset) % size == 0, "%zu bytes at offset %zu", size,
			              offset);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("err");
	TCase *tests = tcase_create("err");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, a_sentence_is_set_and_the_code_handed_back);
	tcase_add_test(tests, nobody_listening_is_fine);
	tcase_add_test(tests, context_goes_in_front);
	tcase_add_test(tests, the_system_s_words_come_behind);
	tcase_add_test(tests, a_message_may_be_made_from_itself);
	tcase_add_test(tests, longer_text_is_cut_within_the_array);
	tcase_add_test(tests, a_cut_never_tears_a_character);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
