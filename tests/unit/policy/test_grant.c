/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "policy/policy.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int read_grant(const char *text, struct grant **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *object = NULL;

	ck_assert_msg(json_parse(text, strlen(text), &object, NULL) == 0, "%s", text);
	return grant_from_json(object, ret, e);
}

static struct grant *good_grant(const char *text)
{
	struct grant *g = NULL;
	struct err e = { 0 };

	ck_assert_msg(read_grant(text, &g, &e) == 0, "%s: %s", text, e.text);
	return g;
}

static const char *const whole[] = {
	"{\"id\":\"00ff00ff00ff00ff\",\"name\":\"tls/\",\"conditions\":{\"runtime\":\"docker\","
	"\"container\":\"web\",\"image\":\"nginx@sha256:" HEX64 "\",\"unit\":\"web.service\","
	"\"labels\":{\"env\":\"prod\",\"tier\":\"\"}},\"path\":\"certs/web\",\"mode\":\"0440\","
	"\"uid\":0,\"gid\":4294967294,\"allow_tag\":false,\"allow_weak\":true,"
	"\"allow_unverified\":true,\"created\":\"2026-01-31T12:00:00.123456Z\",\"order\":7}",
	"{\"id\":\"0123456789abcdef\",\"name\":\"db\",\"conditions\":{\"container\":\"web\"},"
	"\"allow_tag\":false,\"allow_weak\":false,\"allow_unverified\":false,"
	"\"created\":\"1970-01-01T00:00:00.000000Z\",\"order\":1}",
	"{\"id\":\"0123456789abcdef\",\"name\":\"db\",\"conditions\":{\"container\":\"web\"},"
	"\"allow_tag\":false,\"allow_weak\":false,\"allow_unverified\":false,"
	"\"on_rotate\":\"exec:/bin/sh -c reload\","
	"\"created\":\"1970-01-01T00:00:00.000000Z\",\"order\":1}",
};

START_TEST(a_grant_survives_json_unchanged)
{
	struct grant *g = good_grant(whole[_i]);
	SCOPED(json_ptr) json_t *object = grant_to_json(g);
	SCOPED(json_text_ptr) char *text = json_text(object);

	ck_assert_str_eq(text, whole[_i]);
	grant_free(g);
}
END_TEST

START_TEST(every_field_is_read)
{
	struct grant *g = good_grant(whole[0]);

	ck_assert_str_eq(g->id, "00ff00ff00ff00ff");
	ck_assert_str_eq(g->name, "tls/");
	ck_assert_str_eq(g->runtime, "docker");
	ck_assert_str_eq(g->container, "web");
	ck_assert_str_eq(g->image, "nginx@sha256:" HEX64);
	ck_assert_str_eq(g->unit, "web.service");
	ck_assert_uint_eq(g->labels, 2);
	ck_assert_str_eq(g->label[0].key, "env");
	ck_assert_str_eq(g->label[0].value, "prod");
	ck_assert_str_eq(g->path, "certs/web");
	ck_assert(g->has_mode && g->mode == 0440);
	ck_assert(g->has_uid && g->uid == 0);
	ck_assert(g->has_gid && g->gid == 4294967294U);
	ck_assert(!g->allow_tag && g->allow_weak && g->allow_unverified);
	ck_assert_uint_eq(g->order, 7);
	grant_free(g);
}
END_TEST

START_TEST(a_request_needs_neither_id_nor_age)
{
	struct grant *g = good_grant("{\"name\":\"db\",\"conditions\":{\"container\":\"web\"}}");

	ck_assert_str_eq(g->id, "");
	ck_assert_uint_eq(g->order, 0);
	ck_assert(!g->has_mode && !g->has_uid && !g->has_gid && !g->path);
	ck_assert(!g->allow_tag && !g->allow_weak && !g->allow_unverified);
	grant_free(g);
}
END_TEST

START_TEST(a_unit_without_a_suffix_is_a_service)
{
	static const struct {
		const char *said, *meant;
	} units[] = { { "web", "web.service" },
		      { "web.service", "web.service" },
		      { "app.v2", "app.v2.service" },
		      { "x.scope", "x.scope" },
		      { "machine.slice", "machine.slice" },
		      { ".service", ".service.service" } };

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		SCOPED(json_ptr)
		json_t *object = json_pack("{s:s,s:{s:s}}", "name", "db", "conditions", "unit",
		                           units[i].said);
		struct grant *g = NULL;

		ck_assert_int_eq(grant_from_json(object, &g, NULL), 0);
		ck_assert_str_eq(g->unit, units[i].meant);
		grant_free(g);
	}
}
END_TEST

START_TEST(a_tag_needs_leave)
{
	struct grant *g = NULL;
	struct err e = { 0 };

	ck_assert_int_eq(
		read_grant("{\"name\":\"db\",\"conditions\":{\"image\":\"nginx:1\"}}", &g, &e),
		-EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "--allow-tag"));
	g = good_grant(
		"{\"name\":\"db\",\"conditions\":{\"image\":\"nginx:1\"},\"allow_tag\":true}");
	grant_free(g);
	g = good_grant("{\"name\":\"db\",\"conditions\":{\"image\":\"sha256:" HEX64 "\"}}");
	grant_free(g);
}
END_TEST

#define WITH(rest) "{\"name\":\"db\",\"conditions\":{\"container\":\"web\"}," rest "}"
#define UNDER(conditions) "{\"name\":\"db\",\"conditions\":{" conditions "}}"

static const struct {
	const char *text, *says;
} bad[] = {
	{ "[]", "object" },
	{ "{}", "name" },
	{ "{\"name\":\"db\"}", "conditions" },
	{ UNDER(""), "at least one condition" },
	{ UNDER("\"labels\":{}"), "at least one condition" },
	{ UNDER("\"container\":null"), "at least one condition" },
	{ "{\"name\":\"DB\",\"conditions\":{\"container\":\"web\"}}", "DB" },
	{ "{\"name\":\"\",\"conditions\":{\"container\":\"web\"}}", "empty" },
	{ "{\"name\":\"/\",\"conditions\":{\"container\":\"web\"}}", "prefix" },
	{ "{\"name\":\"../\",\"conditions\":{\"container\":\"web\"}}", "prefix" },
	{ UNDER("\"container\":\"\""), "empty" },
	{ UNDER("\"container\":\"a\\u001b\""), "control" },
	{ UNDER("\"container\":7"), "container" },
	{ UNDER("\"Container\":\"a\""), "unknown" },
	{ UNDER("\"runtime\":\"lxc\""), "lxc" },
	{ UNDER("\"image\":\"sha256:abc\""), "digest" },
	{ UNDER("\"image\":\"nginx@sha256:" HEX64 "0\""), "digest" },
	{ UNDER("\"image\":\"nginx@sha512:" HEX64 "\""), "digest" },
	{ UNDER("\"image\":\"sha256:"
	        "ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	        "\""),
	  "digest" },
	{ UNDER("\"labels\":[]"), "labels" },
	{ UNDER("\"labels\":{\"a\":1}"), "label" },
	{ UNDER("\"labels\":{\"\":\"x\"}"), "empty" },
	{ UNDER("\"labels\":{\"a\":\"x\\n\"}"), "control" },
	{ UNDER("\"labels\":{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\","
	        "\"7\":\"\",\"8\":\"\",\"9\":\"\",\"10\":\"\",\"11\":\"\",\"12\":\"\",\"13\":\"\","
	        "\"14\":\"\",\"15\":\"\",\"16\":\"\",\"17\":\"\"}"),
	  "at most 16" },
	{ WITH("\"path\":\"/etc/passwd\""), "path" },
	{ WITH("\"path\":\"../x\""), "path" },
	{ WITH("\"path\":\"\""), "path" },
	{ WITH("\"mode\":288"), "mode" },
	{ WITH("\"mode\":\"\""), "mode" },
	{ WITH("\"mode\":\"44\""), "mode" },
	{ WITH("\"mode\":\"0888\""), "mode" },
	{ WITH("\"mode\":\"4755\""), "mode" },
	{ WITH("\"mode\":\"00440\""), "mode" },
	{ WITH("\"mode\":\"-440\""), "mode" },
	{ WITH("\"on_rotate\":\"signal:KILL\""), "none of" },
	{ WITH("\"on_rotate\":\"exec:reload\""), "absolute path" },
	{ WITH("\"on_rotate\":1"), "on_rotate" },
	{ WITH("\"uid\":-1"), "uid" },
	{ WITH("\"uid\":4294967295"), "uid" },
	{ WITH("\"gid\":\"0\""), "gid" },
	{ WITH("\"allow_weak\":1"), "allow_weak" },
	{ WITH("\"allow_week\":true"), "allow_week" },
	{ WITH("\"id\":\"\""), "id" },
	{ WITH("\"id\":\"00FF00ff00ff00ff\""), "id" },
	{ WITH("\"id\":\"00ff00ff00ff00ff0\""), "id" },
	{ WITH("\"order\":0"), "order" },
	{ WITH("\"order\":-5"), "order" },
	{ WITH("\"created\":\"yesterday\""), "yesterday" },
};

START_TEST(a_grant_that_breaks_a_rule_is_refused_with_the_rule)
{
	struct grant *g = NULL;
	struct err e = { 0 };

	ck_assert_msg(read_grant(bad[_i].text, &g, &e) == -EINVAL, "%s was taken", bad[_i].text);
	ck_assert_ptr_null(g);
	ck_assert_msg(strstr(e.text, bad[_i].says) != NULL, "%s: %s", bad[_i].text, e.text);
}
END_TEST

START_TEST(an_endless_condition_is_refused)
{
	char text[POLICY_TEXT_MAX + 2];
	struct grant *g = NULL;

	for (size_t above = 0; above < 2; above++) {
		SCOPED(json_ptr) json_t *object = NULL;
		int r;

		memset(text, 'x', sizeof(text));
		text[POLICY_TEXT_MAX + above] = '\0';
		object = json_pack("{s:s,s:{s:s}}", "name", "db", "conditions", "container", text);
		r = grant_from_json(object, &g, NULL);
		ck_assert_int_eq(r, above ? -EINVAL : 0);
		if (!above)
			grant_free(g);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("grant");
	TCase *tests = tcase_create("grant");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, a_grant_survives_json_unchanged, 0, ARRAY_LEN(whole));
	tcase_add_test(tests, every_field_is_read);
	tcase_add_test(tests, a_request_needs_neither_id_nor_age);
	tcase_add_test(tests, a_unit_without_a_suffix_is_a_service);
	tcase_add_test(tests, a_tag_needs_leave);
	tcase_add_loop_test(tests, a_grant_that_breaks_a_rule_is_refused_with_the_rule, 0,
	                    ARRAY_LEN(bad));
	tcase_add_test(tests, an_endless_condition_is_refused);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
