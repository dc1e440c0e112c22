/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "attach/create_filter.h"
#include "lab.h"

/* A stand-in for cofferfs: says on its channel what it is, then waits for the channel's end. */
static void write_worker(struct lab *l, char path[LAB_PATH + 32])
{
	FILE *file;

	snprintf(path, LAB_PATH + 32, "%s/worker", l->dir);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs("#!/bin/sh\n"
	      "echo \"uid=$(id -u) gid=$(id -g) groups=$(id -G) fds=$(ls /proc/$$/fd | tr '\\n' ' "
	      "')\"\\\n"
	      "\"nnp=$(grep NoNewPrivs /proc/$$/status | tr -dc 0-9) "
	      "caps=$(grep CapEff /proc/$$/status | tr -dc 0-9a-fA-F) "
	      "home=${HOME-none} cwd=$(pwd) umask=$(umask) session=$(($(ps -o sid= -p $$) == "
	      "$$))\" >&3\n"
	      "cat <&3 >/dev/null\n",
	      file);
	fclose(file);
	ck_assert_int_eq(chmod(path, 0755), 0);
}

static int ask_worker(struct lab *l, struct record *r)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(record_send(l->sock, AR_SPAWN_WORKER, 5, NULL, 0, NULL, 0, &pair[1], 1),
	                 0);
	close(pair[1]);
	ck_assert_int_eq(record_recv(l->sock, r), 1);
	ck_assert_int_eq((int)r->serial, 5);
	return pair[0];
}

static void wait_for_end(int pidfd)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };

	ck_assert_int_eq(poll(&poller, 1, 10000), 1);
}

START_TEST(a_worker_starts_unprivileged_with_its_channel_alone)
{
	struct lab l;
	static struct record r;
	char path[LAB_PATH + 32], text[1024] = "";
	int pidfd, channel;
	ssize_t n;

	lab_open(&l);
	lab_stop_spawner(&l);
	write_worker(&l, path);
	l.config.worker_path = path;
	lab_start_spawner(&l);
	channel = ask_worker(&l, &r);
	ck_assert_int_eq(r.type, AR_SPAWNED);
	pidfd = TAKE_FD(r.fds[0]);
	ck_assert(kern_pidfd_alive(pidfd));
	n = recv(channel, text, sizeof(text) - 1, 0);
	ck_assert_int_gt((int)n, 0);
	ck_assert_msg(strstr(text, "uid=65534 gid=65534 groups=65534 "), "%s", text);
	/* 10 or 255 is the shell's own descriptor of the script */
	ck_assert_msg(strstr(text, "fds=0 1 10 2 3 ") || strstr(text, "fds=0 1 2 255 3 "), "%s",
	              text);
	ck_assert_msg(strstr(text, "nnp=1 "), "%s", text);
	ck_assert_msg(strstr(text, "0000000000000000 home=none cwd=/ umask=0077 session=1"), "%s",
	              text);

	/* it outlives the spawner, as it would the broker */
	lab_stop_spawner(&l);
	ck_assert(kern_pidfd_alive(pidfd));
	close(channel);
	wait_for_end(pidfd);
	close(pidfd);
	lab_start_spawner(&l);
	lab_close(&l);
}
END_TEST

START_TEST(a_worker_that_cannot_run_is_reported)
{
	struct lab l;
	static struct record r;
	char why[ERR_TEXT_MAX];
	size_t at = sizeof(struct ar_failed);

	lab_open(&l);
	SCOPED_FD int channel = ask_worker(&l, &r);

	ck_assert_int_ge(channel, 0);
	ck_assert_int_eq(r.type, AR_FAILED);
	ck_assert_int_eq(((struct ar_failed *)r.payload)->error, -ENOENT);
	ck_assert_int_eq(record_get_text(&r, &at, why, sizeof(why)), 0);
	ck_assert_msg(strstr(why, "/nonexistent/cofferfs") && strstr(why, "run its program"), "%s",
	              why);
	lab_close(&l);
}
END_TEST

START_TEST(a_worker_never_runs_as_root)
{
	struct lab l;
	static struct record r;

	lab_open(&l);
	lab_stop_spawner(&l);
	l.config.worker_path = "/bin/true";
	l.config.worker_uid = 0;
	lab_start_spawner(&l);
	SCOPED_FD int channel = ask_worker(&l, &r);

	ck_assert_int_ge(channel, 0);
	ck_assert_int_eq(r.type, AR_FAILED);
	lab_close(&l);
}
END_TEST

START_TEST(an_attacher_holds_its_socket_and_what_it_may_run_and_cannot_be_dumped)
{
	struct lab l;
	static struct record r;
	char out[512];
	int pair[2];
	pid_t pid;

	lab_open(&l);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(record_send(l.sock, AR_SPAWN_ATTACHER, 1, NULL, 0, NULL, 0, &pair[1], 1),
	                 0);
	close(pair[1]);
	ck_assert_int_eq(record_recv(l.sock, &r), 1);
	pid = ((struct ar_spawned *)r.payload)->pid;
	/* it waits for its request; once it has its own descriptors, these are all */
	while (strcmp(lab_out(out, sizeof(out), "ls /proc/%d/fd | tr '\\n' ' '", pid),
	              "0 1 2 3 4 ") != 0)
		ck_assert(kern_pidfd_alive(r.fds[0]));
	ck_assert_str_eq(
		lab_out(out, sizeof(out), "for i in 0 1 2; do readlink /proc/%d/fd/$i; done", pid),
		"/dev/null\n/dev/null\n/dev/null");
	ck_assert_str_eq(lab_out(out, sizeof(out), "readlink /proc/%d/fd/4", pid),
	                 "/memfd:coffer-enter (deleted)");
	ck_assert_int_ne(lab_sh("echo changed >>/proc/%d/fd/4", pid), 0);
	ck_assert_int_eq(lab_sh("cmp /proc/%d/fd/4 %s", pid, l.enter), 0);
	/* root's, though it were a user's process: what PR_SET_DUMPABLE does to /proc */
	ck_assert_int_eq(lab_sh("grep -q 'Max core file size *0 *0' /proc/%d/limits", pid), 0);
	close(pair[0]);
	wait_for_end(r.fds[0]);
	record_close_fds(&r);
	lab_close(&l);
}
END_TEST

START_TEST(ended_attachers_are_reaped)
{
	struct lab l;
	char out[64];

	lab_open(&l);
	for (int i = 0; i < 50; i++)
		close(lab_attacher(&l));
	for (int i = 0; i < 5000; i++) {
		lab_out(out, sizeof(out), "cat /proc/%d/task/*/children", l.spawner);
		if (!out[0])
			break;
	}
	ck_assert_str_eq(out, "");
	lab_close(&l);
}
END_TEST

START_TEST(a_spawner_ends_at_what_it_does_not_know)
{
	struct lab l;
	int status;

	lab_open(&l);
	ck_assert_int_eq(record_send(l.sock, AR_MOUNT, 1, NULL, 0, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(waitpid(l.spawner, &status, 0), l.spawner);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(l.sock);
	lab_start_spawner(&l);
	lab_close(&l);
}
END_TEST

/* Runs one call under the filter; the status of the process. */
static int under_filter(int which)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (create_filter_install() < 0)
			_exit(99);
		switch (which) {
		case 0:
			/* allowed, so the kernel itself finds the descriptor wrong */
			syscall(SYS_fsconfig, -1, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
			syscall(SYS_exit_group, errno == EINVAL ? 0 : 98);
			break;
		case 1:
			syscall(SYS_fsconfig, -1, FSCONFIG_SET_STRING, "a", "b", 0);
			break;
		case 2:
			syscall(SYS_getpid);
			break;
		case 3:
			syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
			break;
		case 4:
			syscall(SYS_clone, CLONE_VM | SIGCHLD, 0, 0, 0, 0);
			break;
		case 5:
			prctl(PR_SET_DUMPABLE, 1);
			break;
		case 6:
			syscall(SYS_ptrace, 0, 0, 0, 0);
			break;
		default:
			syscall(SYS_execve, "/bin/true", NULL, NULL);
		}
		syscall(SYS_exit_group, 97);
	}
	waitpid(pid, &status, 0);
	return status;
}

START_TEST(the_process_inside_a_containers_pid_namespace_can_only_make_the_superblock)
{
	int status = under_filter(0);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "create: %x", status);
	for (int which = 1; which <= 7; which++) {
		status = under_filter(which);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "call %d: %x",
		              which, status);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spawner");
	TCase *tests = tcase_create("spawner");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_worker_starts_unprivileged_with_its_channel_alone);
	tcase_add_test(tests, a_worker_that_cannot_run_is_reported);
	tcase_add_test(tests, a_worker_never_runs_as_root);
	tcase_add_test(tests,
	               an_attacher_holds_its_socket_and_what_it_may_run_and_cannot_be_dumped);
	tcase_add_test(tests, ended_attachers_are_reaped);
	tcase_add_test(tests, a_spawner_ends_at_what_it_does_not_know);
	tcase_add_test(tests,
	               the_process_inside_a_containers_pid_namespace_can_only_make_the_superblock);
	suite_add_tcase(suite, tests);
	return lab_main(suite);
}
