/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "change.h"
#include "coffer/cleanup.h"

static const uint8_t token[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 };
static struct tree *tree;
static struct change change;

static struct tree_node *add(uint64_t id, uint32_t kind, const char *name, uint64_t parent)
{
	const struct wr_node node = { .node = id, .kind = kind };
	struct tree_node *n = NULL;

	ck_assert_int_eq(tree_add(tree, &node, name, "", NULL, &n), 0);
	if (parent)
		ck_assert_int_eq(tree_link(tree, n, tree_find(tree, parent)), 0);
	return n;
}

static int stage(uint32_t kind, uint64_t id, uint64_t parent, const char *name)
{
	const struct wr_stage step = { .kind = kind, .node = { .node = id, .parent = parent } };

	return change_add(&change, tree, &step, name);
}

/* 1 root ─ 2 file "a", 3 folder "d" ─ 4 file "x"; 5 placeholder "p" */
static void set_up(void)
{
	memset(&change, 0, sizeof(change));
	ck_assert_int_eq(tree_new(NULL, &tree), 0);
	add(1, NODE_DIR, "", 0);
	add(2, NODE_FILE, "a", 1);
	add(3, NODE_DIR, "d", 1);
	add(4, NODE_FILE, "x", 3);
	add(5, NODE_PLACEHOLDER_DIR, "p", 1);
}

static void tear_down(void)
{
	change_drop(&change, tree);
	tree_free(tree);
}

static bool took_released(uint64_t id)
{
	uint64_t got;

	return tree_take_released(tree, &got) && got == id;
}

START_TEST(a_rename_gives_the_name_to_the_new_version_also_the_second_time)
{
	add(10, NODE_FILE, "a", 0);
	ck_assert_int_eq(stage(STAGE_PUT, 10, 1, "a"), 0);
	change_prepare(&change, tree, token);
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 2);
	ck_assert_int_eq(change_rename(&change, tree, "10", 1, "a"), 0);
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 10);
	ck_assert(took_released(2));
	ck_assert_int_eq(change_rename(&change, tree, "10", 1, "a"), 0);
	ck_assert_uint_eq(change_staged(&change, tree, "10")->id, 10);
	ck_assert_int_eq(change_finish(&change, tree), 0);
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 10);
	ck_assert_int_eq(change.state, CHANGE_NONE);
}
END_TEST

START_TEST(a_folder_has_changed_when_what_is_in_it_did)
{
	add(10, NODE_FILE, "a", 0);
	ck_assert_int_eq(stage(STAGE_PUT, 10, 1, "a"), 0);
	change.time_ns = 7;
	change_prepare(&change, tree, token);
	ck_assert_int_eq(tree_find(tree, 1)->mtime_ns, 0);
	ck_assert_int_eq(change_rename(&change, tree, "10", 1, "a"), 0);
	ck_assert_int_eq(tree_find(tree, 1)->mtime_ns, 7);
	ck_assert_int_eq(tree_find(tree, 3)->mtime_ns, 0);
	ck_assert_int_eq(tree_find(tree, 10)->mtime_ns, 0);
}
END_TEST

START_TEST(only_announced_steps_are_made)
{
	struct tree_node *made;

	add(10, NODE_FILE, "a", 0);
	ck_assert_int_eq(change_rename(&change, tree, "10", 1, "a"), -EROFS);
	ck_assert_int_eq(stage(STAGE_PUT, 10, 1, "a"), 0);
	ck_assert_int_eq(change_rename(&change, tree, "10", 1, "a"), -EROFS); /* not prepared */
	change_prepare(&change, tree, token);
	ck_assert_int_eq(change_rename(&change, tree, "10", 1, "b"), -EROFS);
	ck_assert_int_eq(change_rename(&change, tree, "10", 3, "a"), -EROFS);
	ck_assert_int_eq(change_rename(&change, tree, "010", 1, "a"), -EROFS);
	ck_assert_int_eq(change_rename(&change, tree, "2", 1, "a"), -EROFS);
	ck_assert_int_eq(change_remove(&change, tree, STAGE_UNLINK, 1, "a"), -EROFS);
	ck_assert_int_eq(change_remove(&change, tree, STAGE_RMDIR, 1, "d"), -EROFS);
	ck_assert_int_eq(change_mkdir(&change, tree, 1, "e", &made), -EROFS);
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 2);
}
END_TEST

START_TEST(removals_and_folders_are_made_once_and_answer_twice)
{
	struct tree_node *made = NULL;

	add(11, NODE_DIR, "e", 0);
	add(12, NODE_FILE, "y", 0);
	ck_assert_int_eq(stage(STAGE_UNLINK, 4, 3, "x"), 0);
	ck_assert_int_eq(stage(STAGE_RMDIR, 3, 1, "d"), 0);
	ck_assert_int_eq(stage(STAGE_MKDIR, 11, 1, "e"), 0);
	ck_assert_int_eq(stage(STAGE_PUT, 12, 11, "y"), 0);
	change_prepare(&change, tree, token);
	ck_assert_int_eq(change_remove(&change, tree, STAGE_RMDIR, 1, "d"), -ENOTEMPTY);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(change_remove(&change, tree, STAGE_UNLINK, 3, "x"), 0);
		ck_assert_int_eq(change_remove(&change, tree, STAGE_RMDIR, 1, "d"), 0);
		ck_assert_int_eq(change_mkdir(&change, tree, 1, "e", &made), 0);
		ck_assert_uint_eq(made->id, 11);
		ck_assert_int_eq(change_rename(&change, tree, "12", 11, "y"), 0);
	}
	ck_assert_ptr_null(tree_walk(tree, "d"));
	ck_assert_uint_eq(tree_walk(tree, "e/y")->id, 12);
}
END_TEST

START_TEST(a_file_becomes_a_folder_and_a_folder_a_file)
{
	struct tree_node *made = NULL;

	add(10, NODE_DIR, "a", 0);
	add(11, NODE_FILE, "in", 0);
	add(12, NODE_FILE, "d", 0);
	ck_assert_int_eq(stage(STAGE_MKDIR, 10, 1, "a"), -EINVAL); /* the file is still to stay */
	ck_assert_int_eq(stage(STAGE_PUT, 12, 1, "d"), -EINVAL);
	ck_assert_int_eq(stage(STAGE_UNLINK, 2, 1, "a"), 0);
	ck_assert_int_eq(stage(STAGE_UNLINK, 4, 3, "x"), 0);
	ck_assert_int_eq(stage(STAGE_RMDIR, 3, 1, "d"), 0);
	ck_assert_int_eq(stage(STAGE_MKDIR, 10, 1, "a"), 0);
	ck_assert_int_eq(stage(STAGE_PUT, 11, 10, "in"), 0);
	ck_assert_int_eq(stage(STAGE_PUT, 12, 1, "d"), 0);
	change_prepare(&change, tree, token);
	ck_assert_int_eq(change_mkdir(&change, tree, 1, "a", &made), -EEXIST);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(change_remove(&change, tree, STAGE_UNLINK, 1, "a"), 0);
		ck_assert_int_eq(change_remove(&change, tree, STAGE_UNLINK, 3, "x"), 0);
		ck_assert_int_eq(change_remove(&change, tree, STAGE_RMDIR, 1, "d"), 0);
		ck_assert_int_eq(change_mkdir(&change, tree, 1, "a", &made), 0);
		ck_assert_uint_eq(made->id, 10);
		ck_assert_int_eq(change_rename(&change, tree, "11", 10, "in"), 0);
		ck_assert_int_eq(change_rename(&change, tree, "12", 1, "d"), 0);
	}
	ck_assert_int_eq(change_finish(&change, tree), 0);
	ck_assert_uint_eq(tree_walk(tree, "a/in")->id, 11);
	ck_assert_uint_eq(tree_walk(tree, "d")->id, 12);
}
END_TEST

START_TEST(finish_makes_every_step_that_was_not_seen)
{
	add(10, NODE_FILE, "a", 0);
	add(11, NODE_DIR, "e", 0);
	add(12, NODE_FILE, "y", 0);
	ck_assert_int_eq(stage(STAGE_UNLINK, 4, 3, "x"), 0);
	ck_assert_int_eq(stage(STAGE_RMDIR, 3, 1, "d"), 0);
	ck_assert_int_eq(stage(STAGE_MKDIR, 11, 1, "e"), 0);
	ck_assert_int_eq(stage(STAGE_PUT, 12, 11, "y"), 0);
	ck_assert_int_eq(stage(STAGE_PUT, 10, 1, "a"), 0);
	change_prepare(&change, tree, token);
	ck_assert_int_eq(change_finish(&change, tree), 0);
	ck_assert_ptr_null(tree_walk(tree, "d"));
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 10);
	ck_assert_uint_eq(tree_walk(tree, "e/y")->id, 12);
	ck_assert_uint_eq(tree_count(tree), 5);
}
END_TEST

/* A new tree, told the same as the one before. */
static void succeed(struct worker_made *made)
{
	tear_down();
	set_up();
	change.made = made;
	add(10, NODE_FILE, "a", 0);
	add(11, NODE_FILE, "b", 0);
	ck_assert_int_eq(stage(STAGE_PUT, 10, 1, "a"), 0);
	ck_assert_int_eq(stage(STAGE_PUT, 11, 1, "b"), 0);
	ck_assert_int_eq(stage(STAGE_UNLINK, 4, 3, "x"), 0);
}

START_TEST(what_a_predecessor_made_of_a_change_holds_for_its_successor)
{
	static const uint8_t other[16] = { 1 };
	struct worker_made made = { 0 };

	succeed(&made);
	change_prepare(&change, tree, token);
	ck_assert_int_eq(change_rename(&change, tree, "10", 1, "a"), 0);
	ck_assert_int_eq(change_remove(&change, tree, STAGE_UNLINK, 3, "x"), 0);

	succeed(&made);
	change_prepare(&change, tree, token);
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 2);
	change_remake(&change, tree);
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 10);
	ck_assert_ptr_null(tree_walk(tree, "b"));
	ck_assert_ptr_null(tree_walk(tree, "d/x"));
	ck_assert_int_eq(change_rename(&change, tree, "11", 1, "b"), 0);
	ck_assert_int_eq(change_finish(&change, tree), 0);
	ck_assert_ptr_eq(change.made, &made);

	/* Another change: nothing of it has been made. */
	succeed(&made);
	change_prepare(&change, tree, other);
	change_remake(&change, tree);
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 2);
	ck_assert_ptr_nonnull(tree_walk(tree, "d/x"));
}
END_TEST

START_TEST(a_dropped_change_leaves_the_tree_and_releases_what_was_to_come)
{
	add(10, NODE_FILE, "a", 0);
	ck_assert_int_eq(stage(STAGE_PUT, 10, 1, "a"), 0);
	change_drop(&change, tree);
	ck_assert(took_released(10));
	ck_assert_uint_eq(tree_walk(tree, "a")->id, 2);
}
END_TEST

START_TEST(steps_that_cannot_be_are_refused)
{
	static const struct row {
		const char *what;
		uint32_t kind;
		uint64_t id, parent;
		const char *name;
	} rows[] = {
		{ "kind", 0, 2, 1, "a" },
		{ "put a folder", STAGE_PUT, 21, 1, "e" },
		{ "make a file a folder", STAGE_MKDIR, 20, 1, "a" },
		{ "put over a folder", STAGE_PUT, 22, 1, "d" },
		{ "put over a placeholder", STAGE_PUT, 23, 1, "p" },
		{ "put below a file", STAGE_PUT, 20, 2, "a" },
		{ "put below a placeholder", STAGE_PUT, 20, 5, "a" },
		{ "put below nothing", STAGE_PUT, 20, 99, "a" },
		{ "put what is not there", STAGE_PUT, 99, 1, "a" },
		{ "put what has a name", STAGE_PUT, 2, 1, "a" },
		{ "unlink under another name", STAGE_UNLINK, 2, 1, "b" },
		{ "unlink elsewhere", STAGE_UNLINK, 2, 3, "a" },
		{ "unlink a folder", STAGE_UNLINK, 3, 1, "d" },
		{ "remove a file as a folder", STAGE_RMDIR, 2, 1, "a" },
		{ "remove a placeholder", STAGE_RMDIR, 5, 1, "p" },
		{ "remove the root", STAGE_RMDIR, 1, 0, "" },
	};

	add(20, NODE_FILE, "a", 0);
	add(21, NODE_DIR, "e", 0);
	add(22, NODE_FILE, "d", 0);
	add(23, NODE_FILE, "p", 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(stage(rows[i].kind, rows[i].id, rows[i].parent, rows[i].name) ==
		                      -EINVAL,
		              "%s", rows[i].what);
	ck_assert_int_eq(change.state, CHANGE_NONE);
}
END_TEST

START_TEST(only_what_the_attacher_needs_is_announced)
{
	add(10, NODE_FILE, "x", 0);
	ck_assert_int_eq(stage(STAGE_PUT, 10, 3, "x"), 0);
	ck_assert(!change_announces(&change, tree, 3, "x"));
	change_prepare(&change, tree, token);
	ck_assert(change_announces(&change, tree, 3, "x"));
	ck_assert(change_announces(&change, tree, 1, "d")); /* on the way */
	ck_assert(!change_announces(&change, tree, 1, "a"));
	ck_assert(!change_announces(&change, tree, 1, "x"));
	ck_assert(change_touches(&change, tree_find(tree, 4)));
	ck_assert(change_touches(&change, tree_find(tree, 10)));
	ck_assert(!change_touches(&change, tree_find(tree, 2)));
	ck_assert(change_is_folder(&change, 1, ".coffer-ffffffffffffffff0100000000000000"));
	ck_assert(!change_is_folder(&change, 3, ".coffer-ffffffffffffffff0100000000000000"));
	ck_assert(!change_is_folder(&change, 1, ".coffer-"));
	ck_assert_uint_ge(change.folder, TREE_ID_LIMIT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("change");
	TCase *t = tcase_create("change");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_rename_gives_the_name_to_the_new_version_also_the_second_time);
	tcase_add_test(t, a_folder_has_changed_when_what_is_in_it_did);
	tcase_add_test(t, only_announced_steps_are_made);
	tcase_add_test(t, removals_and_folders_are_made_once_and_answer_twice);
	tcase_add_test(t, a_file_becomes_a_folder_and_a_folder_a_file);
	tcase_add_test(t, finish_makes_every_step_that_was_not_seen);
	tcase_add_test(t, what_a_predecessor_made_of_a_change_holds_for_its_successor);
	tcase_add_test(t, a_dropped_change_leaves_the_tree_and_releases_what_was_to_come);
	tcase_add_test(t, steps_that_cannot_be_are_refused);
	tcase_add_test(t, only_what_the_attacher_needs_is_announced);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
