/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flow/opened.h"

static struct tree tree;

static void drop(struct content *content)
{
}

static void setup(void)
{
	ck_assert_int_eq(tree_init(&tree, 0, 0, drop), 0);
}

static void teardown(void)
{
	tree_clear(&tree);
}

/* A new version of `path`, which takes the place of what is there. Its id: nodes move in memory. */
static uint64_t rotate(const char *path, const char *name, uint64_t version)
{
	const struct node like = { .kind = NODE_FILE, .version = version };
	struct node *n = tree_add(&tree, &like, path, name), *old = tree_by_path(&tree, path);

	ck_assert_ptr_nonnull(n);
	if (old) {
		opened_inherit(n, old);
		old->linked = false;
	}
	n->linked = true;
	return n->id;
}

static bool open_node(uint64_t id, int64_t time_ns)
{
	return opened_note(&tree, tree_by_id(&tree, id), time_ns);
}

static void expect(const char *path, uint64_t version, int64_t time_ns)
{
	struct opened o = opened_of(tree_by_path(&tree, path));

	ck_assert_msg(o.version == version && o.time_ns == time_ns, "%s: %lu at %ld", path,
	              (unsigned long)o.version, (long)o.time_ns);
}

static void append(void *arg, uint64_t version)
{
	char *text = arg;

	sprintf(text + strlen(text), "%lu ", (unsigned long)version);
}

static const char *held(const char *path)
{
	static char text[256];
	struct held h;

	text[0] = '\0';
	ck_assert_int_eq(held_make(&tree, &h), 0);
	held_each(&h, tree_by_path(&tree, path), append, text);
	held_clear(&h);
	return text;
}

START_TEST(what_nobody_opened_has_no_version)
{
	rotate("db", "db", 1);
	rotate("db", "db", 2);
	expect("db", 0, 0);
}
END_TEST

START_TEST(the_newest_version_opened_and_its_last_open_go_on_over_rotations)
{
	uint64_t first = rotate("db", "db", 1), second;

	ck_assert(open_node(first, 10));
	ck_assert(!open_node(first, 11));
	expect("db", 1, 11);
	second = rotate("db", "db", 2);
	expect("db", 1, 11);
	rotate("db", "db", 3);
	expect("db", 1, 11);
	ck_assert(!open_node(first, 12)); /* by way of a descriptor that is open still */
	expect("db", 1, 12);
	ck_assert(open_node(second, 13));
	expect("db", 2, 13);
	ck_assert(!open_node(first, 14));
	expect("db", 2, 13);
	ck_assert(open_node(tree_by_path(&tree, "db")->id, 15));
	expect("db", 3, 15);
	ck_assert(!open_node(second, 16));
	expect("db", 3, 15);
}
END_TEST

START_TEST(a_version_opened_before_its_change_is_over_counts)
{
	const struct node like = { .kind = NODE_FILE, .version = 2, .staged = true };
	struct node *n;

	open_node(rotate("db", "db", 1), 10);
	n = tree_add(&tree, &like, "db", "db");
	ck_assert(opened_note(&tree, n, 11));
	opened_inherit(n, tree_by_path(&tree, "db"));
	tree_by_path(&tree, "db")->linked = false;
	n->linked = true;
	n->staged = false;
	expect("db", 2, 11);
}
END_TEST

START_TEST(the_same_version_with_another_mode_was_opened)
{
	open_node(rotate("db", "db", 4), 10);
	rotate("db", "db", 4);
	expect("db", 4, 10);
	ck_assert_str_eq(held("db"), "");
	ck_assert(open_node(tree_by_path(&tree, "db")->id, 20));
	expect("db", 4, 20);
}
END_TEST

START_TEST(another_secret_at_the_path_begins_anew)
{
	open_node(rotate("db", "old/db", 7), 10);
	rotate("db", "new/db", 3);
	expect("db", 0, 0);
	ck_assert_str_eq(held("db"), "");
}
END_TEST

START_TEST(a_store_that_was_set_back_begins_anew)
{
	open_node(rotate("db", "db", 7), 10);
	rotate("db", "db", 3);
	expect("db", 0, 0);
}
END_TEST

START_TEST(held_are_older_versions_ascending_and_once)
{
	const struct node denied = { .kind = NODE_FILE, .version = 2, .denied = true };

	rotate("db", "db", 10);
	rotate("db", "db", 10);
	rotate("db", "db", 9); /* a store set back: 10 is no older version */
	rotate("a", "db", 1);
	rotate("a", "db", 2);
	rotate("db", "db", 11);
	rotate("dbx", "db", 1);
	rotate("dbx", "db", 2);
	ck_assert_ptr_nonnull(tree_add(&tree, &denied, "db", "db"));
	ck_assert_str_eq(held("db"), "2 9 10 ");
	ck_assert_str_eq(held("a"), "1 ");
	tree_remove(&tree, tree_by_path(&tree, "a")->id);
	rotate("b", "db", 1);
	ck_assert_str_eq(held("b"), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("opened");
	TCase *t = tcase_create("opened");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_nobody_opened_has_no_version);
	tcase_add_test(t, the_newest_version_opened_and_its_last_open_go_on_over_rotations);
	tcase_add_test(t, a_version_opened_before_its_change_is_over_counts);
	tcase_add_test(t, the_same_version_with_another_mode_was_opened);
	tcase_add_test(t, another_secret_at_the_path_begins_anew);
	tcase_add_test(t, a_store_that_was_set_back_begins_anew);
	tcase_add_test(t, held_are_older_versions_ascending_and_once);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
