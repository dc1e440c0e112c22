/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hook_state.h"

#define GOOD                                                                             \
	"{\"ociVersion\":\"1.0.2\",\"id\":\"web\",\"status\":\"creating\",\"pid\":4242," \
	"\"bundle\":\"/run/b\",\"annotations\":{\"app\":\"payments\"}}"
#define STATE(id, status, pid, bundle, rest)                                         \
	"{\"ociVersion\":\"1.0.2\",\"id\":" id ",\"status\":" status ",\"pid\":" pid \
	",\"bundle\":" bundle rest "}"
#define CREATING "\"creating\""

START_TEST(state_of_a_container_being_created_is_read)
{
	struct hook_state s = { 0 };
	struct err e;

	ck_assert_int_eq(hook_state_parse(GOOD, strlen(GOOD), &s, &e), 0);
	ck_assert_int_eq(s.stage, HOOK_CREATE);
	ck_assert_str_eq(s.id, "web");
	ck_assert_int_eq(s.pid, 4242);
	ck_assert_str_eq(s.bundle, "/run/b");
	ck_assert_str_eq(json_string_value(json_object_get(s.annotations, "app")), "payments");
	hook_state_clear(&s);
}
END_TEST

START_TEST(stage_follows_from_the_status)
{
	static const struct {
		const char *text;
		enum hook_stage stage;
		int pid;
	} rows[] = {
		{ STATE("\"a\"", CREATING, "2", "\"/b\"", ""), HOOK_CREATE, 2 },
		{ STATE("\"a\"", "\"created\"", "4194304", "\"/b\"", ""), HOOK_CREATE, 4194304 },
		{ STATE("\"a\"", "\"stopped\"", "0", "\"/b\"", ""), HOOK_STOP, 0 },
		{ STATE("\"a\"", "\"stopped\"", "77", "\"/b\"", ""), HOOK_STOP, 77 },
		{ STATE("\"a\"", "\"stopped\"", "null", "\"/b\"", ""), HOOK_STOP, 0 },
		{ STATE("\"a\"", CREATING, "2", "\"/b\"", ",\"annotations\":null"), HOOK_CREATE,
		  2 },
		{ STATE("\"a\"", CREATING, "2", "\"/b\"", ",\"root\":\"/x\""), HOOK_CREATE, 2 },
		{ STATE("\"a/b:c\"", CREATING, "2", "\"/a..b/...\"", ""), HOOK_CREATE, 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hook_state s = { 0 };
		struct err e = { "" };

		ck_assert_msg(hook_state_parse(rows[i].text, strlen(rows[i].text), &s, &e) == 0,
		              "row %zu: %s", i, e.text);
		ck_assert_int_eq(s.stage, rows[i].stage);
		ck_assert_int_eq(s.pid, rows[i].pid);
		hook_state_clear(&s);
	}
}
END_TEST

static const char *const hostile[] = {
	"",
	"null",
	"[]",
	"{}",
	"{",
	"\"creating\"",
	GOOD "x",
	GOOD GOOD,
	/* duplicate keys: which id would it be? */
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"id\":\"victim\""),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"pid\":1"),
	/* pids of nobody, of init, of no int */
	STATE("\"a\"", CREATING, "-1", "\"/b\"", ""),
	STATE("\"a\"", CREATING, "0", "\"/b\"", ""),
	STATE("\"a\"", CREATING, "1", "\"/b\"", ""),
	STATE("\"a\"", CREATING, "4194305", "\"/b\"", ""),
	STATE("\"a\"", CREATING, "4294967298", "\"/b\"", ""),
	STATE("\"a\"", CREATING, "99999999999999999999", "\"/b\"", ""),
	STATE("\"a\"", CREATING, "\"9\"", "\"/b\"", ""),
	STATE("\"a\"", CREATING, "9.5", "\"/b\"", ""),
	STATE("\"a\"", CREATING, "null", "\"/b\"", ""),
	STATE("\"a\"", "\"stopped\"", "-9", "\"/b\"", ""),
	/* ids */
	STATE("\"\"", CREATING, "9", "\"/b\"", ""),
	STATE("\"a\\nb\"", CREATING, "9", "\"/b\"", ""),
	STATE("\"a\\u0000b\"", CREATING, "9", "\"/b\"", ""),
	STATE("\"a\\u001b[2J\"", CREATING, "9", "\"/b\"", ""),
	STATE("\"\\u00e4\"", CREATING, "9", "\"/b\"", ""),
	STATE("7", CREATING, "9", "\"/b\"", ""),
	STATE("null", CREATING, "9", "\"/b\"", ""),
	/* bundles */
	STATE("\"a\"", CREATING, "9", "\"\"", ""),
	STATE("\"a\"", CREATING, "9", "\"b\"", ""),
	STATE("\"a\"", CREATING, "9", "\"../../x\"", ""),
	STATE("\"a\"", CREATING, "9", "\"/run/../etc\"", ""),
	STATE("\"a\"", CREATING, "9", "\"/run/..\"", ""),
	STATE("\"a\"", CREATING, "9", "\"/..\"", ""),
	STATE("\"a\"", CREATING, "9", "[\"/b\"]", ""),
	/* stages */
	STATE("\"a\"", "\"running\"", "9", "\"/b\"", ""),
	STATE("\"a\"", "\"Creating\"", "9", "\"/b\"", ""),
	STATE("\"a\"", "\"\"", "9", "\"/b\"", ""),
	STATE("\"a\"", "3", "9", "\"/b\"", ""),
	"{\"id\":\"a\",\"status\":\"creating\",\"pid\":9,\"bundle\":\"/b\"}",
	/* annotations */
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":[]"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"\":\"x\"}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"k\":1}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"k\":{}}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"k\":\"\\u0000\"}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"k\\n\":\"x\"}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"../../x\":\"x\"}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"a/../x\":\"x\"}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"k\":\"../../x\"}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"k\":\"..\"}"),
	STATE("\"a\"", CREATING, "9", "\"/b\"", ",\"annotations\":{\"k\":\"x\",\"k\":\"y\"}"),
	/* no UTF-8 */
	STATE("\"a\"", CREATING, "9", "\"/b\xff\"", ""),
};

START_TEST(hostile_state_is_refused)
{
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct hook_state s = { 0 };
		struct err e = { "" };

		ck_assert_msg(hook_state_parse(hostile[i], strlen(hostile[i]), &s, &e) == -EINVAL,
		              "row %zu: %s", i, hostile[i]);
		ck_assert_msg(e.text[0], "row %zu has no sentence", i);
		ck_assert_ptr_null(s.root);
	}
}
END_TEST

/* A state with `field` made of `len` times `byte`. */
static char *stuffed(const char *before, size_t len, const char *after)
{
	char *text = malloc(strlen(before) + len + strlen(after) + 1);

	ck_assert_ptr_nonnull(text);
	strcpy(text, before);
	memset(text + strlen(before), 'x', len);
	strcpy(text + strlen(before) + len, after);
	return text;
}

START_TEST(sizes_are_bounded)
{
#define HEAD "{\"ociVersion\":\"1\",\"status\":\"creating\",\"pid\":9,"
#define BODY HEAD "\"id\":\"a\",\"bundle\":\"/b\","
	static const struct {
		const char *before;
		size_t len;
		const char *after;
		int result;
	} rows[] = {
		{ HEAD "\"bundle\":\"/b\",\"id\":\"", HOOK_ID_MAX, "\"}", 0 },
		{ HEAD "\"bundle\":\"/b\",\"id\":\"", HOOK_ID_MAX + 1, "\"}", -EINVAL },
		{ HEAD "\"bundle\":\"/b\",\"id\":\"", 65536, "\"}", -EINVAL },
		{ HEAD "\"id\":\"a\",\"bundle\":\"/", HOOK_BUNDLE_MAX - 1, "\"}", 0 },
		{ HEAD "\"id\":\"a\",\"bundle\":\"/", HOOK_BUNDLE_MAX, "\"}", -EINVAL },
		{ BODY "\"annotations\":{\"", HOOK_ANNOTATION_KEY_MAX, "\":\"v\"}}", 0 },
		{ BODY "\"annotations\":{\"", HOOK_ANNOTATION_KEY_MAX + 1, "\":\"v\"}}", -EINVAL },
		{ BODY "\"annotations\":{\"", 65536, "\":\"v\"}}", -EINVAL },
		{ BODY "\"annotations\":{\"k\":\"", 256 * 1024, "\"}}", 0 },
		{ BODY "\"annotations\":{\"k\":\"", HOOK_INPUT_MAX, "\"}}", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = stuffed(rows[i].before, rows[i].len, rows[i].after);
		struct hook_state s = { 0 };
		struct err e = { "" };

		ck_assert_msg(hook_state_parse(text, strlen(text), &s, &e) == rows[i].result,
		              "row %zu: %s", i, e.text);
		hook_state_clear(&s);
		free(text);
	}
}
END_TEST

START_TEST(deep_nesting_and_nul_bytes_are_refused)
{
	size_t depth = 100000;
	char *deep = malloc(2 * depth), with_nul[] = GOOD;
	struct hook_state s = { 0 };
	struct err e;

	ck_assert_ptr_nonnull(deep);
	memset(deep, '[', depth);
	memset(deep + depth, ']', depth);
	ck_assert_int_eq(hook_state_parse(deep, 2 * depth, &s, &e), -EINVAL);
	free(deep);
	*strstr(with_nul, "web") = '\0';
	ck_assert_int_eq(hook_state_parse(with_nul, sizeof(with_nul) - 1, &s, &e), -EINVAL);
}
END_TEST

START_TEST(too_many_annotations_are_refused)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct hook_state s = { 0 };
	struct err e;

	fputs(BODY "\"annotations\":{", out);
	for (int i = 0; i <= HOOK_ANNOTATIONS_MAX; i++)
		fprintf(out, "%s\"k%d\":\"v\"", i ? "," : "", i);
	fputs("}}", out);
	fclose(out);
	ck_assert_int_eq(hook_state_parse(text, len, &s, &e), -EINVAL);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hook_state");
	TCase *tc = tcase_create("hook_state");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	tcase_add_test(tc, state_of_a_container_being_created_is_read);
	tcase_add_test(tc, stage_follows_from_the_status);
	tcase_add_test(tc, hostile_state_is_refused);
	tcase_add_test(tc, sizes_are_bounded);
	tcase_add_test(tc, deep_nesting_and_nul_bytes_are_refused);
	tcase_add_test(tc, too_many_annotations_are_refused);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
