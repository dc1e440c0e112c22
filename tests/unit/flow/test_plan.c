/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flow/tree.h"

static int contents_dropped;

static void drop(struct content *content)
{
	contents_dropped++;
}

static struct tree tree;

static void setup(void)
{
	contents_dropped = 0;
	ck_assert_int_eq(tree_init(&tree, 0, 0, drop), 0);
}

static void teardown(void)
{
	tree_clear(&tree);
}

static struct node *have(uint32_t kind, const char *path, uint64_t version)
{
	const struct node like = { .kind = kind, .linked = true, .mode = 0400, .version = version };

	return tree_add(&tree, &like, path, kind == NODE_FILE ? "secret" : NULL);
}

static struct want wanted(const char *path, uint64_t version)
{
	return (struct want){
		.path = path, .name = "secret", .grant = "g", .version = version, .mode = 0400
	};
}

/* "MKDIR a, PUT a/b" as text, to compare whole plans at a glance. */
static const char *plan_text(const struct want *wants, size_t count)
{
	static const char *const names[] = {
		[STAGE_PUT] = "PUT",
		[STAGE_UNLINK] = "UNLINK",
		[STAGE_MKDIR] = "MKDIR",
		[STAGE_RMDIR] = "RMDIR",
	};
	static char text[8192];
	struct plan plan;

	ck_assert_int_eq(tree_plan(&tree, wants, count, &plan), 0);
	text[0] = '\0';
	for (size_t i = 0; i < plan.count; i++) {
		strcat(text, i ? ", " : "");
		strcat(text, names[plan.step[i].kind]);
		strcat(text, " ");
		strcat(text, plan.step[i].path);
	}
	if (plan.clash) {
		strcat(text, " CLASH ");
		strcat(text, plan.clash);
	}
	if (plan.more)
		strcat(text, " MORE");
	plan_clear(&plan);
	return text;
}

START_TEST(a_tree_as_wanted_needs_no_step)
{
	const struct want wants[] = { wanted("a", 3) };

	have(NODE_FILE, "a", 3);
	ck_assert_str_eq(plan_text(wants, 1), "");
}
END_TEST

START_TEST(a_new_version_is_put_in_place)
{
	const struct want wants[] = { wanted("a", 4) };

	have(NODE_FILE, "a", 3);
	ck_assert_str_eq(plan_text(wants, 1), "PUT a");
}
END_TEST

START_TEST(another_mode_owner_or_expiry_is_a_new_node_too)
{
	struct want mode = wanted("a", 3), uid = wanted("a", 3), expiry = wanted("a", 3);

	have(NODE_FILE, "a", 3);
	mode.mode = 0444;
	uid.uid = 7;
	expiry.expires_ns = 1;
	ck_assert_str_eq(plan_text(&mode, 1), "PUT a");
	ck_assert_str_eq(plan_text(&uid, 1), "PUT a");
	ck_assert_str_eq(plan_text(&expiry, 1), "PUT a");
}
END_TEST

START_TEST(folders_come_before_what_is_in_them)
{
	const struct want wants[] = { wanted("t/u/a", 1), wanted("t/u/b", 1) };

	ck_assert_str_eq(plan_text(wants, 2), "MKDIR t, MKDIR t/u, PUT t/u/a, PUT t/u/b");
}
END_TEST

START_TEST(folders_go_after_what_was_in_them)
{
	have(NODE_DIR, "t", 0);
	have(NODE_DIR, "t/u", 0);
	have(NODE_FILE, "t/u/a", 1);
	ck_assert_str_eq(plan_text(NULL, 0), "UNLINK t/u/a, RMDIR t/u, RMDIR t");
}
END_TEST

START_TEST(a_folder_that_is_still_wanted_stays)
{
	const struct want wants[] = { wanted("t/b", 1) };

	have(NODE_DIR, "t", 0);
	have(NODE_FILE, "t/a", 1);
	ck_assert_str_eq(plan_text(wants, 1), "UNLINK t/a, PUT t/b");
}
END_TEST

START_TEST(what_the_container_had_before_is_never_touched)
{
	const struct want wants[] = { wanted("k8s/token", 1), wanted("x", 1) };

	have(NODE_PLACEHOLDER_DIR, "k8s", 0);
	have(NODE_SYMLINK, "link", 0);
	ck_assert_str_eq(plan_text(wants, 2), "PUT x CLASH k8s/token");
	ck_assert_str_eq(plan_text(NULL, 0), "");
}
END_TEST

START_TEST(a_file_in_the_way_goes_before_its_folder_comes)
{
	const struct want wants[] = { wanted("a/b", 1) };

	have(NODE_FILE, "a", 1);
	ck_assert_str_eq(plan_text(wants, 1), "UNLINK a, MKDIR a, PUT a/b");
}
END_TEST

START_TEST(nodes_without_a_name_are_nobody_s_file)
{
	const struct want wants[] = { wanted("a", 2) };
	struct node *old = have(NODE_FILE, "a", 2);

	old->linked = false;
	ck_assert_str_eq(plan_text(wants, 1), "PUT a");
}
END_TEST

START_TEST(a_denied_file_is_replaced_when_it_is_granted_again)
{
	const struct want wants[] = { wanted("a", 2) };

	have(NODE_FILE, "a", 2)->denied = true;
	ck_assert_str_eq(plan_text(wants, 1), "PUT a");
}
END_TEST

START_TEST(a_file_that_comes_into_another_set_is_another_file)
{
	struct want wants[] = { wanted("a", 2), wanted("b", 2) };

	wants[0].set = wants[1].set = 5;
	have(NODE_FILE, "a", 2)->set = 5;
	have(NODE_FILE, "b", 2)->set = 6;
	ck_assert_str_eq(plan_text(wants, 2), "PUT b");
}
END_TEST

START_TEST(what_lost_its_name_to_its_own_set_is_retired_for_a_while)
{
	struct node *n = have(NODE_FILE, "a", 1);

	n->lost_ns = 100;
	n->set = 5;
	ck_assert(!tree_is_retired(n, 101));
	n->linked = false;
	ck_assert(tree_is_retired(n, 101));
	ck_assert(!tree_is_retired(n, 100 + WORKER_RETIRED_NS));
	n->denied = true;
	ck_assert(!tree_is_retired(n, 101));
	ck_assert(tree_went_lately(n, 101));
}
END_TEST

START_TEST(a_large_change_is_cut_and_says_so)
{
	static struct want wants[PLAN_STEPS_MAX + 1];
	static char names[PLAN_STEPS_MAX + 1][8];
	struct plan plan;

	for (int i = 0; i <= PLAN_STEPS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "n%05d", i);
		wants[i] = wanted(names[i], 1);
	}
	ck_assert_int_eq(tree_plan(&tree, wants, PLAN_STEPS_MAX + 1, &plan), 0);
	ck_assert_uint_eq(plan.count, PLAN_STEPS_MAX);
	ck_assert(plan.more);
	plan_clear(&plan);
}
END_TEST

START_TEST(node_ids_are_never_used_twice)
{
	uint64_t first = have(NODE_FILE, "a", 1)->id;

	tree_remove(&tree, first);
	ck_assert_uint_gt(have(NODE_FILE, "a", 1)->id, first);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");
	TCase *tests = tcase_create("plan");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_tree_as_wanted_needs_no_step);
	tcase_add_test(tests, a_new_version_is_put_in_place);
	tcase_add_test(tests, another_mode_owner_or_expiry_is_a_new_node_too);
	tcase_add_test(tests, folders_come_before_what_is_in_them);
	tcase_add_test(tests, folders_go_after_what_was_in_them);
	tcase_add_test(tests, a_folder_that_is_still_wanted_stays);
	tcase_add_test(tests, what_the_container_had_before_is_never_touched);
	tcase_add_test(tests, a_file_in_the_way_goes_before_its_folder_comes);
	tcase_add_test(tests, nodes_without_a_name_are_nobody_s_file);
	tcase_add_test(tests, a_denied_file_is_replaced_when_it_is_granted_again);
	tcase_add_test(tests, a_file_that_comes_into_another_set_is_another_file);
	tcase_add_test(tests, what_lost_its_name_to_its_own_set_is_retired_for_a_while);
	tcase_add_test(tests, a_large_change_is_cut_and_says_so);
	tcase_add_test(tests, node_ids_are_never_used_twice);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
