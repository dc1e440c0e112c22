/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"
#include "coffer/record.h"
#include "flow/spawner_door.h"

/* The real spawner as its manager would start it, on a socket in a folder of our own. */
static char folder[] = "/tmp/coffer-door.XXXXXX";
static int runtime_fd, listener;
static pid_t spawner;
static struct attach_config config;

static void become_spawner(void)
{
	struct err e = { "" };
	char self[16];
	int null = open("/dev/null", O_WRONLY);

	snprintf(self, sizeof(self), "%d", getpid());
	setenv("LISTEN_PID", self, 1);
	setenv("LISTEN_FDS", "1", 1);
	dup2(null, STDERR_FILENO);
	if (listener != 3)
		dup2(listener, 3);
	_exit(spawner_door_serve(&e) < 0 ? 1 : 0);
}

static void setup(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	signal(SIGPIPE, SIG_IGN);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	runtime_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(runtime_fd, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", folder, SPAWNER_SOCKET);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	config = (struct attach_config){
		.mount_folder = "/run/secrets",
		.worker_path = "/bin/true",
		.enter_path = "/bin/true",
		.enter_fd = -1,
		.worker_uid = 65534,
		.worker_gid = 65534,
		.runc_roots = { "/run/runc" },
		.engine_roots = { "/var/lib/docker", "/var/lib/containerd" },
	};
	spawner = fork();
	if (spawner == 0)
		become_spawner();
	ck_assert_int_gt(spawner, 0);
}

static void teardown(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, SPAWNER_SOCKET);
	unlink(path);
	rmdir(folder);
	close(listener);
	close(runtime_fd);
	if (spawner > 0) {
		kill(spawner, SIGKILL);
		waitpid(spawner, NULL, 0);
	}
}

static int exit_of_spawner(void)
{
	int status = -1;

	ck_assert_int_eq(waitpid(spawner, &status, 0), spawner);
	spawner = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* 0 if it was given: the kind of the answer. */
static int ask_worker(int sock, uint16_t *type)
{
	static struct record r;
	int ends[2];
	int result;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	result = record_send(sock, AR_SPAWN_WORKER, 7, NULL, 0, NULL, 0, &ends[1], 1);
	if (result == 0)
		result = record_recv(sock, &r) == 1 ? 0 : -EIO;
	close(ends[0]);
	close(ends[1]);
	if (result == 0) {
		*type = r.type;
		ck_assert_uint_eq(r.serial, 7);
		record_close_fds(&r);
	}
	return result;
}

START_TEST(a_broker_that_connects_gets_processes_as_it_said_and_takes_the_spawner_along)
{
	struct err e = { "" };
	uint16_t type = 0;
	int sock = spawner_door_connect(runtime_fd, &config, &e);

	ck_assert_msg(sock >= 0, "%s", e.text);
	ck_assert_int_eq(ask_worker(sock, &type), 0);
	ck_assert_uint_eq(type, AR_SPAWNED);
	close(sock);
	ck_assert_int_eq(exit_of_spawner(), 0);
}
END_TEST

START_TEST(the_worker_of_the_configuration_is_what_is_started)
{
	struct err e = { "" };
	uint16_t type = 0;
	int sock;

	config.worker_path = "/nonexistent/worker";
	sock = spawner_door_connect(runtime_fd, &config, &e);
	ck_assert_int_eq(ask_worker(sock, &type), 0);
	ck_assert_uint_eq(type, AR_FAILED);
	close(sock);
	ck_assert_int_eq(exit_of_spawner(), 0);
}
END_TEST

START_TEST(the_next_broker_waits_for_a_spawner_of_its_own)
{
	struct err e = { "" };
	uint16_t type = 0;
	int first = spawner_door_connect(runtime_fd, &config, &e);
	int second = spawner_door_connect(runtime_fd, &config, &e);

	ck_assert_int_eq(ask_worker(first, &type), 0);
	close(first);
	ck_assert_int_eq(exit_of_spawner(), 0);
	spawner = fork();
	if (spawner == 0)
		become_spawner();
	type = 0;
	ck_assert_int_eq(ask_worker(second, &type), 0);
	ck_assert_uint_eq(type, AR_SPAWNED);
	close(second);
}
END_TEST

START_TEST(where_nobody_listens_there_is_none)
{
	struct err e = { "" };
	char path[64];

	ck_assert_int_eq(spawner_door_connect(-1, &config, &e), -ENOENT);
	snprintf(path, sizeof(path), "%s/%s", folder, SPAWNER_SOCKET);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(spawner_door_connect(runtime_fd, &config, &e), -ENOENT);
	ck_assert_str_eq(e.text, "");
}
END_TEST

/* What a first record may be that is no configuration. */
static const struct {
	const char *what;
	uint16_t type;
	struct ar_config fixed;
	size_t len;
	const char *tail;
	size_t tail_len;
} nonsense[] = {
	{ "another record",
	  AR_SPAWN_ATTACHER,
	  { .proto = ATTACH_PROTO },
	  sizeof(struct ar_config),
	  NULL,
	  0 },
	{ "another build",
	  AR_CONFIG,
	  { .proto = ATTACH_PROTO + 1 },
	  sizeof(struct ar_config),
	  "\3\0a/b\3\0a/b\3\0a/b",
	  15 },
	{ "half a head", AR_CONFIG, { .proto = ATTACH_PROTO }, 6, NULL, 0 },
	{ "no texts", AR_CONFIG, { .proto = ATTACH_PROTO }, sizeof(struct ar_config), NULL, 0 },
	{ "a text that is cut off",
	  AR_CONFIG,
	  { .proto = ATTACH_PROTO },
	  sizeof(struct ar_config),
	  "\3\0a/b\377\377a",
	  8 },
	{ "more than is said",
	  AR_CONFIG,
	  { .proto = ATTACH_PROTO },
	  sizeof(struct ar_config),
	  "\1\0a\1\0b\1\0c\1\0d",
	  12 },
	{ "too many roots",
	  AR_CONFIG,
	  { .proto = ATTACH_PROTO, .runc_roots = ATTACH_ROOTS_MAX + 1 },
	  sizeof(struct ar_config),
	  NULL,
	  0 },
	{ "absurdly many",
	  AR_CONFIG,
	  { .proto = ATTACH_PROTO, .engine_roots = ~0U },
	  sizeof(struct ar_config),
	  NULL,
	  0 },
};

START_TEST(nonsense_ends_it)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", folder, SPAWNER_SOCKET);
	ck_assert_int_eq(connect(sock, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(record_send(sock, nonsense[_i].type, 0, &nonsense[_i].fixed,
	                             nonsense[_i].len, nonsense[_i].tail, nonsense[_i].tail_len,
	                             NULL, 0),
	                 0);
	ck_assert_msg(exit_of_spawner() == 1, "it bears: %s", nonsense[_i].what);
	close(sock);
}
END_TEST

static void connect_as_nobody(const struct sockaddr_un *at)
{
	char byte;
	int sock = -1;

	if (setresuid(65534, 65534, 65534) == 0)
		sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (connect(sock, (const struct sockaddr *)at, sizeof(*at)) < 0)
		_exit(2);
	_exit(recv(sock, &byte, 1, 0) <= 0 ? 0 : 3);
}

START_TEST(who_is_not_root_is_not_served)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	pid_t other;
	int status;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", folder, SPAWNER_SOCKET);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(chmod(at.sun_path, 0666), 0); /* as its unit does not have it */
	other = fork();
	if (other == 0)
		connect_as_nobody(&at);
	ck_assert_int_eq(waitpid(other, &status, 0), other);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(exit_of_spawner(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spawner_door");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failures;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(
		tcase,
		a_broker_that_connects_gets_processes_as_it_said_and_takes_the_spawner_along);
	tcase_add_test(tcase, the_worker_of_the_configuration_is_what_is_started);
	tcase_add_test(tcase, the_next_broker_waits_for_a_spawner_of_its_own);
	tcase_add_test(tcase, where_nobody_listens_there_is_none);
	tcase_add_loop_test(tcase, nonsense_ends_it, 0, ARRAY_LEN(nonsense));
	tcase_add_test(tcase, who_is_not_root_is_not_served);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? 1 : 0;
}
