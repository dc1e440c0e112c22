/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel's table, against a worker in a child process: what may come, and that anything else
 * ends the worker.
 */
#include <errno.h>

#include "fake_broker.h"

static struct fake_broker broker;

static void set_up(void)
{
	fake_init(&broker);
	fake_start(&broker);
}

static void tear_down(void)
{
	fake_end(&broker);
}

enum before { NEW, GREETED, ROOTED, PREPARED };

/* Each row: how far the worker is, and one record that must end it. */
static const struct bad_row {
	const char *what;
	enum before before;
	uint16_t type;
	size_t len;
	size_t fds;
} bad_rows[] = {
	{ "type 0", NEW, 0, 0, 0 },
	{ "an answer instead of a question", GREETED, WR_READY, sizeof(struct wr_ready), 0 },
	{ "unknown type", GREETED, WR_CALLERS + 1, 0, 0 },
	{ "before HELLO", NEW, WR_PING, 0, 0 },
	{ "HELLO too short", NEW, WR_HELLO, sizeof(struct wr_hello) - 1, 2 },
	{ "HELLO without descriptors", NEW, WR_HELLO, sizeof(struct wr_hello), 0 },
	{ "HELLO of another protocol", NEW, WR_HELLO, sizeof(struct wr_hello) + 6, 2 },
	{ "HELLO again", GREETED, WR_HELLO, sizeof(struct wr_hello) + 6, 2 },
	{ "PING with a payload", GREETED, WR_PING, 1, 0 },
	{ "PING with a descriptor", GREETED, WR_PING, 0, 1 },
	{ "NODE too short", GREETED, WR_NODE, sizeof(struct wr_node) - 1, 0 },
	{ "NODE without texts", GREETED, WR_NODE, sizeof(struct wr_node), 0 },
	{ "NODE of no kind", ROOTED, WR_NODE, sizeof(struct wr_node) + 4, 0 },
	{ "MOUNT without a root", GREETED, WR_MOUNT, sizeof(struct wr_mount), 1 },
	{ "MOUNT without a descriptor", ROOTED, WR_MOUNT, sizeof(struct wr_mount), 0 },
	{ "PREPARE of nothing", ROOTED, WR_PREPARE, sizeof(struct wr_prepare), 0 },
	{ "FINISH of nothing", ROOTED, WR_FINISH, 0, 0 },
	{ "NODE during a change", PREPARED, WR_NODE, sizeof(struct wr_node) + 4, 0 },
	{ "STAGE while prepared", PREPARED, WR_STAGE, sizeof(struct wr_stage) + 4, 0 },
	{ "PREPARE while prepared", PREPARED, WR_PREPARE, sizeof(struct wr_prepare), 0 },
	{ "DENY too long", ROOTED, WR_DENY, sizeof(struct wr_deny) + 1, 0 },
	{ "CONNECTION without a socket", ROOTED, WR_CONNECTION, sizeof(struct wr_connection), 0 },
	{ "ATTACH_RESULT that nobody asked for", ROOTED, WR_ATTACH_RESULT,
	  sizeof(struct wr_attach) + 2, 0 },
	{ "CALLERS cut", ROOTED, WR_CALLERS, sizeof(struct wr_callers) - 8, 0 },
};

START_TEST(a_record_that_may_not_come_ends_the_worker)
{
	const struct bad_row *row = &bad_rows[_i];
	static const unsigned char zeroes[512];
	const int fds[] = { broker.shared_fd, broker.wake };

	if (row->before >= GREETED)
		fake_hello(&broker, 0);
	if (row->before >= ROOTED) {
		fake_root(&broker);
		fake_ping(&broker);
	}
	if (row->before >= PREPARED) {
		fake_stage_put(&broker, 60, 1, "a", "value");
		ck_assert_int_eq(fake_prepare(&broker), 0);
	}
	ck_assert_uint_le(row->len, sizeof(zeroes));
	fake_send_raw(&broker, row->type, zeroes, row->len, fds, row->fds);
	ck_assert_msg(fake_wait(&broker) == 1, "%s", row->what);
}
END_TEST

START_TEST(bytes_that_are_no_record_end_the_worker)
{
	fake_must(send(broker.channel, "hello", 5, 0) == 5, "send");
	ck_assert_int_eq(fake_wait(&broker), 1);
}
END_TEST

START_TEST(without_broker_and_mount_a_worker_ends_in_peace)
{
	fake_hello(&broker, 0);
	broker.channel = fd_close(broker.channel);
	ck_assert_int_eq(fake_wait(&broker), 0);
}
END_TEST

/* A file's node with a descriptor that is not what it should be. */
static void send_file(int fd, uint64_t size)
{
	struct wr_node node = fake_file_node(7, 1, size);
	const char *const texts[] = { "a", "a", NULL };

	fake_send_texts(&broker, WR_NODE, &node, sizeof(node), texts, fd);
}

START_TEST(a_value_that_is_not_sealed_or_not_of_its_size_is_refused)
{
	SCOPED_FD int unsealed = memfd_create("value", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	SCOPED_FD int sealed = fake_memfd("value", 5);

	fake_hello(&broker, 0);
	fake_root(&broker);
	fake_must(write(unsealed, "value", 5) == 5, "write");
	if (_i == 0)
		send_file(unsealed, 5);
	else if (_i == 1)
		send_file(sealed, 4);
	else
		send_file(sealed, 4096);
	ck_assert_int_eq(fake_wait(&broker), 1);
}
END_TEST

START_TEST(a_step_that_cannot_be_is_told_and_the_change_falls_as_a_whole)
{
	fake_hello(&broker, 0);
	fake_root(&broker);
	fake_file(&broker, 2, 1, "a", "value");
	fake_stage_put(&broker, 60, 1, "a", "other");
	fake_stage(&broker, STAGE_RMDIR, 2, 1, "a");
	ck_assert_int_eq(fake_prepare(&broker), -EINVAL);
	ck_assert_uint_eq(((const struct wr_released *)fake_expect(&broker, WR_RELEASED))->node,
	                  60);
	fake_stage_put(&broker, 61, 1, "a", "third");
	ck_assert_int_eq(fake_prepare(&broker), 0);
	ck_assert_int_eq(fake_finish(&broker), 0);
	ck_assert_uint_eq(((const struct wr_released *)fake_expect(&broker, WR_RELEASED))->node, 2);
}
END_TEST

START_TEST(a_broker_that_does_not_read_is_not_read_and_nothing_is_lost)
{
	const int count = 5000; /* more answers than a socket holds */
	int sent = 0, got = 0;

	fake_hello(&broker, 0);
	fake_must(fcntl(broker.channel, F_SETFL, O_NONBLOCK) == 0, "fcntl");
	for (bool stuck = false; !stuck;) {
		struct pollfd wait = { .fd = broker.channel, .events = POLLOUT };

		while (sent < count && record_send(broker.channel, WR_PING, (uint64_t)sent, NULL, 0,
		                                   NULL, 0, NULL, 0) == 0)
			sent++;
		stuck = sent == count || poll(&wait, 1, 200) == 0;
	}
	ck_assert_int_lt(sent, count);
	for (; got < sent; got++) {
		fake_expect(&broker, WR_PONG);
		ck_assert_uint_eq(broker.answer.serial, (uint64_t)got);
	}
	fake_ping(&broker);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("channel");
	TCase *t = tcase_create("channel");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_record_that_may_not_come_ends_the_worker, 0,
	                    (int)ARRAY_LEN(bad_rows));
	tcase_add_test(t, bytes_that_are_no_record_end_the_worker);
	tcase_add_test(t, without_broker_and_mount_a_worker_ends_in_peace);
	tcase_add_loop_test(t, a_value_that_is_not_sealed_or_not_of_its_size_is_refused, 0, 3);
	tcase_add_test(t, a_step_that_cannot_be_is_told_and_the_change_falls_as_a_whole);
	tcase_add_test(t, a_broker_that_does_not_read_is_not_read_and_nothing_is_lost);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
