/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "policy/policy.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID64 HEX64
#define NAMESPACE "io.kubernetes.pod.namespace"

/* Labels of a grant, and labels of a container: rows of tests are constant. */
#define LABELS(...)                   \
	.label = (struct attribute[]) \
	{                             \
		__VA_ARGS__           \
	}
#define ATTRIBUTES(...)                   \
	.attribute = (struct attribute[]) \
	{                                 \
		__VA_ARGS__               \
	}

struct row {
	const char *claim;
	struct grant grant;
	struct subject subject;
	enum strength strength; /* NONE: does not match */
	const char *says[3];
};

static char docker[] = "docker", podman[] = "podman", crio[] = "crio", web[] = "web",
	    web2[] = "web2";
static char id[] = ID64, unit[] = "web.service", tag[] = "nginx:1.25",
	    longer_tag[] = "nginx:1.25.1";
static char digest[] = "sha256:" HEX64, named[] = "nginx@sha256:" HEX64, other[] = "sha256:" OTHER;
static char several[] = "sha256:" OTHER " sha256:" HEX64;
static char systemd[] = "systemd", upper[] = "Web", empty[] = "", namespace[] = NAMESPACE,
	    account[] = "io.kubernetes.pod.serviceAccountName";
static char env[] = "env", prod[] = "prod", dev[] = "dev", tier[] = "tier",
	    escape[] = "a\x1b[31m\n";

static const struct row rows[] = {
	{ "name_matches_weakly",
	  { .container = web },
	  { .runtime = docker, .name = web, .id = id },
	  STRENGTH_WEAK,
	  { "matches: ", "name is web (weak)" } },
	{ "full_id_matches_weakly",
	  { .container = id },
	  { .name = web, .id = id },
	  STRENGTH_WEAK,
	  { "its id is " ID64 " (weak)" } },
	{ "name_is_compared_whole",
	  { .container = web },
	  { .name = web2 },
	  STRENGTH_NONE,
	  { "does not match: ", "its name is web2, and the grant wants web" } },
	{ "name_is_compared_with_case",
	  { .container = web },
	  { .name = upper },
	  STRENGTH_NONE,
	  { "Web" } },
	{ "unknown_name_does_not_match",
	  { .container = web },
	  { .name = NULL },
	  STRENGTH_NONE,
	  { "its name is unknown" } },
	{ "no_facts_at_all_do_not_match",
	  { .container = web, .runtime = docker, .unit = unit, .image = digest },
	  { 0 },
	  STRENGTH_NONE,
	  { "unit is unknown", "image digest is unknown", "runtime is unknown" } },
	{ "digest_matches_strongly",
	  { .image = digest },
	  { .digest = digest, .image = tag },
	  STRENGTH_STRONG,
	  { "image digest is sha256:" HEX64 " (strong)" } },
	{ "one_of_several_digests_matches_strongly",
	  { .image = digest },
	  { .digest = several, .image = tag },
	  STRENGTH_STRONG,
	  { "image digest is sha256:" HEX64 " (strong)" } },
	{ "digest_behind_a_name_matches_strongly",
	  { .image = named },
	  { .digest = digest, .image = tag },
	  STRENGTH_STRONG,
	  { "(strong)" } },
	{ "other_digest_does_not_match",
	  { .image = named },
	  { .digest = other, .image = named },
	  STRENGTH_NONE,
	  { "image digest is sha256:" OTHER } },
	{ "image_text_is_no_digest",
	  { .image = digest, .allow_tag = true },
	  { .image = digest, .digest = empty },
	  STRENGTH_NONE,
	  { "image digest is unknown" } },
	{ "tag_without_leave_does_not_match",
	  { .image = tag },
	  { .image = tag },
	  STRENGTH_NONE,
	  { "--allow-tag" } },
	{ "tag_with_leave_matches_weakly",
	  { .image = tag, .allow_tag = true },
	  { .image = tag },
	  STRENGTH_WEAK,
	  { "its image is nginx:1.25 (weak)" } },
	{ "tag_is_compared_whole",
	  { .image = tag, .allow_tag = true },
	  { .image = longer_tag },
	  STRENGTH_NONE,
	  { "nginx:1.25.1" } },
	{ "conditions_are_anded",
	  { .runtime = docker, .container = web },
	  { .runtime = podman, .name = web },
	  STRENGTH_NONE,
	  { "its runtime is podman, and the grant wants docker" } },
	{ "the_strongest_condition_counts",
	  { .runtime = docker, .container = web, .image = digest },
	  { .runtime = docker, .name = web, .digest = digest },
	  STRENGTH_STRONG,
	  { "runtime is docker (weak)", "name is web (weak)", "(strong)" } },
	{ "every_failed_condition_is_told",
	  { .runtime = docker, .container = web },
	  { .runtime = podman, .name = web2 },
	  STRENGTH_NONE,
	  { "podman", "web2" } },
	{ "label_matches_weakly",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ tier, prod }, { env, prod }), .attributes = 2 },
	  STRENGTH_WEAK,
	  { "its label env is prod (weak)" } },
	{ "every_label_must_hold",
	  { LABELS({ env, prod }, { tier, web }), .labels = 2 },
	  { ATTRIBUTES({ env, prod }), .attributes = 1 },
	  STRENGTH_NONE,
	  { "no label tier" } },
	{ "label_with_another_value_does_not_match",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, dev }), .attributes = 1 },
	  STRENGTH_NONE,
	  { "its label env is dev, and the grant wants prod" } },
	{ "label_of_the_image_never_matches",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, prod, .from_image = true }), .attributes = 1 },
	  STRENGTH_NONE,
	  { "came with the image" } },
	{ "label_of_the_image_does_not_hide_one_that_was_set",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, dev, .from_image = true }, { env, prod }), .attributes = 2 },
	  STRENGTH_WEAK,
	  { "its label env is prod" } },
	{ "label_of_the_image_does_not_help_one_that_was_set",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, prod, .from_image = true }, { env, dev }), .attributes = 2 },
	  STRENGTH_NONE,
	  { "its label env is dev" } },
	{ "label_with_two_values_matches_neither",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, prod }, { env, dev }), .attributes = 2 },
	  STRENGTH_NONE,
	  { "both prod and dev" } },
	{ "empty_label_value_is_a_value",
	  { LABELS({ env, empty }), .labels = 1 },
	  { ATTRIBUTES({ env, empty }), .attributes = 1 },
	  STRENGTH_WEAK,
	  { "matches" } },
	{ "empty_label_value_does_not_match_an_absent_label",
	  { LABELS({ env, empty }), .labels = 1 },
	  { 0 },
	  STRENGTH_NONE,
	  { "no label env" } },
	{ "kubernetes_namespace_is_strong",
	  { LABELS({ namespace, prod }), .labels = 1 },
	  { .runtime = crio, ATTRIBUTES({ namespace, prod }), .attributes = 1 },
	  STRENGTH_STRONG,
	  { NAMESPACE " is prod (strong)" } },
	{ "kubernetes_namespace_under_docker_is_a_label_like_any",
	  { LABELS({ namespace, prod }), .labels = 1 },
	  { .runtime = docker, ATTRIBUTES({ namespace, prod }), .attributes = 1 },
	  STRENGTH_WEAK,
	  { "(weak)" } },
	{ "service_account_is_told_to_nobody",
	  { LABELS({ account, web }), .labels = 1 },
	  { .runtime = crio, ATTRIBUTES({ namespace, prod }), .attributes = 1 },
	  STRENGTH_NONE,
	  { "no engine is told a pod's service account", "use " NAMESPACE } },
	{ "weak_container_needs_leave",
	  { .container = web },
	  { .name = web, .weak = true },
	  STRENGTH_NONE,
	  { "--allow-weak" } },
	{ "weak_container_with_leave_matches",
	  { .container = web, .allow_weak = true },
	  { .name = web, .weak = true },
	  STRENGTH_WEAK,
	  { "matches" } },
	{ "digest_does_not_make_a_weak_container_strong",
	  { .image = digest },
	  { .digest = digest, .weak = true },
	  STRENGTH_NONE,
	  { "--allow-weak" } },
	{ "unit_needs_no_leave_for_weak",
	  { .unit = unit },
	  { .runtime = systemd, .unit = unit, .weak = true },
	  STRENGTH_STRONG,
	  { "its systemd unit is web.service (strong)" } },
	{ "unit_that_differs_does_not_match",
	  { .unit = unit, .allow_weak = true },
	  { .unit = web },
	  STRENGTH_NONE,
	  { "systemd unit is web, and the grant wants web.service" } },
	{ "unverified_container_needs_leave",
	  { .container = web, .allow_weak = true },
	  { .name = web, .unverified = true },
	  STRENGTH_NONE,
	  { "--allow-unverified" } },
	{ "unverified_container_with_leave_matches",
	  { .container = web, .allow_unverified = true },
	  { .name = web, .unverified = true },
	  STRENGTH_WEAK,
	  { "matches" } },
	{ "one_leave_is_not_the_other",
	  { .container = web, .allow_unverified = true },
	  { .name = web, .unverified = true, .weak = true },
	  STRENGTH_NONE,
	  { "--allow-weak" } },
	{ "unit_gives_no_leave_for_unverified",
	  { .unit = unit },
	  { .unit = unit, .unverified = true },
	  STRENGTH_NONE,
	  { "--allow-unverified" } },
	{ "plain_processes_match_by_unit",
	  { .unit = unit },
	  { .unit = unit, .plain = true, .weak = true },
	  STRENGTH_STRONG,
	  { "matches" } },
	{ "plain_processes_match_by_nothing_else",
	  { .container = web, .allow_weak = true, .allow_unverified = true },
	  { .name = web, .plain = true },
	  STRENGTH_NONE,
	  { "plain process group", "--unit" } },
	{ "plain_processes_need_the_other_conditions_too",
	  { .unit = unit, .container = web },
	  { .unit = unit, .plain = true },
	  STRENGTH_NONE,
	  { "its name is unknown" } },
	{ "grant_without_conditions_matches_nobody",
	  { .allow_weak = true },
	  { .name = web },
	  STRENGTH_NONE,
	  { "no condition" } },
	{ "hostile_facts_are_escaped",
	  { .container = web },
	  { .name = escape },
	  STRENGTH_NONE,
	  { "a\\x1b[31m\\x0a" } },
};

START_TEST(conditions_are_judged)
{
	const struct row *row = &rows[_i];
	enum strength strength = STRENGTH_NONE, quiet = STRENGTH_NONE;
	struct err why = { 0 };
	bool matches = policy_matches(&row->grant, &row->subject, &strength, &why);

	ck_assert_msg(matches == (row->strength != STRENGTH_NONE), "%s: %s", row->claim, why.text);
	ck_assert_msg(strength == row->strength, "%s: strength %d: %s", row->claim, (int)strength,
	              why.text);
	for (size_t i = 0; i < 3 && row->says[i]; i++)
		ck_assert_msg(strstr(why.text, row->says[i]) != NULL, "%s: \"%s\" lacks \"%s\"",
		              row->claim, why.text, row->says[i]);
	for (const char *c = why.text; *c; c++)
		ck_assert_msg(*c >= 0x20 && *c < 0x7f, "%s: %s", row->claim, why.text);
	/* The answer must not hang on whether anybody asks why. */
	ck_assert_msg(policy_matches(&row->grant, &row->subject, &quiet, NULL) == matches, "%s",
	              row->claim);
	ck_assert_msg(quiet == strength, "%s", row->claim);
	ck_assert(policy_matches(&row->grant, &row->subject, NULL, NULL) == matches);
}
END_TEST

/* What a label of the image has come near to: as little as it takes, or nothing. */
static const struct near {
	const char *claim;
	struct grant grant;
	struct subject subject;
	bool wants;
} nears[] = {
	{ "label_of_the_image_alone_is_missing",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, prod, .from_image = true }), .attributes = 1 },
	  true },
	{ "other_conditions_hold",
	  { .container = web, LABELS({ env, prod }, { tier, web }), .labels = 2 },
	  { .name = web,
	    ATTRIBUTES({ tier, web }, { env, prod, .from_image = true }),
	    .attributes = 2 },
	  true },
	{ "another_condition_fails_before_it",
	  { .container = web, LABELS({ env, prod }), .labels = 1 },
	  { .name = web2, ATTRIBUTES({ env, prod, .from_image = true }), .attributes = 1 },
	  false },
	{ "another_label_fails_after_it",
	  { LABELS({ env, prod }, { tier, web }), .labels = 2 },
	  { ATTRIBUTES({ env, prod, .from_image = true }), .attributes = 1 },
	  false },
	{ "a_weak_container_lacks_leave_too",
	  { LABELS({ env, prod }), .labels = 1 },
	  { .weak = true, ATTRIBUTES({ env, prod, .from_image = true }), .attributes = 1 },
	  false },
	{ "the_image_says_something_else",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, dev, .from_image = true }), .attributes = 1 },
	  false },
	{ "who_started_it_says_something_else",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, prod, .from_image = true }, { env, dev }), .attributes = 2 },
	  false },
	{ "image_and_label_are_other_conditions",
	  { .image = digest, LABELS({ env, prod }), .labels = 1 },
	  { .digest = other },
	  false },
	{ "it_matches",
	  { LABELS({ env, prod }), .labels = 1 },
	  { ATTRIBUTES({ env, prod }), .attributes = 1 },
	  false },
	{ "there_is_no_condition", { .allow_weak = true }, { .name = web }, false },
};

START_TEST(a_label_of_the_image_is_told_where_it_is_all_that_lacks)
{
	const struct near *near = &nears[_i];

	ck_assert_msg(policy_wants_image_label(&near->grant, &near->subject) == near->wants, "%s",
	              near->claim);
}
END_TEST

START_TEST(a_long_story_is_cut_not_overrun)
{
	enum { COUNT = POLICY_LABELS_MAX };
	struct attribute label[COUNT];
	struct grant g = { .label = label, .labels = COUNT };
	struct subject s = { 0 };
	struct err why;
	char text[POLICY_TEXT_MAX + 1];

	memset(text, '\x01', POLICY_TEXT_MAX);
	text[POLICY_TEXT_MAX] = '\0';
	for (size_t i = 0; i < COUNT; i++)
		label[i] = (struct attribute){ text, text, false };
	ck_assert(!policy_matches(&g, &s, NULL, &why));
	ck_assert_uint_lt(strlen(why.text), sizeof(why.text));
	s.attribute = label;
	s.attributes = COUNT;
	ck_assert(policy_matches(&g, &s, NULL, &why));
	ck_assert_uint_lt(strlen(why.text), sizeof(why.text));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("match");
	TCase *tests = tcase_create("match");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, conditions_are_judged, 0, ARRAY_LEN(rows));
	tcase_add_loop_test(tests, a_label_of_the_image_is_told_where_it_is_all_that_lacks, 0,
	                    ARRAY_LEN(nears));
	tcase_add_test(tests, a_long_story_is_cut_not_overrun);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
