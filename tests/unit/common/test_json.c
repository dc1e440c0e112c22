/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/secret.h"

#define LITERAL(text) text, sizeof(text) - 1

static json_t *parsed(const char *text)
{
	json_t *value = NULL;
	struct err e = { 0 };

	ck_assert_msg(json_parse(text, strlen(text), &value, &e) == 0, "%s: %s", text, e.text);
	return value;
}

static const struct {
	const char *text;
	size_t len;
	const char *says;
} bad[] = {
	{ LITERAL(""), "ends too early" },
	{ LITERAL("{"), "ends too early" },
	{ LITERAL("{\"a\":1}x"), "behind its end" },
	{ LITERAL("{} {}"), "behind its end" },
	{ LITERAL("{\"a\":1,\"a\":2}"), "twice" },
	{ LITERAL("{\"a\":{\"b\":1,\"b\":1}}"), "twice" },
	{ LITERAL("{\"a\":\"x\0y\"}"), "NUL" },
	{ LITERAL("{}\0"), "NUL" },
	{ LITERAL("\"a\\u0000b\""), "NUL" },
	{ LITERAL("{\"a\\u0000b\":1}"), "NUL" },
	{ LITERAL("\"\xff\""), "UTF-8" },
	{ LITERAL("\"\xc0\xaf\""), "UTF-8" },
	{ LITERAL("\"\xed\xa0\x80\""), "UTF-8" },
	{ LITERAL("99999999999999999999"), "out of range" },
	{ LITERAL("{'a':1}"), "malformed" },
	{ LITERAL("[1,]"), "malformed" },
	{ LITERAL("[1 2]"), "malformed" },
	{ LITERAL("nul"), "malformed" },
	{ LITERAL("01"), "" },
	{ LITERAL("\"a\nb\""), "malformed" },
};

START_TEST(what_is_not_strict_json_is_refused)
{
	struct err e = { 0 };
	json_t *value = NULL;

	ck_assert_msg(json_parse(bad[_i].text, bad[_i].len, &value, &e) == -EINVAL, "row %d", _i);
	ck_assert_ptr_null(value);
	ck_assert_msg(strstr(e.text, bad[_i].says) != NULL, "row %d: %s", _i, e.text);
}
END_TEST

START_TEST(a_message_about_bad_json_shows_nothing_of_it)
{
	static const char *const texts[] = { "{\"value\":\"hunter2\"", "{\"value\":hunter2}",
		                             "{\"hunter2\":1,\"hunter2\":1}",
		                             "\"hunter2\" \"hunter2\"" };
	json_t *value = NULL;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err e = { 0 };

		ck_assert_int_eq(json_parse(texts[i], strlen(texts[i]), &value, &e), -EINVAL);
		ck_assert_msg(!strstr(e.text, "hunter"), "%s", e.text);
	}
}
END_TEST

/* `depth` brackets opened and closed. */
static int parse_nested(int depth, char open, char close)
{
	SCOPED(json_ptr) json_t *value = NULL;
	char *text = calloc(1, 6 * (size_t)depth + 2), *at = text;
	int r;

	for (int i = 0; i < depth; i++) {
		*at++ = open;
		if (open == '{' && i + 1 < depth)
			at = stpcpy(at, "\"a\":");
	}
	for (int i = 0; i < depth; i++)
		*at++ = close;
	r = json_parse(text, strlen(text), &value, NULL);
	free(text);
	return r;
}

START_TEST(nesting_has_a_limit)
{
	ck_assert_int_eq(parse_nested(JSON_DEPTH_LIMIT, '[', ']'), 0);
	ck_assert_int_eq(parse_nested(JSON_DEPTH_LIMIT, '{', '}'), 0);
	ck_assert_int_eq(parse_nested(JSON_DEPTH_LIMIT + 1, '[', ']'), -EINVAL);
	ck_assert_int_eq(parse_nested(JSON_DEPTH_LIMIT + 1, '{', '}'), -EINVAL);
	ck_assert_int_eq(parse_nested(100000, '[', ']'), -EINVAL);
}
END_TEST

START_TEST(brackets_in_text_are_no_nesting)
{
	SCOPED(json_ptr)
	json_t *value = parsed("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[\\\\\"");

	ck_assert(json_is_string(value));
}
END_TEST

START_TEST(siblings_are_no_nesting)
{
	SCOPED(json_ptr)
	json_t *value = parsed("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
	                       "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]");

	ck_assert_uint_eq(json_array_size(value), 40);
}
END_TEST

START_TEST(fields_are_read_by_type)
{
	SCOPED(json_ptr)
	json_t *o = parsed("{\"s\":\"x\",\"i\":-3,\"b\":true,\"a\":[1,2],\"o\":{\"k\":1}}");
	const char *s = NULL;
	json_t *a = NULL, *inner = NULL;
	int64_t i = 0;
	bool b = false;

	ck_assert_int_eq(json_get_string(o, "s", true, &s, NULL), 0);
	ck_assert_str_eq(s, "x");
	ck_assert_int_eq(json_get_int(o, "i", true, -3, 3, &i, NULL), 0);
	ck_assert_int_eq(i, -3);
	ck_assert_int_eq(json_get_bool(o, "b", true, &b, NULL), 0);
	ck_assert(b);
	ck_assert_int_eq(json_get_array(o, "a", true, 2, &a, NULL), 0);
	ck_assert_uint_eq(json_array_size(a), 2);
	ck_assert_int_eq(json_get_object(o, "o", true, &inner, NULL), 0);
	ck_assert_uint_eq(json_object_size(inner), 1);
}
END_TEST

START_TEST(a_wrong_or_missing_field_is_named)
{
	SCOPED(json_ptr)
	json_t *o = parsed("{\"s\":1,\"i\":\"1\",\"r\":1.0,\"b\":1,\"a\":{},\"o\":[],\"n\":null}");
	json_t *value = NULL;
	const char *s = "kept";
	struct err e;
	int64_t i = 7;
	bool b = true;

	ck_assert_int_eq(json_get_string(o, "s", false, &s, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "\"s\""));
	ck_assert_int_eq(json_get_int(o, "i", false, 0, 9, &i, &e), -EINVAL);
	ck_assert_int_eq(json_get_int(o, "r", false, 0, 9, &i, &e), -EINVAL);
	ck_assert_int_eq(json_get_bool(o, "b", false, &b, &e), -EINVAL);
	ck_assert_int_eq(json_get_array(o, "a", false, 9, &value, &e), -EINVAL);
	ck_assert_int_eq(json_get_object(o, "o", false, &value, &e), -EINVAL);
	ck_assert_int_eq(json_get_string(o, "n", true, &s, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "missing"));
	ck_assert_int_eq(json_get_string(o, "absent", true, &s, &e), -EINVAL);
	ck_assert_int_eq(json_get_string(NULL, "absent", true, &s, &e), -EINVAL);
	ck_assert_str_eq(s, "kept");
	ck_assert_int_eq(i, 7);
	ck_assert(b);
	ck_assert_ptr_null(value);
}
END_TEST

START_TEST(an_optional_field_may_be_absent_or_null)
{
	SCOPED(json_ptr) json_t *o = parsed("{\"n\":null}");
	const char *s = "kept";
	int64_t i = 7;

	ck_assert_int_eq(json_get_string(o, "n", false, &s, NULL), 0);
	ck_assert_int_eq(json_get_string(o, "absent", false, &s, NULL), 0);
	ck_assert_int_eq(json_get_int(o, "n", false, 0, 1, &i, NULL), 0);
	ck_assert_str_eq(s, "kept");
	ck_assert_int_eq(i, 7);
}
END_TEST

START_TEST(numbers_and_lists_have_bounds)
{
	SCOPED(json_ptr) json_t *o = parsed("{\"i\":10,\"a\":[1,2,3]}");
	json_t *a = NULL;
	int64_t i = 0;

	ck_assert_int_eq(json_get_int(o, "i", true, 0, 9, &i, NULL), -EINVAL);
	ck_assert_int_eq(json_get_int(o, "i", true, 11, 20, &i, NULL), -EINVAL);
	ck_assert_int_eq(json_get_int(o, "i", true, 10, 10, &i, NULL), 0);
	ck_assert_int_eq(json_get_array(o, "a", true, 2, &a, NULL), -EINVAL);
	ck_assert_int_eq(json_get_array(o, "a", true, 3, &a, NULL), 0);
}
END_TEST

START_TEST(an_unknown_key_is_named_and_escaped)
{
	static const char *const known[] = { "a", "b", NULL };
	SCOPED(json_ptr) json_t *good = parsed("{\"a\":1,\"b\":2}");
	SCOPED(json_ptr) json_t *wrong = parsed("{\"a\":1,\"c\\u001b\":2}");
	struct err e = { 0 };

	ck_assert_int_eq(json_only_keys(good, known, &e), 0);
	ck_assert_int_eq(json_only_keys(wrong, known, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "\"c\\x1b\""));
}
END_TEST

START_TEST(text_is_compact_and_in_the_order_of_insertion)
{
	SCOPED(json_ptr) json_t *o = parsed(" { \"z\" : [ 1 , null ] ,\n \"a\" : \"\\n\" } ");
	SCOPED(json_text_ptr) char *text = json_text(o);

	ck_assert_str_eq(text, "{\"z\":[1,null],\"a\":\"\\n\"}");
}
END_TEST

START_TEST(a_value_of_full_size_goes_through)
{
	size_t len = SECRET_VALUE_MAX / 3 * 4;
	char *raw = malloc(len + 3);
	SCOPED(json_ptr) json_t *value = NULL;
	SCOPED(json_text_ptr) char *text = NULL;

	memset(raw, 'A', len + 2);
	raw[0] = raw[len + 1] = '"';
	ck_assert_int_eq(json_parse(raw, len + 2, &value, NULL), 0);
	ck_assert_uint_eq(json_string_length(value), len);
	text = json_text(value);
	ck_assert_ptr_nonnull(text);
	ck_assert(memcmp(text, raw, len + 2) == 0);
	free(raw);
}
END_TEST

static const struct {
	const char *text;
	int result;
	bool real; /* of the field "n" */
} foreign[] = {
	{ "{\"n\":18446744073709551615}", 0, true },
	{ "{\"n\":-18446744073709551615}", 0, true },
	{ "{\"n\":999999999999999999}", 0, false },
	{ "{\"n\":-7,\"t\":\"18446744073709551615 \\\" 18446744073709551615\"}", 0, false },
	{ "{\"n\":[18446744073709551615,18446744073709551615]}", 0, false },
	{ "{\"n\":1.5e3}", 0, true },
	{ "{\"n\":18446744073709551615e1}", 0, true },
	{ "{\"n\":1e999}", -EINVAL, false },
	{ "{\"n\":0000000000000000000000}", -EINVAL, false },
	{ "{\"n\":18446744073709551615", -EINVAL, false },
	{ "{\"n\":1,\"n\":2}", -EINVAL, false },
	{ "\"", -EINVAL, false },
	{ "\"\\", -EINVAL, false },
	{ "", -EINVAL, false },
};

START_TEST(limits_that_other_programs_write_are_taken_as_some_number)
{
	SCOPED(json_ptr) json_t *value = NULL;
	struct err e = { "" };
	int r = json_parse_foreign(foreign[_i].text, strlen(foreign[_i].text), &value, &e);

	ck_assert_msg(r == foreign[_i].result, "%s: %d %s", foreign[_i].text, r, e.text);
	if (r == 0)
		ck_assert_msg(json_is_real(json_object_get(value, "n")) == foreign[_i].real, "%s",
		              foreign[_i].text);
}
END_TEST

START_TEST(text_that_looks_like_a_large_number_stays_as_it_is)
{
	static const char text[] =
		"{\"a\":\"\\\"18446744073709551615\",\"18446744073709551615\":1}";
	SCOPED(json_ptr) json_t *value = NULL;

	ck_assert_int_eq(json_parse_foreign(text, strlen(text), &value, NULL), 0);
	ck_assert_str_eq(json_string_value(json_object_get(value, "a")), "\"18446744073709551615");
	ck_assert(json_is_integer(json_object_get(value, "18446744073709551615")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tests = tcase_create("json");
	SRunner *runner;
	int failed;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	json_use_secret_memory();
	tcase_add_loop_test(tests, what_is_not_strict_json_is_refused, 0, ARRAY_LEN(bad));
	tcase_add_loop_test(tests, limits_that_other_programs_write_are_taken_as_some_number, 0,
	                    ARRAY_LEN(foreign));
	tcase_add_test(tests, text_that_looks_like_a_large_number_stays_as_it_is);
	tcase_add_test(tests, a_message_about_bad_json_shows_nothing_of_it);
	tcase_add_test(tests, nesting_has_a_limit);
	tcase_add_test(tests, brackets_in_text_are_no_nesting);
	tcase_add_test(tests, siblings_are_no_nesting);
	tcase_add_test(tests, fields_are_read_by_type);
	tcase_add_test(tests, a_wrong_or_missing_field_is_named);
	tcase_add_test(tests, an_optional_field_may_be_absent_or_null);
	tcase_add_test(tests, numbers_and_lists_have_bounds);
	tcase_add_test(tests, an_unknown_key_is_named_and_escaped);
	tcase_add_test(tests, text_is_compact_and_in_the_order_of_insertion);
	tcase_add_test(tests, a_value_of_full_size_goes_through);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
