/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Getting at the program file of whoever comes into our pid namespace, to write to it when it has
 * ended: what made of one run of a host's program in a container the host's root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacker.h"

#define HELD_MAX 64
#define TRIES_MAX 20000 /* of opening a file that is still busy */

/* Programs taken hold of, which may become free to be written. */
static struct held {
	int fd; /* O_PATH */
	int tries;
	char target[512];
} held[HELD_MAX];
static size_t count;
static FILE *journal;

static void note_status(pid_t pid)
{
	static const char *const wanted[] = { "Name:",   "Uid:",        "Groups:",
		                              "CapInh:", "CapPrm:",     "CapEff:",
		                              "CapBnd:", "NoNewPrivs:", "Seccomp:" };
	char path[64], text[4096], *rest = text, *line;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	read_whole(path, text, sizeof(text));
	fprintf(journal, "status");
	while ((line = strsep(&rest, "\n")))
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
				fprintf(journal, " %s", line);
	fprintf(journal, "\n");
}

static void take_hold(pid_t pid)
{
	/* Held by ptrace it stays the program that it is for as long as we like. */
	bool traced = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
	char path[64];
	ssize_t n;

	if (traced && ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0)
		waitpid(pid, NULL, __WALL);
	note_status(pid);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (count < HELD_MAX) {
		struct held *h = &held[count];

		n = readlink(path, h->target, sizeof(h->target) - 1);
		h->fd = open(path, O_PATH | O_CLOEXEC);
		h->tries = 0;
		if (n > 0 && h->fd >= 0) {
			h->target[n] = '\0';
			fprintf(journal, "holds %s\n", h->target);
			count++;
		}
	}
	if (traced)
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

/* What is our own is let alone: that would be no news. Anything else is opened; written to only what
 * is memory, so that the test does not do the harm. */
static bool try_write(struct held *h)
{
	char path[64];
	int fd;

	if (strncmp(h->target, "/bin/", 5) == 0 || strncmp(h->target, "/attacker", 9) == 0 ||
	    strncmp(h->target, "/loaded", 7) == 0)
		return true;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ETXTBSY && ++h->tries < TRIES_MAX)
			return false;
		fprintf(journal, "open %s %s\n", strerrorname_np(errno), h->target);
		return true;
	}
	if (strncmp(h->target, "/memfd:", 7) != 0)
		fprintf(journal, "OPENED %s\n", h->target);
	else if (pwrite(fd, "X", 1, 0) == 1 || ftruncate(fd, 0) == 0)
		fprintf(journal, "WROTE %s\n", h->target);
	else
		fprintf(journal, "write %s %s\n", strerrorname_np(errno), h->target);
	close(fd);
	return true;
}

static void try_all(void)
{
	for (size_t i = 0; i < count;) {
		if (!try_write(&held[i])) {
			i++;
			continue;
		}
		close(held[i].fd);
		held[i] = held[--count];
	}
	fflush(journal);
}

/* The first process of a container: every process but ourselves is somebody's who came in. */
int cmd_overwrite(int argc, char **argv)
{
	pid_t own = getpid();

	journal = fopen(argv[1], "ae");
	if (!journal)
		die_errno(argv[1]);
	fprintf(journal, "watching\n");
	for (;;) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		while (proc && (entry = readdir(proc))) {
			pid_t pid = atoi(entry->d_name);

			if (pid > 0 && pid != own)
				take_hold(pid);
		}
		if (proc)
			closedir(proc);
		try_all();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
