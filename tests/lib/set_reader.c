/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set-reader HOW STOP FOLDER FILE... - opens and reads the files of a set, in that order, again and
 * again until the file STOP is there. A value is "GENERATION NAME" and some bytes more: all that one
 * process reads in one pass must be of one generation. In a container without libraries.
 *
 *	loop     one process, a pass behind the other
 *	fork     each pass by a process of its own
 *	thread   the first file by one thread, the others by another
 *	watch    a pass whenever something has happened in the folder of the first file
 *
 * Time is a part of what is promised: who takes longer than two seconds is in another pass. A process
 * that the host has kept waiting for so long does not count that pass, and waits until it is in none
 * before it begins the next, or its passes would be others than it thinks.
 *
 * Prints "reading" after its first pass; at the end what it saw, and every failure as it comes:
 *
 *	passes 1000 mismatches 0 failures 0 generations 17 last 200 longest 4711 us late 0
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX 4096

/* Shared with children. */
static struct seen {
	long passes, mismatches, failures, generations, last, longest_us, late;
} * seen;
static char **files;
static long pass_began_us;
static int file_count;

#define PASS_US 1900000 /* a little less, for a clock that is read at another moment */

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static long failed(const char *file, const char *what, int error)
{
	printf("FAILED %s: %s: %s\n", file, what, strerror(error));
	fflush(stdout);
	seen->failures++;
	return -1;
}

/* The generation that one file tells, or -1. */
static long read_one(const char *file)
{
	char value[VALUE_MAX + 1];
	long before = now_us(), generation;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return failed(file, "open", errno);
	n = read(fd, value, VALUE_MAX);
	if (n < 0 || fstat(fd, &st) < 0) {
		close(fd);
		return failed(file, "read", errno);
	}
	close(fd);
	if (now_us() - before > seen->longest_us)
		seen->longest_us = now_us() - before;
	value[n] = '\0';
	if (st.st_size != n || sscanf(value, "%ld", &generation) != 1)
		return failed(file, "its size or its bytes are wrong", 0);
	return generation;
}

static void note(long first, long other, const char *file)
{
	if (first == other || now_us() - pass_began_us > PASS_US)
		return;
	printf("MISMATCH %s is of %ld, %s of %ld, opened within %ld us of it\n", files[0], first,
	       file, other, now_us() - pass_began_us);
	fflush(stdout);
	seen->mismatches++;
}

static void read_rest(long first)
{
	for (int i = 1; i < file_count; i++) {
		long other = read_one(files[i]);

		if (other >= 0)
			note(first, other, files[i]);
	}
}

static void end_pass(long generation)
{
	if (now_us() - pass_began_us > PASS_US) {
		seen->late++;
		usleep(PASS_US + PASS_US / 10);
	}
	if (generation != seen->last)
		seen->generations++;
	if (generation < seen->last)
		failed(files[0], "an earlier generation after a later one", 0);
	seen->last = generation;
	if (seen->passes++ == 0) {
		printf("reading\n");
		fflush(stdout);
	}
}

static void pass(void)
{
	long first;

	pass_began_us = now_us();
	first = read_one(files[0]);
	if (first < 0)
		return;
	read_rest(first);
	end_pass(first);
}

static void pass_of_a_child(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		pass();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		failed("fork", "a child", errno);
}

static long first_of_thread;
static pthread_barrier_t turn;

static void *other_thread(void *arg)
{
	for (;;) {
		pthread_barrier_wait(&turn);
		read_rest(first_of_thread);
		pthread_barrier_wait(&turn);
	}
	return arg;
}

static void pass_of_two_threads(void)
{
	static pthread_t thread;

	if (!thread) {
		pthread_barrier_init(&turn, NULL, 2);
		pthread_create(&thread, NULL, other_thread, NULL);
	}
	pass_began_us = now_us();
	first_of_thread = read_one(files[0]);
	if (first_of_thread < 0)
		return;
	pthread_barrier_wait(&turn);
	pthread_barrier_wait(&turn);
	end_pass(first_of_thread);
}

/* What has happened meanwhile is one event to it, as it is to servers that read again. */
static void pass_after_an_event(void)
{
	static int watch = -1;
	char events[4096] __attribute__((aligned(8)));
	char folder[VALUE_MAX];
	struct pollfd fd;

	if (watch < 0) {
		snprintf(folder, sizeof(folder), "%s", files[0]);
		watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		inotify_add_watch(watch, dirname(folder), IN_MOVED_TO);
		pass();
	}
	fd = (struct pollfd){ .fd = watch, .events = POLLIN };
	if (poll(&fd, 1, 100) == 1 && read(watch, events, sizeof(events)) > 0)
		pass();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*pass)(void);
	} ways[] = {
		{ "loop", pass },
		{ "fork", pass_of_a_child },
		{ "thread", pass_of_two_threads },
		{ "watch", pass_after_an_event },
	};
	void (*one)(void) = NULL;

	for (size_t i = 0; argc > 4 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0)
			one = ways[i].pass;
	if (!one || chdir(argv[3]) < 0)
		return 2;
	files = argv + 4;
	file_count = argc - 4;
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 2;
	while (access(argv[2], F_OK) < 0)
		one();
	pass(); /* what is there at the end */
	printf("passes %ld mismatches %ld failures %ld generations %ld last %ld longest %ld us "
	       "late %ld\n",
	       seen->passes, seen->mismatches, seen->failures, seen->generations, seen->last,
	       seen->longest_us, seen->late);
	return 0;
}
