/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set behind a real superblock: the kernel keeps names, asks for them and walks a path again, and
 * a worker dies in the middle. The test plays broker and attacher.
 */
#include "fake_container.h"

#define SET 0x5e7

static struct wr_node set_node(uint64_t id, uint64_t since, const char *value)
{
	struct wr_node node = fake_file_node(id, 3, strlen(value));

	node.set = SET;
	node.since = since;
	return node;
}

static void tell(uint64_t id, uint64_t since, const char *name, const char *value, bool retired)
{
	struct wr_node node = set_node(id, since, value);
	const char *const texts[] = { name, name, NULL };
	SCOPED_FD int fd = fake_memfd(value, strlen(value));

	node.retired = retired;
	fake_send_texts(&broker, WR_NODE, &node, sizeof(node), texts, fd);
}

static void stage(uint64_t id, uint64_t since, const char *name, const char *value)
{
	const struct wr_stage step = { .kind = STAGE_PUT, .node = set_node(id, since, value) };
	const char *const texts[] = { name, name, NULL };
	SCOPED_FD int fd = fake_memfd(value, strlen(value));

	fake_send_texts(&broker, WR_STAGE, &step, sizeof(step), texts, fd);
}

static void folders(void)
{
	fake_root(&broker);
	fake_node(&broker, 3, 1, NODE_DIR, "tls", "");
}

static void begin(void)
{
	fake_start(&broker);
	fake_hello(&broker, 0);
	folders();
	tell(60, 1, "cert", "cert 1", false);
	tell(61, 1, "key", "key 1", false);
	send_mount(false);
}

static void stage_second(void)
{
	stage(62, 2, "cert", "cert 2");
	stage(63, 2, "key", "key 2");
	ck_assert_int_eq(fake_prepare(&broker), 0);
}

static void rotate(void)
{
	stage_second();
	ck_assert_int_eq(move("62", "tls/cert"), 0);
	ck_assert_int_eq(move("63", "tls/key"), 0);
	ck_assert_int_eq(fake_finish(&broker), 0);
}

START_TEST(a_pass_goes_on_over_a_rotation_and_the_next_is_of_now)
{
	begin();
	assert_reads("tls/cert", "cert 1");
	rotate();
	assert_reads("tls/key", "key 1");
	assert_reads("tls/key", "key 2");
	assert_reads("tls/cert", "cert 2");
}
END_TEST

START_TEST(names_that_the_kernel_keeps_are_asked_for_again_where_they_do_not_fit)
{
	begin();
	assert_reads("tls/cert", "cert 1");
	assert_reads("tls/key", "key 1");
	stage_second();
	ck_assert_int_eq(move("62", "tls/cert"), 0);
	assert_reads("tls/cert", "cert 2"); /* begins a pass; key is still kept */
	assert_reads("tls/key", "key 2");
	ck_assert_int_eq(move("63", "tls/key"), 0); /* the attacher finds the old one there */
	ck_assert_int_eq(fake_finish(&broker), 0);
	assert_reads("tls/key", "key 2");
	assert_reads("tls/cert", "cert 2");
}
END_TEST

START_TEST(watchers_see_one_rename_for_each_file_whatever_passes_there_are)
{
	int watch;

	begin();
	watch = inside(WATCH, 0, 0, "tls").result;
	assert_reads("tls/cert", "cert 1");
	stage_second();
	assert_reads("tls/key", "key 1");
	assert_reads("tls/key", "key 2"); /* before it is moved there */
	ck_assert_int_eq(move("62", "tls/cert"), 0);
	ck_assert_int_eq(inside(EVENT, watch, 0, "").result, IN_MOVED_TO);
	assert_reads("tls/cert", "cert 2");
	assert_reads("tls/key", "key 2");
	ck_assert_int_eq(move("63", "tls/key"), 0);
	ck_assert_int_eq(inside(EVENT, watch, 0, "").result, IN_MOVED_TO);
	ck_assert_int_eq(fake_finish(&broker), 0);
	ck_assert_int_eq(inside(EVENT, watch, 0, "").result, 0);
}
END_TEST

START_TEST(a_pass_goes_on_in_a_successor)
{
	begin();
	assert_reads("tls/cert", "cert 1");
	rotate();
	fake_kill(&broker);
	fake_start(&broker);
	fake_hello(&broker, 0);
	folders();
	tell(62, 2, "cert", "cert 2", false);
	tell(63, 2, "key", "key 2", false);
	tell(61, 1, "key", "key 1", true);
	tell(60, 1, "cert", "cert 1", true);
	send_mount(true);
	assert_reads("tls/key", "key 1");
	assert_reads("tls/key", "key 2");
	assert_reads("tls/cert", "cert 2");
}
END_TEST

START_TEST(a_pass_goes_on_in_a_successor_in_the_middle_of_a_change)
{
	begin();
	assert_reads("tls/cert", "cert 1");
	assert_reads("tls/key", "key 1");
	stage_second();
	ck_assert_int_eq(move("62", "tls/cert"), 0);
	assert_reads("tls/cert", "cert 2");
	fake_kill(&broker);
	fake_start(&broker);
	fake_hello(&broker, 0);
	folders();
	tell(60, 1, "cert", "cert 1", false);
	tell(61, 1, "key", "key 1", false);
	stage_second();
	send_mount(true);
	assert_reads("tls/key", "key 2");
	ck_assert_int_eq(move("62", "tls/cert"), 0);
	ck_assert_int_eq(move("63", "tls/key"), 0);
	ck_assert_int_eq(fake_finish(&broker), 0);
	assert_reads("tls/cert", "cert 2");
}
END_TEST

START_TEST(what_was_replaced_is_released_when_no_pass_can_want_it)
{
	begin();
	assert_reads("tls/cert", "cert 1");
	rotate();
	assert_reads("tls/key", "key 1");
	assert_reads("tls/key", "key 2"); /* the kernel lets go of what it kept */
	assert_reads("tls/cert", "cert 2");
	wait_released(61); /* they wait on a stack */
	wait_released(60);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("set_mount");
	TCase *t = tcase_create("set_mount");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_pass_goes_on_over_a_rotation_and_the_next_is_of_now);
	tcase_add_test(t, names_that_the_kernel_keeps_are_asked_for_again_where_they_do_not_fit);
	tcase_add_test(t, watchers_see_one_rename_for_each_file_whatever_passes_there_are);
	tcase_add_test(t, a_pass_goes_on_in_a_successor);
	tcase_add_test(t, a_pass_goes_on_in_a_successor_in_the_middle_of_a_change);
	tcase_add_test(t, what_was_replaced_is_released_when_no_pass_can_want_it);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
