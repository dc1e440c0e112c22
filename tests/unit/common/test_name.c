/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"

#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *name;
	bool good;
} names[] = {
	{ "a", true },
	{ "0", true },
	{ "db-password", true },
	{ "team/web/tls.key", true },
	{ "a/b/c/d/e/f/g/h", true },
	{ "a_b.c-d", true },
	{ "a..b", true },
	{ A50 A50 A50 A50 A50 "aaaaa", true },
	{ A50 A50 A50 A50 A50 "aaaaaa", false },
	{ "", false },
	{ "/", false },
	{ "/a", false },
	{ "a/", false },
	{ "a//b", false },
	{ ".", false },
	{ "..", false },
	{ "a/../b", false },
	{ "a/./b", false },
	{ ".hidden", false },
	{ "a/.hidden", false },
	{ "-option", false },
	{ "_x", false },
	{ "Upper", false },
	{ "a b", false },
	{ "a\n", false },
	{ "a\x1b[31m", false },
	{ "\xc3\xa9", false },
	{ "a/b/c/d/e/f/g/h/i", false },
};

START_TEST(names_follow_the_rule)
{
	struct err e = { 0 };
	int r = name_check(names[_i].name, &e);

	ck_assert_msg(r == (names[_i].good ? 0 : -EINVAL), "\"%s\": %d %s", names[_i].name, r,
	              e.text);
	ck_assert_int_eq(name_check_path(names[_i].name, NULL), r);
	if (!names[_i].good)
		ck_assert_msg(strlen(e.text) > 20, "\"%s\" has no reason", names[_i].name);
}
END_TEST

START_TEST(a_refusal_shows_no_control_bytes)
{
	struct err e = { 0 };

	name_check("a\x1b[31m\n", &e);
	ck_assert_ptr_nonnull(strstr(e.text, "a\\x1b[31m\\x0a"));
	for (const char *c = e.text; *c; c++)
		ck_assert_int_ge(*c, 0x20);
}
END_TEST

START_TEST(a_prefix_is_a_name_and_one_slash)
{
	ck_assert_int_eq(name_check_prefix("tls/", NULL), 0);
	ck_assert_int_eq(name_check_prefix("a/b/", NULL), 0);
	ck_assert_int_eq(name_check_prefix("tls", NULL), -EINVAL);
	ck_assert_int_eq(name_check_prefix("tls//", NULL), -EINVAL);
	ck_assert_int_eq(name_check_prefix("/", NULL), -EINVAL);
	ck_assert_int_eq(name_check_prefix("", NULL), -EINVAL);
	ck_assert_int_eq(name_check_prefix("../", NULL), -EINVAL);
}
END_TEST

START_TEST(the_last_segment_is_behind_the_last_slash)
{
	ck_assert_str_eq(name_last_segment("a/b/c"), "c");
	ck_assert_str_eq(name_last_segment("c"), "c");
}
END_TEST

START_TEST(a_prefix_matches_whole_segments_only)
{
	ck_assert(name_has_prefix("tls/key", "tls/"));
	ck_assert(name_has_prefix("tls/a/key", "tls/"));
	ck_assert(!name_has_prefix("tlskey", "tls/"));
	ck_assert(!name_has_prefix("tls", "tls/"));
	ck_assert(!name_has_prefix("tls/", "tls/"));
	ck_assert(!name_has_prefix("tls/key", "tls"));
	ck_assert(!name_has_prefix("a/tls/key", "tls/"));
	ck_assert(!name_has_prefix("x", ""));
}
END_TEST

static const struct {
	const char *text;
	size_t len, size;
	const char *shown;
} escapes[] = {
	{ "plain text", 10, 64, "plain text" },
	{ "a\0b", 3, 64, "a\\x00b" },
	{ "\x1b\r\n\x7f\xff\\", 6, 64, "\\x1b\\x0d\\x0a\\x7f\\xff\\x5c" },
	{ "", 0, 64, "" },
	{ "abcdef", 6, 7, "abcdef" },
	{ "abcdefg", 7, 7, "abc..." },
	{ "ab\n\n", 4, 8, "ab..." },
	{ "\n\n", 2, 9, "\\x0a\\x0a" },
	{ "\n\n\n", 3, 9, "\\x0a..." },
	{ "abc", 3, 3, ".." },
	{ "abc", 3, 1, "" },
};

START_TEST(escaped_text_is_safe_and_fits)
{
	char buffer[64];

	memset(buffer, '#', sizeof(buffer));
	ck_assert_ptr_eq(name_escape(escapes[_i].text, escapes[_i].len, buffer, escapes[_i].size),
	                 buffer);
	ck_assert_str_eq(buffer, escapes[_i].shown);
	for (size_t i = escapes[_i].size; i < sizeof(buffer); i++)
		ck_assert_int_eq(buffer[i], '#');
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name");
	TCase *tests = tcase_create("name");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, names_follow_the_rule, 0, ARRAY_LEN(names));
	tcase_add_test(tests, a_refusal_shows_no_control_bytes);
	tcase_add_test(tests, a_prefix_is_a_name_and_one_slash);
	tcase_add_test(tests, the_last_segment_is_behind_the_last_slash);
	tcase_add_test(tests, a_prefix_matches_whole_segments_only);
	tcase_add_loop_test(tests, escaped_text_is_safe_and_fits, 0, ARRAY_LEN(escapes));
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
