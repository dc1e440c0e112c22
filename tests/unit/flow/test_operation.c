/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "flow/operation.h"
#include "flow/spawner.h"

#define SERIAL 7
#define SAYINGS_MAX 4

/* What stands where the spawner does: the test speaks with the other end of what it was given. */
static struct {
	int sock;
	spawner_done done;
	void *arg;
	bool forgotten;
} asked;

static struct broker broker;
static pid_t child; /* stands for the attacher: it waits to be killed */
static struct operation *op;
static struct {
	int records, failures, slow;
	int error;
	uint16_t type;
	char why[ERR_TEXT_MAX];
	bool cancels; /* the asker, when it is told of a record that is not the last */
} told;

int64_t spawner_ask(struct spawner *s, uint16_t what, int sock, spawner_done done, void *arg)
{
	ck_assert_int_eq(what, AR_SPAWN_ATTACHER);
	asked.sock = dup(sock);
	asked.done = done;
	asked.arg = arg;
	return SERIAL;
}

void spawner_forget(struct spawner *s, int64_t serial)
{
	ck_assert_int_eq(serial, SERIAL);
	asked.forgotten = true;
}

static void on_news(void *arg, struct operation_news *news)
{
	ck_assert_ptr_eq(arg, &told);
	switch (news->event) {
	case OPERATION_RECORD:
		told.records++;
		told.type = news->record->type;
		if (told.cancels)
			operation_cancel(TAKE_PTR(op));
		break;
	case OPERATION_FAILED:
		told.failures++;
		told.error = news->error;
		strcpy(told.why, news->why.text);
		break;
	case OPERATION_SLOW:
		told.slow++;
		break;
	}
}

static void setup(void)
{
	memset(&told, 0, sizeof(told));
	memset(&asked, 0, sizeof(asked));
	asked.sock = -1;
	op = NULL;
	child = fork(); /* before there is a socket that it would hold */
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		for (;;)
			pause();
	}
	ck_assert_int_ge(sd_event_new(&broker.event), 0);
}

static void teardown(void)
{
	fd_close(asked.sock);
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	broker.event = sd_event_unref(broker.event);
}

/* Ask; the attacher has the question. */
static void begin(uint16_t type, unsigned int limit_s)
{
	const struct operation_request request = { .type = type, .limit_s = limit_s };
	SCOPED(free_ptr) struct record *question = malloc(sizeof(*question));

	ck_assert_int_eq(operation_start(&broker, &request, on_news, &told, &op), 0);
	ck_assert_ptr_nonnull(question);
	ck_assert_int_eq(record_recv(asked.sock, question), 1);
	ck_assert_int_eq(question->type, type);
}

/* The spawner answers. */
static void spawned(void)
{
	struct spawned result = { .pid = child, .pidfd = kern_pidfd_open(child, 0) };

	ck_assert_int_ge(result.pidfd, 0);
	asked.done(asked.arg, &result);
}

static void say(uint16_t type)
{
	const struct ar_done done = { 0 };

	/* It may have been hung up on. */
	(void)!record_send(asked.sock, type, 1, &done, sizeof(done), NULL, 0, NULL, 0);
}

static void say_failed(int error, const char *why)
{
	const struct ar_failed failed = { error };
	unsigned char text[ERR_TEXT_MAX];
	size_t len = 0;

	ck_assert_int_eq(record_put_text(text, sizeof(text), &len, why), 0);
	ck_assert_int_eq(
		record_send(asked.sock, AR_FAILED, 1, &failed, sizeof(failed), text, len, NULL, 0),
		0);
}

/* Until nothing more comes by itself. */
static void run_loop(void)
{
	while (sd_event_run(broker.event, 0) > 0)
		;
}

static bool is_killed(void)
{
	int status = 0;
	bool killed = waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	              WTERMSIG(status) == SIGKILL;

	child = 0;
	return killed;
}

static bool is_hung_up(void)
{
	struct pollfd p = { .fd = asked.sock };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

static const struct {
	const char *name;
	uint16_t type;
	uint16_t says[SAYINGS_MAX]; /* all at once, before the broker listens */
	int records;                /* that the asker hears of before the failure */
} out_of_turn[] = {
	{ "existing to who inspects, then more", AR_INSPECT, { AR_EXISTING, AR_FACTS, AR_FAILED } },
	{ "a mount to who inspects", AR_INSPECT, { AR_MOUNTED, AR_FACTS } },
	{ "facts to who mounts", AR_MOUNT, { AR_FACTS, AR_MOUNTED } },
	{ "existing twice", AR_MOUNT, { AR_EXISTING, AR_EXISTING, AR_MOUNTED }, 1 },
	{ "done to who mounts", AR_MOUNT, { AR_EXISTING, AR_DONE, AR_MOUNTED }, 1 },
	{ "existing to who changes", AR_CHANGE, { AR_EXISTING, AR_DONE } },
	{ "facts to who changes", AR_CHANGE, { AR_FACTS, AR_DONE, AR_FAILED } },
	{ "a mount to who makes a folder", AR_FOLDER, { AR_MOUNTED, AR_DONE } },
	{ "facts to who looks", AR_CHECK, { AR_FACTS, AR_DONE } },
	{ "facts to who unmounts", AR_UNMOUNT, { AR_FACTS, AR_DONE } },
	{ "the broker's own word", AR_MOUNT, { AR_GO, AR_MOUNTED } },
	{ "the spawner's word", AR_INSPECT, { AR_SPAWNED, AR_FACTS } },
	{ "the question", AR_CHECK, { AR_CHECK, AR_DONE } },
	{ "no type of ours", AR_INSPECT, { UINT16_MAX, AR_FACTS } },
};

static void is_told_once(int row)
{
	const char *name = out_of_turn[row].name;

	ck_assert_msg(told.failures == 1, "%s: told of %d failures", name, told.failures);
	ck_assert_msg(told.error == -EBADMSG, "%s: %d", name, told.error);
	ck_assert_msg(told.records == out_of_turn[row].records, "%s: told of %d records", name,
	              told.records);
	ck_assert_msg(is_hung_up(), "%s: the broker still listens", name);
}

START_TEST(attacher_that_answers_out_of_turn_is_ended_and_its_asker_told_once)
{
	begin(out_of_turn[_i].type, 60);
	spawned();
	for (int i = 0; i < SAYINGS_MAX && out_of_turn[_i].says[i]; i++)
		say(out_of_turn[_i].says[i]);
	run_loop();
	is_told_once(_i);
	ck_assert_msg(is_killed(), "%s: the attacher was not killed", out_of_turn[_i].name);
	ck_assert(!asked.forgotten);
}
END_TEST

START_TEST(attacher_that_answers_out_of_turn_before_it_is_known_is_forgotten)
{
	begin(out_of_turn[_i].type, 60);
	for (int i = 0; i < SAYINGS_MAX && out_of_turn[_i].says[i]; i++)
		say(out_of_turn[_i].says[i]);
	run_loop();
	is_told_once(_i);
	ck_assert_msg(asked.forgotten, "%s: it will not be killed when it comes",
	              out_of_turn[_i].name);
}
END_TEST

static const struct {
	uint16_t type, last;
} in_turn[] = {
	{ AR_INSPECT, AR_FACTS }, { AR_MOUNT, AR_MOUNTED }, { AR_FOLDER, AR_DONE },
	{ AR_UNMOUNT, AR_DONE },  { AR_CHECK, AR_DONE },    { AR_CHANGE, AR_DONE },
};

START_TEST(answer_in_turn_is_the_last_word)
{
	begin(in_turn[_i].type, 60);
	spawned();
	if (in_turn[_i].type == AR_MOUNT)
		say(AR_EXISTING);
	say(in_turn[_i].last);
	say(in_turn[_i].last);
	run_loop();
	ck_assert_int_eq(told.records, in_turn[_i].type == AR_MOUNT ? 2 : 1);
	ck_assert_int_eq(told.type, in_turn[_i].last);
	ck_assert_int_eq(told.failures, 0);
	ck_assert(is_hung_up());
}
END_TEST

START_TEST(failure_is_told_in_the_attachers_words)
{
	begin(AR_MOUNT, 60);
	spawned();
	say_failed(-EROFS, "the root is read-only");
	say(AR_EXISTING);
	run_loop();
	ck_assert_int_eq(told.failures, 1);
	ck_assert_int_eq(told.records, 0);
	ck_assert_int_eq(told.error, -EROFS);
	ck_assert_str_eq(told.why, "the root is read-only");
}
END_TEST

START_TEST(failure_that_claims_success_is_a_failure)
{
	begin(AR_CHECK, 60);
	spawned();
	say_failed(5, "fine");
	run_loop();
	ck_assert_int_eq(told.failures, 1);
	ck_assert_int_eq(told.error, -EIO);
}
END_TEST

START_TEST(attacher_that_ends_without_an_answer_is_told_once)
{
	begin(AR_MOUNT, 60);
	spawned();
	say(AR_EXISTING);
	asked.sock = fd_close(asked.sock);
	run_loop();
	ck_assert_int_eq(told.records, 1);
	ck_assert_int_eq(told.failures, 1);
	ck_assert_int_eq(told.error, -EPIPE);
}
END_TEST

START_TEST(attacher_that_could_not_be_started_is_told_once)
{
	struct spawned result = { .pidfd = -1, .error = -EAGAIN };

	err_set(&result.why, -EAGAIN, "no process to be had");
	begin(AR_INSPECT, 60);
	asked.done(asked.arg, &result);
	run_loop();
	ck_assert_int_eq(told.failures, 1);
	ck_assert_int_eq(told.error, -EAGAIN);
	ck_assert_str_eq(told.why, "no process to be had");
	ck_assert(!asked.forgotten);
}
END_TEST

START_TEST(attacher_over_its_time_is_killed_and_its_asker_told_when_it_is_gone)
{
	begin(AR_CHANGE, 0);
	spawned();
	while (!told.failures)
		ck_assert_int_ge(sd_event_run(broker.event, UINT64_MAX), 0);
	ck_assert_int_eq(told.slow, 1);
	ck_assert_int_eq(told.failures, 1);
	ck_assert_int_eq(told.error, -ETIMEDOUT);
	ck_assert(is_killed());
}
END_TEST

START_TEST(cancelled_operation_kills_its_attacher_and_tells_nobody)
{
	begin(AR_MOUNT, 60);
	spawned();
	say(AR_EXISTING);
	operation_cancel(op);
	run_loop();
	ck_assert_int_eq(told.records + told.failures + told.slow, 0);
	ck_assert(is_killed());
	ck_assert(is_hung_up());
}
END_TEST

START_TEST(asker_may_cancel_while_it_is_told)
{
	begin(AR_MOUNT, 60);
	spawned();
	told.cancels = true;
	say(AR_EXISTING);
	say(AR_EXISTING);
	run_loop();
	ck_assert_int_eq(told.records, 1);
	ck_assert_int_eq(told.failures, 0);
	ck_assert(is_killed());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("operation");
	TCase *tests = tcase_create("operation");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests,
	                    attacher_that_answers_out_of_turn_is_ended_and_its_asker_told_once, 0,
	                    ARRAY_LEN(out_of_turn));
	tcase_add_loop_test(tests,
	                    attacher_that_answers_out_of_turn_before_it_is_known_is_forgotten, 0,
	                    ARRAY_LEN(out_of_turn));
	tcase_add_loop_test(tests, answer_in_turn_is_the_last_word, 0, ARRAY_LEN(in_turn));
	tcase_add_test(tests, failure_is_told_in_the_attachers_words);
	tcase_add_test(tests, failure_that_claims_success_is_a_failure);
	tcase_add_test(tests, attacher_that_ends_without_an_answer_is_told_once);
	tcase_add_test(tests, attacher_that_could_not_be_started_is_told_once);
	tcase_add_test(tests, attacher_over_its_time_is_killed_and_its_asker_told_when_it_is_gone);
	tcase_add_test(tests, cancelled_operation_kills_its_attacher_and_tells_nobody);
	tcase_add_test(tests, asker_may_cancel_while_it_is_told);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
