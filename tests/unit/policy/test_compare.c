/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "policy/policy.h"

static struct grant *grant_of(const char *text)
{
	SCOPED(json_ptr) json_t *object = NULL;
	struct grant *g = NULL;
	struct err e = { "" };

	ck_assert_msg(json_parse(text, strlen(text), &object, &e) == 0, "%s: %s", text, e.text);
	ck_assert_msg(grant_from_json(object, &g, &e) == 0, "%s: %s", text, e.text);
	return g;
}

#define GRANT(conditions, rest) "{\"name\":\"a\",\"conditions\":{" conditions "}" rest "}"
#define WEB "\"container\":\"web\""

static const struct row {
	const char *a, *b;
	bool equal;
} rows[] = {
	{ GRANT(WEB, ""), GRANT(WEB, ""), true },
	{ GRANT(WEB, ",\"id\":\"0000000000000001\",\"order\":1"),
	  GRANT(WEB, ",\"id\":\"0000000000000002\",\"order\":2"), true },
	{ GRANT(WEB, ",\"allow_weak\":false,\"path\":null"), GRANT(WEB, ""), true },
	{ GRANT(WEB, ",\"mode\":\"440\""), GRANT(WEB, ",\"mode\":\"0440\""), true },
	{ GRANT("\"unit\":\"web\"", ""), GRANT("\"unit\":\"web.service\"", ""), true },
	{ GRANT(WEB, ",\"on_rotate\":\"signal:sighup\""),
	  GRANT(WEB, ",\"on_rotate\":\"signal:HUP\""), true },
	{ GRANT("\"labels\":{\"a\":\"1\",\"b\":\"2\"}", ""),
	  GRANT("\"labels\":{\"b\":\"2\",\"a\":\"1\"}", ""), true },
	{ GRANT("\"labels\":{\"a\":\"1\",\"b\":\"2\"}", ""),
	  GRANT("\"labels\":{\"a\":\"1\",\"b\":\"3\"}", ""), false },
	{ GRANT("\"labels\":{\"a\":\"1\",\"b\":\"2\"}", ""),
	  GRANT("\"labels\":{\"a\":\"1\",\"c\":\"2\"}", ""), false },
	{ GRANT("\"labels\":{\"a\":\"1\"}", ""), GRANT("\"labels\":{\"a\":\"1\",\"b\":\"2\"}", ""),
	  false },
	{ GRANT(WEB, ""), GRANT("\"container\":\"db\"", ""), false },
	{ GRANT(WEB, ""), GRANT(WEB ",\"runtime\":\"runc\"", ""), false },
	{ GRANT("\"unit\":\"web\"", ""), GRANT("\"container\":\"web.service\"", ""), false },
	{ GRANT(WEB, ",\"path\":\"a\""), GRANT(WEB, ""), false },
	{ GRANT(WEB, ",\"mode\":\"0000\""), GRANT(WEB, ""), false },
	{ GRANT(WEB, ",\"uid\":0"), GRANT(WEB, ""), false },
	{ GRANT(WEB, ",\"uid\":1"), GRANT(WEB, ",\"gid\":1"), false },
	{ GRANT(WEB, ",\"allow_weak\":true"), GRANT(WEB, ""), false },
	{ GRANT(WEB, ",\"allow_weak\":true"), GRANT(WEB, ",\"allow_unverified\":true"), false },
	{ GRANT(WEB, ",\"on_rotate\":\"signal:HUP\""), GRANT(WEB, ""), false },
	{ "{\"name\":\"a/\",\"conditions\":{" WEB "}}", GRANT(WEB, ""), false },
};

START_TEST(grants_are_compared_by_what_they_say)
{
	struct grant *a = grant_of(rows[_i].a), *b = grant_of(rows[_i].b);
	int ab = grant_compare(a, b), ba = grant_compare(b, a);

	ck_assert_msg((ab == 0) == rows[_i].equal, "row %d: %d", _i, ab);
	ck_assert_msg((ab > 0) == (ba < 0) && (ab < 0) == (ba > 0), "row %d is no order", _i);
	ck_assert_int_eq(grant_compare(a, a), 0);
	grant_free(a);
	grant_free(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compare");
	TCase *tests = tcase_create("compare");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, grants_are_compared_by_what_they_say, 0, ARRAY_LEN(rows));
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
