/* SPDX-License-Identifier: Apache-2.0 */
/* versions.c, sets.c and what change.c does for them: a tree that rotates, and who finds what in it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "sets.h"
#include "versions.h"

#define S 1000000000LL
#define SET 0x5e7

static const uint8_t token[16] = { 1 };
static struct tree *tree;
static struct change change;
static struct worker_passes *passes;
static uint64_t generation, next_id;
static int64_t now;

static struct tree_node *add(const char *name, uint64_t set, uint64_t since, bool linked)
{
	const struct wr_node node = {
		.node = next_id++,
		.parent = 1,
		.kind = NODE_FILE,
		.set = set,
		.since = since,
		.version = since,
	};
	struct tree_node *n = NULL;

	ck_assert_int_eq(tree_add(tree, &node, name, "", NULL, &n), 0);
	if (linked)
		ck_assert_int_eq(tree_link(tree, n, tree_root(tree)), 0);
	return n;
}

static void set_up(void)
{
	const struct wr_node root = { .node = 1, .kind = NODE_DIR };
	struct tree_node *n;

	memset(&change, 0, sizeof(change));
	passes = calloc(1, sizeof(*passes));
	ck_assert_ptr_nonnull(passes);
	memset(passes, 0, sizeof(*passes));
	ck_assert_int_eq(tree_new(NULL, &tree), 0);
	ck_assert_int_eq(tree_add(tree, &root, "", "", NULL, &n), 0);
	next_id = 2;
	generation = 1;
	now = 100 * S;
	add("cert", SET, 1, true);
	add("key", SET, 1, true);
	add("alone", 0, 0, true);
}

static void tear_down(void)
{
	change_drop(&change, tree);
	tree_free(tree);
	free(passes);
}

static void stage(const char *name, uint64_t set)
{
	struct tree_node *n = add(name, set, generation + 1, false);
	const struct wr_stage step = { .kind = STAGE_PUT, .node = { .node = n->id, .parent = 1 } };

	ck_assert_int_eq(change_add(&change, tree, &step, name), 0);
}

/* New versions of both are there, and their names not moved yet. */
static void prepare(void)
{
	stage("cert", SET);
	stage("key", SET);
	generation++;
	ck_assert_uint_eq(change_prepare(&change, tree, token), generation);
}

static void rotate(void)
{
	prepare();
	ck_assert_int_eq(change_finish(&change, tree), 0);
	versions_expire(tree, now);
}

static struct sets_call call_of(uint32_t process, uint32_t thread)
{
	static uint64_t request;

	return (struct sets_call){
		.passes = passes,
		.generation = generation,
		.process = process,
		.thread = thread,
		.boot_ns = ++now,
		.wall_ns = 1,
		.request = ++request,
	};
}

static struct tree_node *look_up(uint32_t process, const char *name)
{
	const struct sets_call call = call_of(process, process);
	struct tree_node *n = tree_lookup(tree_root(tree), name);

	return n ? sets_look_up(&call, n) : change_coming(&change, tree, 1, name);
}

static bool opens(uint32_t process, struct tree_node *n)
{
	const struct sets_call call = call_of(process, process);

	return sets_open(&call, n);
}

/* What the kernel does with a name that it does not keep. */
static uint64_t reads(uint32_t process, const char *name)
{
	struct tree_node *n = look_up(process, name);

	ck_assert(opens(process, n));
	return n->version;
}

static struct tree_node *linked(const char *name)
{
	return tree_lookup(tree_root(tree), name);
}

START_TEST(a_pass_gets_its_generation_and_the_next_one_the_current)
{
	ck_assert_uint_eq(reads(7, "cert"), 1);
	rotate();
	ck_assert_uint_eq(reads(7, "key"), 1);
	ck_assert_uint_eq(reads(7, "key"), 2); /* for the second time */
	ck_assert_uint_eq(reads(7, "cert"), 2);
	ck_assert_uint_eq(reads(8, "key"), 2);
	rotate();
	rotate();
	ck_assert_uint_eq(reads(8, "cert"), 2);
	ck_assert_uint_eq(reads(8, "cert"), 4);
}
END_TEST

START_TEST(a_pass_is_over_after_its_time)
{
	ck_assert_uint_eq(reads(7, "cert"), 1);
	rotate();
	now += PASS_NS;
	ck_assert_uint_eq(reads(7, "key"), 2);
}
END_TEST

START_TEST(who_was_held_up_once_begins_with_the_first_file_again)
{
	ck_assert_uint_eq(reads(7, "cert"), 1);
	now += PASS_NS; /* it goes on with the second file, in a pass of its own */
	ck_assert_uint_eq(reads(7, "key"), 1);
	rotate();
	ck_assert_uint_eq(reads(7, "cert"), 2);
	rotate();
	ck_assert_uint_eq(reads(7, "key"), 2);
	ck_assert_uint_eq(reads(7, "cert"), 3);
	ck_assert_uint_eq(reads(7, "key"), 3);
}
END_TEST

START_TEST(who_reads_again_later_may_do_so_in_another_order)
{
	ck_assert_uint_eq(reads(7, "cert"), 1);
	ck_assert_uint_eq(reads(7, "key"), 1);
	now += PASS_NS + 1;
	ck_assert_uint_eq(reads(7, "key"), 1);
	rotate();
	ck_assert_uint_eq(reads(7, "cert"), 1);
}
END_TEST

START_TEST(a_prepared_change_counts_before_its_renames)
{
	ck_assert_uint_eq(reads(7, "cert"), 1);
	prepare();
	ck_assert_uint_eq(reads(7, "key"), 1);
	ck_assert_uint_eq(reads(8, "key"), 2);
	ck_assert_int_eq(change_rename(&change, tree, "5", 1, "cert"), 0);
	ck_assert_uint_eq(reads(8, "cert"), 2);
	ck_assert_uint_eq(linked("key")->version, 1); /* what the attacher has to see */
}
END_TEST

START_TEST(who_comes_with_a_kept_name_of_another_generation_is_sent_back_once)
{
	struct tree_node *old_key = linked("key"), *old_cert = linked("cert");

	prepare();
	ck_assert(opens(7, old_cert)); /* nobody has moved it yet */
	ck_assert(opens(7, old_key));
	ck_assert_uint_eq(reads(8, "cert"), 2);
	ck_assert(!opens(8, old_key));
	ck_assert_uint_eq(reads(8, "key"), 2);
	ck_assert(!opens(8, old_key));          /* not back in time */
	ck_assert(opens(8, old_key));           /* it insists */
	ck_assert_uint_eq(reads(8, "cert"), 1); /* and has begun a pass with it */
	ck_assert_int_eq(change_finish(&change, tree), 0);
	ck_assert(!opens(9, old_key)); /* that would last longer than it is kept */
	ck_assert_uint_eq(reads(9, "key"), 2);
}
END_TEST

START_TEST(threads_of_a_process_are_in_one_pass_and_come_back_each)
{
	struct tree_node *old_key = linked("key");
	struct sets_call call;

	prepare();
	ck_assert_uint_eq(reads(7, "cert"), 2);
	call = call_of(7, 71);
	ck_assert(!sets_open(&call, old_key));
	call = call_of(7, 72); /* while that one is on its way */
	ck_assert(sets_open(&call, old_key));
	call = call_of(7, 71);
	ck_assert(sets_open(&call, sets_look_up(&call, old_key)));
}
END_TEST

START_TEST(an_open_that_is_decided_twice_counts_once)
{
	struct sets_call call = call_of(7, 7);
	struct tree_node *old_key = linked("key");

	ck_assert(sets_open(&call, linked("cert")));
	call = call_of(7, 7);
	ck_assert(sets_open(&call, old_key));
	rotate();
	ck_assert(sets_open(&call, old_key)); /* by a successor */
	call = call_of(8, 8);
	ck_assert(!sets_open(&call, old_key));
	ck_assert(!sets_open(&call, old_key));
}
END_TEST

START_TEST(a_withdrawn_version_does_not_come_back)
{
	struct tree_node *old_key = linked("key");

	ck_assert_uint_eq(reads(7, "cert"), 1);
	rotate();
	old_key->denied = true;
	ck_assert_uint_eq(reads(7, "key"), 2);
}
END_TEST

START_TEST(a_removed_name_is_gone_for_every_pass)
{
	ck_assert_uint_eq(reads(7, "cert"), 1);
	rotate();
	tree_unlink(tree, linked("key"));
	ck_assert_ptr_null(look_up(7, "key"));
}
END_TEST

START_TEST(a_name_that_comes_new_is_found_by_passes_of_before)
{
	ck_assert_uint_eq(reads(7, "cert"), 1);
	stage("new", SET);
	stage("cert", SET);
	generation++;
	change_prepare(&change, tree, token);
	ck_assert_uint_eq(reads(7, "new"), 2);
	ck_assert_int_eq(change_finish(&change, tree), 0);
	ck_assert_uint_eq(reads(7, "key"), 1);
	ck_assert_uint_eq(reads(8, "new"), 2);
}
END_TEST

START_TEST(files_of_another_set_are_no_versions)
{
	struct tree_node *old_key = linked("key");

	ck_assert_uint_eq(reads(7, "cert"), 1);
	stage("key", SET + 1);
	stage("cert", 0);
	change_prepare(&change, tree, token);
	ck_assert_ptr_eq(look_up(7, "key"), old_key); /* until it is moved */
	ck_assert_int_eq(change_finish(&change, tree), 0);
	ck_assert_ptr_null(tree_find(tree, old_key->id));
	ck_assert_uint_eq(look_up(7, "key")->version, 2);
	ck_assert_ptr_null(tree_retired(tree)->first);
}
END_TEST

START_TEST(what_is_replaced_is_kept_for_a_while_and_then_released)
{
	uint64_t id, cert = linked("cert")->id;

	ck_assert(versions_settled(linked("cert")));
	rotate();
	ck_assert(!versions_settled(linked("cert")));
	ck_assert_int_eq(versions_expire(tree, now + S), WORKER_RETIRED_NS - S);
	ck_assert_ptr_nonnull(tree_find(tree, cert));
	now += S;
	rotate();
	ck_assert_int_eq(versions_expire(tree, now + WORKER_RETIRED_NS - S), S);
	ck_assert(tree_take_released(tree, &id) && tree_take_released(tree, &id));
	ck_assert(!tree_take_released(tree, &id));
	ck_assert_ptr_null(tree_find(tree, cert));
	ck_assert(!versions_settled(linked("cert")));
	ck_assert_int_eq(versions_expire(tree, now + WORKER_RETIRED_NS), -1);
	ck_assert(versions_settled(linked("cert")));
}
END_TEST

START_TEST(a_dropped_change_leaves_no_trace)
{
	struct tree_node *cert = linked("cert");

	prepare();
	ck_assert(!versions_settled(cert));
	tree_remember(look_up(7, "cert")); /* the kernel knows it already */
	change_drop(&change, tree);
	ck_assert(versions_settled(cert));
	ck_assert_ptr_eq(look_up(7, "cert"), cert);
}
END_TEST

START_TEST(a_successor_is_told_of_what_was_replaced)
{
	struct tree_node *second = linked("cert"), *first;

	second->since = 3; /* the tree as told: one that is older, and one that is older still */
	first = add("cert", SET, 2, false);
	versions_restore(tree, first, second);
	versions_restore(tree, add("cert", SET, 1, false), second);
	ck_assert_ptr_eq(versions_at(second, 2, 1), first);
	ck_assert_uint_eq(versions_at(second, 1, 1)->since, 1);
	ck_assert_uint_eq(versions_at(second, 9, 1)->since, 3);
	ck_assert_uint_eq(versions_last(first), 2);
	versions_restore(tree, add("gone", SET, 1, false), NULL); /* nothing there any more */
	versions_expire(tree, now);
	ck_assert_int_eq(versions_expire(tree, now + WORKER_RETIRED_NS), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sets");
	TCase *t = tcase_create("sets");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_pass_gets_its_generation_and_the_next_one_the_current);
	tcase_add_test(t, a_pass_is_over_after_its_time);
	tcase_add_test(t, who_was_held_up_once_begins_with_the_first_file_again);
	tcase_add_test(t, who_reads_again_later_may_do_so_in_another_order);
	tcase_add_test(t, a_prepared_change_counts_before_its_renames);
	tcase_add_test(t, who_comes_with_a_kept_name_of_another_generation_is_sent_back_once);
	tcase_add_test(t, threads_of_a_process_are_in_one_pass_and_come_back_each);
	tcase_add_test(t, an_open_that_is_decided_twice_counts_once);
	tcase_add_test(t, a_withdrawn_version_does_not_come_back);
	tcase_add_test(t, a_removed_name_is_gone_for_every_pass);
	tcase_add_test(t, a_name_that_comes_new_is_found_by_passes_of_before);
	tcase_add_test(t, files_of_another_set_are_no_versions);
	tcase_add_test(t, what_is_replaced_is_kept_for_a_while_and_then_released);
	tcase_add_test(t, a_dropped_change_leaves_no_trace);
	tcase_add_test(t, a_successor_is_told_of_what_was_replaced);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
