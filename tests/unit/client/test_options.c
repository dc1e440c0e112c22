/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define WORDS_MAX 8

static const struct option_row common[] = { { "runtime-dir", "DIR", false, "" },
	                                    { "help", NULL, false, "" },
	                                    { 0 } };
static const struct option_row own[] = { { "label", "K=V", true, "" },
	                                 { "file", "F", false, "" },
	                                 { "number", "N", false, "" },
	                                 { 0 } };

struct line {
	const char *word[WORDS_MAX];
};

/* options_rest wants writable pointers to words. */
static int count(const struct line *line, char *argv[WORDS_MAX])
{
	int argc = 0;

	for (; argc < WORDS_MAX && line->word[argc]; argc++)
		argv[argc] = (char *)(uintptr_t)line->word[argc];
	return argc;
}

START_TEST(words_and_options_mix_in_any_order)
{
	static const struct line lines[] = {
		{ { "a", "b", "--file", "f", "--runtime-dir=/r" } },
		{ { "--file=f", "a", "--runtime-dir", "/r", "b" } },
		{ { "--runtime-dir", "/r", "--file", "f", "--", "a", "b" } },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *argv[WORDS_MAX];
		struct options o;
		struct err e;
		int argc = count(&lines[i], argv);

		options_begin(&o, common);
		ck_assert_msg(options_rest(&o, own, argc, argv, &e) == 0, "line %zu", i);
		ck_assert_uint_eq(o.words, 2);
		ck_assert_str_eq(o.word[0], "a");
		ck_assert_str_eq(o.word[1], "b");
		ck_assert_str_eq(options_text(&o, "file", 0), "f");
		ck_assert_str_eq(options_text(&o, "runtime-dir", 0), "/r");
		ck_assert(!options_has(&o, "help"));
	}
}
END_TEST

START_TEST(wrong_options_are_refused)
{
	static const struct line lines[] = {
		{ { "--nothing" } },
		{ { "-x" } },
		{ { "--file" } },
		{ { "--help=yes" } },
		{ { "--file=a", "--file=b" } },
		{ { "--fil", "x" } },
		{ { "---file", "x" } },
		{ { "--=x" } },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *argv[WORDS_MAX];
		struct options o;
		struct err e;

		options_begin(&o, common);
		ck_assert_msg(options_rest(&o, own, count(&lines[i], argv), argv, &e) == -EINVAL,
		              "line %zu", i);
	}
}
END_TEST

START_TEST(unknown_option_is_named_without_its_value)
{
	char word[] = "--pass\033word=hunter2", *argv[] = { word };
	struct options o;
	struct err e;

	options_begin(&o, common);
	ck_assert_int_eq(options_rest(&o, own, 1, argv, &e), -EINVAL);
	ck_assert_ptr_null(strstr(e.text, "hunter2"));
	ck_assert_ptr_null(strchr(e.text, '\033'));
	ck_assert_ptr_nonnull(strstr(e.text, "--pass"));
}
END_TEST

START_TEST(leading_options_end_at_the_first_word)
{
	static const struct line line = { { "--runtime-dir", "/r", "put", "--file", "f" } };
	char *argv[WORDS_MAX];
	struct options o;
	struct err e;
	int argc = count(&line, argv);

	options_begin(&o, common);
	ck_assert_int_eq(options_leading(&o, argc, argv, &e), 2);
	ck_assert_int_eq(options_rest(&o, own, argc - 3, argv + 3, &e), 0);
	ck_assert_str_eq(options_text(&o, "runtime-dir", 0), "/r");
	ck_assert_str_eq(options_text(&o, "file", 0), "f");
}
END_TEST

START_TEST(repeated_options_keep_their_order)
{
	static const struct line line = { { "--label", "a=1", "--label=b=2" } };
	char *argv[WORDS_MAX];
	struct options o;
	struct err e;

	options_begin(&o, common);
	ck_assert_int_eq(options_rest(&o, own, count(&line, argv), argv, &e), 0);
	ck_assert_str_eq(options_text(&o, "label", 0), "a=1");
	ck_assert_str_eq(options_text(&o, "label", 1), "b=2");
	ck_assert_ptr_null(options_text(&o, "label", 2));
}
END_TEST

START_TEST(numbers_are_whole_decimal_and_in_range)
{
	static const struct {
		const char *text;
		int result;
		int64_t value;
	} rows[] = {
		{ "0", 1, 0 },         { "100", 1, 100 },
		{ "101", -EINVAL, 0 }, { "-1", -EINVAL, 0 },
		{ "", -EINVAL, 0 },    { "5x", -EINVAL, 0 },
		{ " 5", -EINVAL, 0 },  { "+5", -EINVAL, 0 },
		{ "0x5", -EINVAL, 0 }, { "99999999999999999999", -EINVAL, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char number[] = "--number", *argv[] = { number, (char *)(uintptr_t)rows[i].text };
		struct options o;
		struct err e;
		int64_t value = 0;

		options_begin(&o, common);
		ck_assert_int_eq(options_rest(&o, own, 2, argv, &e), 0);
		ck_assert_msg(options_number(&o, "number", 0, 100, &value, &e) == rows[i].result,
		              "\"%s\"", rows[i].text);
		ck_assert_int_eq(value, rows[i].value);
	}
}
END_TEST

START_TEST(more_options_than_there_is_room_for_are_refused)
{
	char label[] = "--label=a=b", *argv[OPTIONS_GIVEN_MAX + 1];
	struct options o;
	struct err e;

	for (int i = 0; i <= OPTIONS_GIVEN_MAX; i++)
		argv[i] = label;
	options_begin(&o, common);
	ck_assert_int_eq(options_rest(&o, own, OPTIONS_GIVEN_MAX, argv, &e), 0);
	options_begin(&o, common);
	ck_assert_int_eq(options_rest(&o, own, OPTIONS_GIVEN_MAX + 1, argv, &e), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tc = tcase_create("options");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	tcase_add_test(tc, words_and_options_mix_in_any_order);
	tcase_add_test(tc, wrong_options_are_refused);
	tcase_add_test(tc, unknown_option_is_named_without_its_value);
	tcase_add_test(tc, leading_options_end_at_the_first_word);
	tcase_add_test(tc, repeated_options_keep_their_order);
	tcase_add_test(tc, numbers_are_whole_decimal_and_in_range);
	tcase_add_test(tc, more_options_than_there_is_room_for_are_refused);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
