/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "grants_file.h"

static char path[64];

static void setup(void)
{
	int fd = -1;

	strcpy(path, "/tmp/coffer-grants-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void teardown(void)
{
	unlink(path);
}

static int read_text(const char *text, json_t **ret, struct err *e)
{
	ck_assert_int_eq(io_write_file_quick(AT_FDCWD, path, text, strlen(text), 0600), 0);
	return grants_file_read(path, ret, e);
}

static json_t *grants_of(const char *text)
{
	struct err e = { "" };
	json_t *grants = NULL;

	ck_assert_msg(read_text(text, &grants, &e) == 0, "%s: %s", text, e.text);
	return grants;
}

START_TEST(an_export_loses_what_the_broker_gave_it)
{
	SCOPED(json_ptr)
	json_t *grants = grants_of(
		"{\"$schema\":\"x\",\"grants\":[{\"id\":\"0123456789abcdef\",\"name\":\"a\","
		"\"conditions\":{\"unit\":\"u\"},\"created\":\"2026-01-01T00:00:00Z\"}]}");
	SCOPED(json_text_ptr) char *text = json_text(grants);

	ck_assert_str_eq(text, "[{\"name\":\"a\",\"conditions\":{\"unit\":\"u\"}}]");
}
END_TEST

static const char *const bad[] = {
	"",
	"[]",
	"{}",
	"{\"grants\":1}",
	"{\"grants\":[1]}",
	"{\"grants\":[],\"grant\":[]}",
	"{\"grants\":[{\"name\":\"a\",\"name\":\"b\"}]}",
	"{\"grants\":[]",
};

START_TEST(what_is_no_file_of_grants_is_refused_and_named)
{
	struct err e = { "" };
	json_t *grants = NULL;

	ck_assert_int_eq(read_text(bad[_i], &grants, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, path) != NULL, "%s", e.text);
	ck_assert_ptr_null(grants);
}
END_TEST

START_TEST(a_file_that_is_not_there_or_too_long_is_named)
{
	struct err e = { "" };
	json_t *grants = NULL;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, GRANTS_FILE_MAX + 1), 0);
	close(fd);
	ck_assert_int_eq(grants_file_read(path, &grants, &e), -EFBIG);
	unlink(path);
	ck_assert_int_eq(grants_file_read(path, &grants, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, path));
}
END_TEST

#define G(name, conditions, rest) "{\"name\":\"" name "\",\"conditions\":{" conditions "}" rest "}"
#define WEB "\"container\":\"web\""
#define RUNC "\"runtime\":\"runc\""
#define LABEL "\"labels\":{\"a\":\"1\"}"

static const struct row {
	const char *one, *two;
	bool clash;
} rows[] = {
	{ G("a/key", WEB, ""), G("b/key", WEB, ""), true },
	{ G("a/key", WEB, ""), G("b/key", WEB "," RUNC, ""), true },
	{ G("a/key", WEB "," RUNC, ""), G("b/key", WEB, ""), false }, /* not everywhere */
	{ G("a/key", WEB, ""), G("b/key", RUNC, ""), false },
	{ G("a/key", WEB, ""), G("a/key", WEB, ",\"mode\":\"0400\""), false }, /* one secret */
	{ G("a/key", WEB, ""), G("b/other", WEB, ""), false },
	{ G("a/key", WEB, ""), G("b/other", WEB, ",\"path\":\"key\""), true },
	{ G("a/key", WEB, ",\"path\":\"x\""), G("b/key", WEB, ""), false },
	{ G("tls/", WEB, ""), G("b/tls", WEB, ""), true },
	{ G("tls/", WEB, ""), G("b/tls/", WEB, ""), true },
	{ G("a/key", LABEL, ""), G("b/key", "\"labels\":{\"a\":\"1\",\"b\":\"2\"}", ""), true },
	{ G("a/key", LABEL, ""), G("b/key", "\"labels\":{\"a\":\"2\"}", ""), false },
	{ G("a/key", WEB, ""), G("b/key", WEB, ",\"allow_weak\":true"), false },
	{ G("a/key", WEB, ",\"allow_weak\":true"), G("b/key", WEB, ""), true },
};

static void count(void *arg, const char *sentence)
{
	ck_assert_ptr_nonnull(strstr(sentence, "two grants want"));
	++*(int *)arg;
}

START_TEST(a_clash_that_is_certain_is_told)
{
	SCOPED(json_ptr) json_t *grants = NULL;
	char text[1024];
	int clashes = 0;

	snprintf(text, sizeof(text), "{\"grants\":[%s,%s]}", rows[_i].one, rows[_i].two);
	grants = grants_of(text);
	grants_clashes(grants, count, &clashes);
	ck_assert_msg(clashes == rows[_i].clash, "row %d", _i);
}
END_TEST

/* The broker refuses these; until then they must not do harm here. */
START_TEST(grants_of_any_shape_do_no_harm)
{
	static const char text[] =
		"{\"grants\":[{},{\"name\":1,\"conditions\":[]},{\"name\":\"/\",\"path\":7},"
		"{\"name\":\"\",\"conditions\":{\"labels\":3}},"
		"{\"name\":\"//\",\"conditions\":null}]}";
	SCOPED(json_ptr) json_t *grants = grants_of(text);
	int clashes = 0;

	grants_clashes(grants, count, &clashes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("grants_file");
	TCase *tests = tcase_create("grants_file");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, an_export_loses_what_the_broker_gave_it);
	tcase_add_loop_test(tests, what_is_no_file_of_grants_is_refused_and_named, 0,
	                    ARRAY_LEN(bad));
	tcase_add_test(tests, a_file_that_is_not_there_or_too_long_is_named);
	tcase_add_loop_test(tests, a_clash_that_is_certain_is_told, 0, ARRAY_LEN(rows));
	tcase_add_test(tests, grants_of_any_shape_do_no_harm);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
