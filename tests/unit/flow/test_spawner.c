/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"
#include "flow/spawner.h"
#include "server/config.h"

/* The real spawner, asked for attachers whose conversation has ended before they begin. */
static struct config config;
static struct broker broker;
static unsigned int started, failed;
static char order[64];

static void setup(void)
{
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	config = (struct config){
		.mount_folder = strdup("/run/secrets"),
		.worker_path = strdup("/bin/true"),
		.worker_uid = 65534,
		.worker_gid = 65534,
	};
	broker = (struct broker){ .config = &config, .runtime_fd = -1 };
	started = failed = 0;
	order[0] = '\0';
	ck_assert_int_eq(spawner_start(&broker, &e), 0);
	ck_assert_int_ge(sd_event_new(&broker.event), 0);
	ck_assert_int_eq(spawner_watch(&broker, &e), 0);
}

static void teardown(void)
{
	spawner_free(broker.spawner);
	sd_event_unref(broker.event);
	free(config.mount_folder);
	free(config.worker_path);
}

static void done(void *arg, struct spawned *result)
{
	const char *name = arg;

	if (result->error < 0)
		failed++;
	else
		started++;
	fd_close(result->pidfd);
	if (name)
		strncat(order, name, sizeof(order) - strlen(order) - 1);
}

static int64_t ask(uint16_t what, const char *name)
{
	int pair[2];
	int64_t serial;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	serial = spawner_ask(broker.spawner, what, pair[1], done, (void *)(uintptr_t)name);
	ck_assert_int_gt(serial, 0);
	close(pair[0]);
	close(pair[1]);
	return serial;
}

static void run_until(unsigned int count)
{
	while (started + failed < count)
		ck_assert_int_gt(sd_event_run(broker.event, 20 * 1000000ULL), 0);
}

START_TEST(a_crowd_of_requests_stops_neither_side)
{
	for (int i = 0; i < 1500; i++)
		ask(AR_SPAWN_ATTACHER, NULL);
	run_until(1500);
	ck_assert_uint_eq(started, 1500);
}
END_TEST

START_TEST(a_worker_goes_before_the_attachers_that_wait)
{
	for (int i = 0; i < 20; i++)
		ask(AR_SPAWN_ATTACHER, "a");
	ask(AR_SPAWN_WORKER, "w");
	run_until(21);
	/* All were asked in one turn of the loop, so none was with the spawner yet. */
	ck_assert_int_eq(order[0], 'w');
}
END_TEST

START_TEST(who_is_forgotten_is_not_told)
{
	int64_t serials[40];

	for (size_t i = 0; i < ARRAY_LEN(serials); i++)
		serials[i] = ask(AR_SPAWN_ATTACHER, NULL);
	for (size_t i = 0; i < ARRAY_LEN(serials); i += 2)
		spawner_forget(broker.spawner, serials[i]);
	run_until(20);
	ask(AR_SPAWN_ATTACHER, NULL);
	run_until(21);
	ck_assert_uint_eq(started, 21);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spawner");
	TCase *tests = tcase_create("spawner");
	SRunner *runner = srunner_create(suite);
	int bad;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_crowd_of_requests_stops_neither_side);
	tcase_add_test(tests, a_worker_goes_before_the_attachers_that_wait);
	tcase_add_test(tests, who_is_forgotten_is_not_told);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	bad = srunner_ntests_failed(runner);
	srunner_free(runner);
	return bad ? 1 : 0;
}
