/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker dies, a successor takes over its superblock: nobody in the container may notice.
 */
#include "fake_container.h"

START_TEST(a_reader_does_not_see_that_its_worker_is_killed)
{
	int fd;

	start(0);
	fd = inside_open("tls/cert");
	assert_reads("db-password", "version one");
	fake_kill(&broker);
	tell_container(OPEN, 0, O_RDONLY, "db-password"); /* waits in the kernel */
	successor();
	ck_assert_int_ge(hear_container().result, 0);
	drop_pages(4);
	assert_holds(fd, "certificate");
}
END_TEST

START_TEST(a_request_that_the_dead_worker_had_in_hand_is_answered)
{
	struct pollfd wait = { .fd = box.fuse, .events = POLLIN };

	start(0);
	assert_reads("db-password", "version one");
	fake_ping(&broker); /* done with all that came before, and noted to be */
	fake_kill(&broker);
	tell_container(OPEN, 0, O_RDONLY, "db-password");
	/* As the dead worker left it: received, but not yet noted to be so. */
	ck_assert_int_eq(poll(&wait, 1, FAKE_WAIT_MS), 1);
	ck_assert_int_gt(read(box.fuse, broker.shared->recv, WORKER_RECV_MAX), 0);
	ck_assert_uint_eq(broker.shared->recv_len, 0);
	successor();
	ck_assert_int_ge(hear_container().result, 0);
	assert_reads("tls/cert", "certificate");
}
END_TEST

START_TEST(a_request_answered_but_not_noted_to_be_harms_nobody)
{
	static const char name[] = "db-password";
	struct fuse_in_header head = { .len = sizeof(head) + sizeof(name),
		                       .opcode = FUSE_LOOKUP,
		                       .unique = 12345678,
		                       .nodeid = 1,
		                       .pid = 1 };

	start(0);
	assert_reads(name, "version one");
	fake_ping(&broker);
	fake_kill(&broker);
	memcpy(broker.shared->recv, &head, sizeof(head));
	memcpy(broker.shared->recv + sizeof(head), name, sizeof(name));
	broker.shared->recv_len = head.len;
	successor();
	assert_reads(name, "version one");
}
END_TEST

/* What a worker that was taken over may leave behind for its successor. */
static const struct left_row {
	const char *what;
	uint32_t len, recv_len, opcode, unique;
} left_rows[] = {
	{ "length above the memory", UINT32_MAX, UINT32_MAX, FUSE_LOOKUP, 77 },
	{ "length up to the end", WORKER_RECV_MAX, WORKER_RECV_MAX, FUSE_LOOKUP, 77 },
	{ "less than a head", 8, 8, FUSE_LOOKUP, 77 },
	{ "a name without end", WORKER_RECV_MAX - 2, 0, FUSE_LOOKUP, 77 },
	{ "names without end", WORKER_RECV_MAX - 2, 0, FUSE_RENAME, 77 },
	{ "no such operation", 40, 40, 9999, 77 },
	{ "an answer that would be a notification", 40, 40, 9999, 0 },
};

START_TEST(a_successor_does_not_trust_what_the_dead_worker_left)
{
	const struct left_row *row = &left_rows[_i];
	const struct fuse_in_header head = {
		.len = row->len, .opcode = row->opcode, .unique = row->unique, .nodeid = 1
	};

	start(0);
	assert_reads("db-password", "version one");
	fake_ping(&broker);
	fake_kill(&broker);
	memset(broker.shared->recv, 'x', WORKER_RECV_MAX);
	memcpy(broker.shared->recv, &head, sizeof(head));
	broker.shared->recv_len = row->recv_len;
	successor();
	fake_ping(&broker);
	assert_reads("db-password", "version one");
}
END_TEST

START_TEST(a_worker_killed_before_it_answered_the_first_request_of_all_has_a_successor)
{
	struct pollfd wait = { .fd = box.fuse, .events = POLLIN };

	ck_assert_int_eq(poll(&wait, 1, FAKE_WAIT_MS), 1);
	ck_assert_int_gt(read(box.fuse, broker.shared->recv, WORKER_RECV_MAX), 0);
	successor();
	assert_reads("db-password", "version one");
}
END_TEST

START_TEST(a_file_replaced_before_the_crash_is_still_read_by_who_has_it_open)
{
	int old;

	start(0);
	old = inside_open("db-password");
	fake_stage_put(&broker, 60, 1, "db-password", "version two");
	ck_assert_int_eq(fake_prepare(&broker), 0);
	ck_assert_int_eq(move("60", "db-password"), 0);
	ck_assert_int_eq(fake_finish(&broker), 0);
	fake_kill(&broker);
	fake_start(&broker);
	fake_hello(&broker, 0);
	fake_root(&broker);
	fake_file(&broker, 60, 1, "db-password", "version two");
	fake_file(&broker, 2, 0, "", "version one"); /* has lost its name */
	fake_node(&broker, 9, 0, NODE_DIR, "", "");  /* so has a folder */
	send_mount(RESUME_SERVE);
	assert_holds(old, "version one");
	assert_reads("db-password", "version two");
	inside(CLOSE, old, 0, "");
	wait_released(2);
}
END_TEST

START_TEST(a_rename_in_hand_is_made_once_by_the_successor)
{
	struct pollfd wait = { .fd = box.fuse, .events = POLLIN };
	const struct fuse_in_header *head = (const struct fuse_in_header *)broker.shared->recv;
	int watch, status;
	pid_t child;

	start(0);
	watch = inside(WATCH, 0, 0, "").result;
	assert_reads("db-password", "version one");
	fake_stage_put(&broker, 60, 1, "db-password", "version two");
	ck_assert_int_eq(fake_prepare(&broker), 0);
	ck_assert_int_eq(faccessat(box.mnt, FAKE_STAGING "/60", F_OK, 0), 0);
	fake_ping(&broker);
	fake_kill(&broker);
	child = fork();
	if (child == 0) {
		close(box.fuse); /* or it would keep the connection that it waits on */
		_exit(-move("60", "db-password"));
	}
	ck_assert_int_eq(poll(&wait, 1, FAKE_WAIT_MS), 1);
	ck_assert_int_gt(read(box.fuse, broker.shared->recv, WORKER_RECV_MAX), 0);
	ck_assert_uint_eq(head->opcode, FUSE_LOOKUP); /* of the staging folder, never kept */
	fake_start(&broker);
	fake_hello(&broker, 0);
	send_tree();
	fake_stage_put(&broker, 60, 1, "db-password", "version two");
	ck_assert_int_eq(fake_prepare(&broker), 0);
	send_mount(RESUME_SERVE);
	fake_must(waitpid(child, &status, 0) == child, "waitpid");
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(inside(EVENT, watch, 0, "").result, IN_MOVED_TO);
	ck_assert_int_eq(inside(EVENT, watch, 0, "").result, 0);
	ck_assert_int_eq(fake_finish(&broker), 0);
	assert_reads("db-password", "version two");
}
END_TEST

START_TEST(one_that_refuses_answers_everything_with_an_error_and_its_successor_serves_again)
{
	struct pollfd wait = { .fd = box.fuse, .events = POLLIN };
	int held;

	start(0);
	held = inside_open("tls/cert");
	fake_ping(&broker);
	fake_kill(&broker);
	tell_container(OPEN, 0, O_RDONLY, "db-password");
	ck_assert_int_eq(poll(&wait, 1, FAKE_WAIT_MS), 1);
	ck_assert_int_gt(read(box.fuse, broker.shared->recv, WORKER_RECV_MAX), 0);
	fake_start(&broker);
	fake_hello(&broker, 0);
	send_mount(RESUME_REFUSE); /* without a tree */
	ck_assert_int_eq(hear_container().result, -EIO);
	ck_assert_int_eq(inside(OPEN, 0, O_RDONLY, "db-password").result, -EIO);
	ck_assert_int_eq(inside(OPEN, 0, O_RDONLY, "tls/cert").result, -EIO);
	fake_kill(&broker);
	successor();
	assert_reads("db-password", "version one");
	assert_holds(held, "certificate");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("resume");
	TCase *t = tcase_create("resume");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_reader_does_not_see_that_its_worker_is_killed);
	tcase_add_test(t, a_request_that_the_dead_worker_had_in_hand_is_answered);
	tcase_add_test(t, a_request_answered_but_not_noted_to_be_harms_nobody);
	tcase_add_loop_test(t, a_successor_does_not_trust_what_the_dead_worker_left, 0,
	                    (int)ARRAY_LEN(left_rows));
	tcase_add_test(t,
	               a_worker_killed_before_it_answered_the_first_request_of_all_has_a_successor);
	tcase_add_test(t, a_file_replaced_before_the_crash_is_still_read_by_who_has_it_open);
	tcase_add_test(t, a_rename_in_hand_is_made_once_by_the_successor);
	tcase_add_test(
		t,
		one_that_refuses_answers_everything_with_an_error_and_its_successor_serves_again);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
