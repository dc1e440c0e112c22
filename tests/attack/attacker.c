/* SPDX-License-Identifier: Apache-2.0 */
#include "attacker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	int arguments; /* at least */
	const char *usage;
} commands[] = {
	{ "ask", cmd_ask, 3, "SOCKET METHOD JSON: one call to the broker" },
	{ "forge", cmd_forge, 3, "SOCKET METHOD JSON: the same with the credentials of pid 1" },
	{ "lend", cmd_lend, 2, "SOCKET VIA: give a connected socket away, die when told" },
	{ "borrow", cmd_borrow, 2, "VIA PATH...: ask by a socket that another connected" },
	{ "move", cmd_move, 4, "[-u] CGROUP SOCKET METHOD JSON: ask from within CGROUP" },
	{ "slow", cmd_slow, 2, "SOCKET COUNT: half a message on each of COUNT connections" },
	{ "garbage", cmd_garbage, 2, "SOCKET ROUNDS: noise" },
	{ "reuse", cmd_reuse, 7, "MODE SOCKET BROKER ATTACKER VICTIM CGROUP2 PATH (host)" },
	{ "respawn", cmd_respawn, 2, "SOCKET PATH: ask, the asker's pid being another process" },
	{ "writes", cmd_writes, 3, "FOLDER NAME NAME: every call that would change something" },
	{ "handles", cmd_handles, 2, "FILE LAST: open files by inode number" },
	{ "nested", cmd_nested, 3, "SOCKET FILE FOLDER: from new user, mount and pid namespaces" },
	{ "swap", cmd_swap, 2, "A B: exchange the two names for ever" },
	{ "opens", cmd_opens, 2, "FILE COUNT: that many opens by several processes" },
	{ "compare", cmd_compare, 3, "ROUNDS A B: errors and times of opening two paths" },
	{ "halt", cmd_halt, 0,
	  "stops all others in its pid namespace, again and again, until its input ends" },
	{ "fill", cmd_fill, 0, "no further process fits: prints how many, ends with its input" },
	{ "peek", cmd_peek, 1, "PID...: look into other processes" },
	{ "overwrite", cmd_overwrite, 1, "LOG: write to the program of whatever comes by" },
	{ "watch", cmd_watch, 2, "LOG CANARY...: look into whatever comes by, for ever" },
};

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void die_errno(const char *what)
{
	die("%s: %s", what, strerror(errno));
}

int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int steal_fd(int pidfd, int fd)
{
	return (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

void read_whole(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	while (fd >= 0 && len < size - 1 && (n = read(fd, buffer + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buffer[len] = '\0';
	if (fd >= 0)
		close(fd);
}

void print_result(const char *what, int error)
{
	printf("%s %s\n", what, error ? strerrorname_np(error) : "SUCCEEDED");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, argv[1]) == 0 && argc - 2 >= commands[i].arguments)
			return commands[i].run(argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "attacker %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}
