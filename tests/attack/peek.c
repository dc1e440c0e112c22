/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into processes that are not ours.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacker.h"

#define FDS_MAX 64
#define SCAN_STEP (1024 * 1024)

static int try_ptrace(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return errno;
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	kill(pid, SIGCONT);
	return 0;
}

static int try_vm(pid_t pid)
{
	char byte;
	struct iovec local = { .iov_base = &byte, .iov_len = 1 };
	struct iovec remote = { .iov_base = (void *)(uintptr_t)0x400000, .iov_len = 1 };

	/* EFAULT: allowed, and nothing there. */
	return process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 && errno != EFAULT ? errno : 0;
}

static int try_open(pid_t pid, const char *name)
{
	char path[64], byte;
	int fd, error = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (strcmp(name, "mem") != 0 && read(fd, &byte, 1) <= 0)
		error = errno ? errno : ENODATA;
	close(fd);
	return error;
}

static int try_link(pid_t pid, const char *name)
{
	char path[64], target[4096];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return readlink(path, target, sizeof(target)) < 0 ? errno : 0;
}

static int try_steal(pid_t pid)
{
	int pidfd = pidfd_of(pid), error = pidfd < 0 ? errno : EBADF;

	for (int i = 0; pidfd >= 0 && i < FDS_MAX; i++) {
		int fd = steal_fd(pidfd, i);

		if (fd >= 0) {
			close(fd);
			error = 0;
			break;
		}
		if (errno != EBADF)
			error = errno;
	}
	if (pidfd >= 0)
		close(pidfd);
	return error;
}

int cmd_peek(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		pid_t pid = atoi(argv[i]);

		print_result("ptrace", try_ptrace(pid));
		print_result("process_vm_readv", try_vm(pid));
		print_result("mem", try_open(pid, "mem"));
		print_result("maps", try_open(pid, "maps"));
		print_result("environ", try_open(pid, "environ"));
		print_result("pidfd_getfd", try_steal(pid));
		print_result("exe", try_link(pid, "exe"));
		print_result("fd", try_link(pid, "fd/3"));
		print_result("root", try_link(pid, "root"));
	}
	return 0;
}

/* ---- whatever comes by ---- */

static FILE *journal;

static void note_link(pid_t pid, const char *name)
{
	char path[300], target[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = '\0';
	fprintf(journal, "%.3s %s\n", name, target);
}

static void note_descriptors(pid_t pid)
{
	char path[64], name[280];
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	if (!folder)
		return;
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.') {
			snprintf(name, sizeof(name), "fd/%s", entry->d_name);
			note_link(pid, name);
		}
	closedir(folder);
}

static void scan(int mem, uintptr_t from, uintptr_t to, char **canaries)
{
	static char bytes[SCAN_STEP];

	while (from < to) {
		size_t want = to - from < SCAN_STEP ? to - from : SCAN_STEP;
		ssize_t n = pread(mem, bytes, want, (off_t)from);

		if (n <= 0)
			return;
		for (char **c = canaries; *c; c++)
			if (memmem(bytes, (size_t)n, *c, strlen(*c)))
				fprintf(journal, "CANARY %s\n", *c);
		from += (uintptr_t)n;
	}
}

static void note_memory(pid_t pid, char **canaries)
{
	char path[64], line[512];
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (mem >= 0 && maps && fgets(line, sizeof(line), maps)) {
		uintptr_t from, to;
		char may;

		if (sscanf(line, "%lx-%lx %c", &from, &to, &may) == 3 && may == 'r') {
			fprintf(journal, "memory %lu\n", (unsigned long)(to - from));
			scan(mem, from, to, canaries);
		}
	}
	if (maps)
		fclose(maps);
	if (mem >= 0)
		close(mem);
}

static void look_into(pid_t pid, char **canaries)
{
	/* Held by ptrace it stays as long as we like. */
	bool held = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
	int error = held ? 0 : errno;

	if (held && ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0)
		waitpid(pid, NULL, __WALL);
	fprintf(journal, "seen %d ptrace %s\n", pid, held ? "SUCCEEDED" : strerrorname_np(error));
	note_link(pid, "exe");
	note_descriptors(pid);
	note_memory(pid, canaries);
	if (held)
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	fflush(journal);
}

/* The first process of a container: every process but ourselves is somebody's who came in. */
int cmd_watch(int argc, char **argv)
{
	pid_t own = getpid();

	journal = fopen(argv[1], "ae");
	if (!journal)
		die_errno(argv[1]);
	fprintf(journal, "watching\n");
	fflush(journal);
	for (;;) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		while (proc && (entry = readdir(proc))) {
			pid_t pid = atoi(entry->d_name);

			if (pid > 0 && pid != own)
				look_into(pid, argv + 2);
		}
		if (proc)
			closedir(proc);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
