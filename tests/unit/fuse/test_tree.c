/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "tree.h"

static const unsigned char value[] = "value";
static uint64_t unmapped; /* bytes given back so far */
static struct tree *tree;

static void unmap(const unsigned char *bytes, uint64_t size)
{
	ck_assert_ptr_eq(bytes, value);
	unmapped += size;
}

static int try_add(uint64_t id, uint32_t kind, const char *name, struct tree_node **ret)
{
	const struct wr_node node = {
		.node = id, .kind = kind, .mode = 0400, .size = 5, .version = id
	};

	return tree_add(tree, &node, name, "full/name", kind == NODE_FILE ? value : NULL, ret);
}

static struct tree_node *add(uint64_t id, uint32_t kind, const char *name, uint64_t parent)
{
	struct tree_node *n = NULL;

	ck_assert_int_eq(try_add(id, kind, name, &n), 0);
	if (parent)
		ck_assert_int_eq(tree_link(tree, n, tree_find(tree, parent)), 0);
	return n;
}

static void set_up(void)
{
	unmapped = 0;
	ck_assert_int_eq(tree_new(unmap, &tree), 0);
	add(WORKER_ROOT_NODE, NODE_DIR, "", 0);
}

static void tear_down(void)
{
	tree_free(tree);
}

static void assert_released(uint64_t id)
{
	uint64_t got = 0;

	ck_assert_msg(tree_take_released(tree, &got), "%llu is not released",
	              (unsigned long long)id);
	ck_assert_uint_eq(got, id);
	ck_assert_ptr_null(tree_find(tree, id));
}

static void assert_none_released(void)
{
	uint64_t got;

	ck_assert(!tree_take_released(tree, &got));
}

START_TEST(names_lead_to_nodes)
{
	char path[64];
	struct tree_node *cert;

	add(2, NODE_FILE, "password", 1);
	add(3, NODE_DIR, "tls", 1);
	cert = add(4, NODE_FILE, "cert", 3);
	ck_assert_ptr_eq(tree_walk(tree, "tls/cert"), cert);
	ck_assert_ptr_null(tree_walk(tree, "tls/none"));
	ck_assert_ptr_null(tree_walk(tree, "tls//cert"));
	ck_assert_ptr_null(tree_walk(tree, "/tls/cert"));
	ck_assert_ptr_null(tree_walk(tree, "password/cert"));
	ck_assert_ptr_null(tree_walk(tree, ""));
	ck_assert_int_eq(tree_path(cert, path, sizeof(path)), 0);
	ck_assert_str_eq(path, "tls/cert");
	ck_assert_int_eq(tree_path(cert, path, strlen("tls/cert")), -ENAMETOOLONG);
	ck_assert_int_eq(tree_path(cert, path, strlen("tls/cert") + 1), 0);
	ck_assert_uint_eq(tree_bytes(tree), 10);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
	static const struct row {
		const char *what;
		uint64_t id;
		uint32_t kind;
		const char *name;
		int result;
	} rows[] = {
		{ "id 0", 0, NODE_FILE, "a", -EINVAL },
		{ "id of the worker's own", TREE_ID_LIMIT, NODE_FILE, "a", -EINVAL },
		{ "id in use", 2, NODE_FILE, "b", -EEXIST },
		{ "second root", 1, NODE_DIR, "", -EEXIST },
		{ "slash", 9, NODE_FILE, "a/b", -EINVAL },
		{ "dot", 9, NODE_FILE, ".", -EINVAL },
		{ "dots", 9, NODE_FILE, "..", -EINVAL },
		{ "kind 0", 9, 0, "a", -EINVAL },
		{ "kind too large", 9, NODE_SYMLINK + 1, "a", -EINVAL },
	};
	struct tree_node *n;

	add(2, NODE_FILE, "there", 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(try_add(rows[i].id, rows[i].kind, rows[i].name, &n) == rows[i].result,
		              "%s", rows[i].what);
	n = add(3, NODE_FILE, "there", 0);
	ck_assert_int_eq(tree_link(tree, n, tree_root(tree)), -EEXIST);
	ck_assert_int_eq(tree_link(tree, n, tree_find(tree, 2)), -ENOTDIR);
}
END_TEST

START_TEST(the_number_of_nodes_is_bounded)
{
	char name[16];
	struct tree_node *n;

	for (uint64_t id = 2; id <= WORKER_NODES_MAX; id++) {
		snprintf(name, sizeof(name), "%llu", (unsigned long long)id);
		add(id, NODE_FILE, name, 1);
	}
	ck_assert_int_eq(try_add(WORKER_NODES_MAX + 1, NODE_FILE, "more", &n), -ENOSPC);
	ck_assert_int_eq(tree_unlink(tree, tree_find(tree, 7)), 0);
	assert_released(7);
	ck_assert_int_eq(try_add(WORKER_NODES_MAX + 1, NODE_FILE, "more", &n), 0);
}
END_TEST

START_TEST(what_expired_or_was_withdrawn_is_withheld)
{
	struct tree_node *n = add(2, NODE_FILE, "a", 1);

	ck_assert(!tree_withheld(n, INT64_MAX));
	n->expires_ns = 1000;
	ck_assert(!tree_withheld(n, 999));
	ck_assert(tree_withheld(n, 1000));
	n->expires_ns = 0;
	n->denied = true;
	ck_assert(tree_withheld(n, 0));
}
END_TEST

START_TEST(a_file_lives_while_the_kernel_remembers_it)
{
	struct tree_node *n = add(2, NODE_FILE, "a", 1);

	tree_remember(n);
	tree_remember(n);
	ck_assert_int_eq(tree_unlink(tree, n), 0);
	assert_none_released();
	ck_assert_ptr_eq(tree_find(tree, 2), n);
	tree_forget(tree, 2, 1);
	assert_none_released();
	ck_assert_uint_eq(unmapped, 0);
	tree_forget(tree, 2, 1);
	ck_assert_uint_eq(unmapped, 5);
	assert_released(2);
	tree_forget(tree, 2, 1); /* unknown by now */
}
END_TEST

START_TEST(forgetting_does_not_take_a_name_away)
{
	struct tree_node *n = add(2, NODE_FILE, "a", 1);

	tree_remember(n);
	tree_forget(tree, 2, 1);
	ck_assert_ptr_eq(tree_walk(tree, "a"), n);
	assert_none_released();
}
END_TEST

START_TEST(a_folder_goes_when_it_is_empty)
{
	struct tree_node *folder = add(2, NODE_DIR, "d", 1);

	add(3, NODE_FILE, "a", 2);
	ck_assert_int_eq(tree_unlink(tree, folder), -ENOTEMPTY);
	ck_assert_int_eq(tree_unlink(tree, tree_find(tree, 3)), 0);
	ck_assert_int_eq(tree_unlink(tree, folder), 0);
	assert_released(2);
	assert_released(3);
	ck_assert_int_eq(tree_unlink(tree, tree_root(tree)), -EINVAL);
}
END_TEST

/*
 * See tree_forget: `ours` lookups counted here, then one FORGET of `count`, then (or before) the
 * name goes.
 */
static const struct inherit_row {
	const char *what;
	int ours, count;
	bool unlink_first, released;
} inherit_rows[] = {
	{ "more than ours: the predecessor's are in it", 1, 3, false, true },
	{ "more than ours, none of ours", 0, 1, true, true },
	{ "all of ours, several: an eviction", 2, 2, false, true },
	{ "one of one while it has a name: may be a look-up given back", 1, 1, false, false },
	{ "one of one without a name", 1, 1, true, true },
	{ "part of ours", 2, 1, true, false },
};

START_TEST(an_inherited_node_is_kept_until_the_kernel_has_surely_forgotten_it)
{
	const struct inherit_row *row = &inherit_rows[_i];
	struct tree_node *n = add(2, NODE_FILE, "a", 1);
	uint64_t id;

	tree_inherit(tree);
	for (int i = 0; i < row->ours; i++)
		tree_remember(n);
	if (row->unlink_first)
		ck_assert_int_eq(tree_unlink(tree, n), 0);
	ck_assert(!tree_take_released(tree, &id));
	tree_forget(tree, 2, (uint64_t)row->count);
	if (!row->unlink_first)
		ck_assert_int_eq(tree_unlink(tree, n), 0);
	ck_assert_msg(tree_take_released(tree, &id) == row->released, "%s", row->what);
}
END_TEST

START_TEST(without_a_mount_nothing_is_remembered)
{
	struct tree_node *gone = add(2, NODE_FILE, "a", 1);

	add(3, NODE_FILE, "b", 1);
	tree_remember(gone);
	tree_inherit(tree);
	ck_assert_int_eq(tree_unlink(tree, gone), 0);
	assert_none_released();
	tree_forget_all(tree);
	assert_released(2);
	assert_none_released();
	ck_assert_ptr_nonnull(tree_walk(tree, "b"));
}
END_TEST

START_TEST(a_listing_is_in_order_of_place_and_can_go_on_anywhere)
{
	char name[16];
	size_t count = 0;
	uint64_t last = 0;

	for (uint64_t id = 2; id < 200; id++) {
		snprintf(name, sizeof(name), "file-%llu", (unsigned long long)id);
		add(id, NODE_FILE, name, 1);
	}
	for (const struct tree_node *n = tree_from(tree_root(tree), TREE_PLACE_MIN); n;
	     n = tree_from(tree_root(tree), n->place + 1)) {
		ck_assert_uint_gt(n->place, last);
		last = n->place;
		count++;
	}
	ck_assert_uint_eq(count, 198);
}
END_TEST

START_TEST(a_walk_over_all_meets_every_node_once)
{
	int seen[8] = { 0 };

	add(2, NODE_DIR, "d", 1);
	add(3, NODE_FILE, "a", 2);
	add(4, NODE_DIR, "e", 2);
	add(5, NODE_FILE, "b", 4);
	add(6, NODE_FILE, "c", 1);
	add(7, NODE_DIR, "empty", 1);
	for (struct tree_node *n = tree_root(tree); (n = tree_next(tree, n));)
		seen[n->id]++;
	for (int i = 2; i < 8; i++)
		ck_assert_int_eq(seen[i], 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tree");
	TCase *t = tcase_create("tree");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, names_lead_to_nodes);
	tcase_add_test(t, what_cannot_be_is_refused);
	tcase_add_test(t, the_number_of_nodes_is_bounded);
	tcase_add_test(t, what_expired_or_was_withdrawn_is_withheld);
	tcase_add_test(t, a_file_lives_while_the_kernel_remembers_it);
	tcase_add_test(t, forgetting_does_not_take_a_name_away);
	tcase_add_test(t, a_folder_goes_when_it_is_empty);
	tcase_add_loop_test(t, an_inherited_node_is_kept_until_the_kernel_has_surely_forgotten_it,
	                    0, (int)ARRAY_LEN(inherit_rows));
	tcase_add_test(t, without_a_mount_nothing_is_remembered);
	tcase_add_test(t, a_listing_is_in_order_of_place_and_can_go_on_anywhere);
	tcase_add_test(t, a_walk_over_all_meets_every_node_once);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
