/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look - what a reader in a container measures of files. Static: it runs where there are no libraries.
 *
 *	look open COUNT ROUNDS PATH...       open, read to the end, close: one after the other
 *	look rate PROCESSES MS ROUNDS PATH...  as many as PROCESSES readers can, for MS milliseconds
 *	look read COUNT ROUNDS PATH...       read again from one descriptor, after a first read
 *	look map COUNT ROUNDS PATH...        map, touch every page, unmap, after a first time
 *	look seen COUNT PATH                 when the name leads to another inode; COUNT times
 *	look stall STOP PATH                 open, read, close until the file STOP is there
 *	look watch FILE PATH                 sleeps until the name leads to another inode, appends the time
 *	                                     (8 bytes) to FILE; for ever
 *
 * Of several paths each has its turn in each round, the first one another each time: what disturbs the
 * machine disturbs all of them. Prints one line of JSON for each round and path; times are nanoseconds
 * of CLOCK_MONOTONIC. COFFER_BENCH_CPU=N in the environment keeps it on one processor.
 *
 * Every failed call ends it with a sentence and status 1; "stall" counts them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
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

#define VALUE_MAX (1024 * 1024)
#define PROCESSES_MAX 256

static unsigned char buffer[VALUE_MAX];

__attribute__((noreturn)) static void give_up(const char *what, const char *path)
{
	fprintf(stderr, "look: cannot %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	do
		n = read(fd, buffer, sizeof(buffer));
	while (n > 0);
	return close(fd) == 0 && n == 0;
}

/* One read that gets it all, as programs do who know the size; a second one would say that it was all. */
static void read_once(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		give_up("open", path);
	if (read(fd, buffer, sizeof(buffer)) < 0)
		give_up("read", path);
	close(fd);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(const char *path, uint64_t *times, size_t count)
{
	static const double at[] = { 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1 };

	qsort(times, count, sizeof(*times), compare);
	printf("{\"path\":\"%s\",\"count\":%zu,\"ns\":{", path, count);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		size_t rank = (size_t)(at[i] * (double)count + 0.5);

		printf("%s\"p%g\":%" PRIu64, i ? "," : "", at[i] * 100,
		       times[rank ? (rank > count ? count : rank) - 1 : 0]);
	}
	puts("}}");
	fflush(stdout);
}

typedef void (*measure)(const char *path, uint64_t *times, size_t count);

static void measure_open(const char *path, uint64_t *times, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t begin = now();

		read_once(path);
		times[i] = now() - begin;
	}
}

static void measure_read(const char *path, uint64_t *times, size_t count)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, buffer, sizeof(buffer), 0) < 0)
		give_up("read", path);
	for (size_t i = 0; i < count; i++) {
		uint64_t begin = now();

		if (pread(fd, buffer, sizeof(buffer), 0) < 0)
			give_up("read", path);
		times[i] = now() - begin;
	}
	close(fd);
}

static void map_once(int fd, size_t size, const char *path)
{
	volatile const unsigned char *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (at == MAP_FAILED)
		give_up("map", path);
	for (size_t i = 0; i < size; i += 4096)
		(void)at[i];
	munmap((void *)(uintptr_t)at, size);
}

static void measure_map(const char *path, uint64_t *times, size_t count)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		give_up("look at", path);
	map_once(fd, (size_t)st.st_size, path);
	for (size_t i = 0; i < count; i++) {
		uint64_t begin = now();

		map_once(fd, (size_t)st.st_size, path);
		times[i] = now() - begin;
	}
	close(fd);
}

static int take_turns(measure what, size_t count, size_t rounds, char **paths, size_t n)
{
	uint64_t *times = calloc(count, sizeof(*times));

	if (!times)
		give_up("measure", "anything");
	for (size_t i = 0; i < n; i++)
		read_once(paths[i]); /* the first time is another matter */
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < n; i++) {
			const char *path = paths[(round + i) % n];

			what(path, times, count);
			print_times(path, times, count);
		}
	free(times);
	return 0;
}

/* All begin together, when `go` says so, and stop together. */
struct shared {
	volatile int go;
	volatile uint64_t opens[PROCESSES_MAX];
};

static void read_until(struct shared *s, size_t self, const char *path)
{
	uint64_t count = 0;

	while (!s->go)
		sched_yield();
	while (s->go == 1) {
		read_once(path);
		count++;
	}
	s->opens[self] = count;
	_exit(0);
}

static void measure_rate(struct shared *s, size_t processes, uint64_t ms, const char *path)
{
	struct timespec left = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	uint64_t begin, took, sum = 0;
	int status, failed = 0;

	s->go = 0;
	for (size_t i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			give_up("fork for", path);
		if (pid == 0)
			read_until(s, i, path);
	}
	begin = now();
	s->go = 1;
	nanosleep(&left, NULL);
	s->go = 2;
	took = now() - begin;
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		exit(1);
	for (size_t i = 0; i < processes; i++)
		sum += s->opens[i];
	printf("{\"path\":\"%s\",\"count\":%" PRIu64 ",\"per_s\":%.1f}\n", path, sum,
	       (double)sum * 1e9 / (double)took);
	fflush(stdout);
}

static int rate(size_t processes, uint64_t ms, size_t rounds, char **paths, size_t n)
{
	struct shared *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED || processes > PROCESSES_MAX)
		give_up("count", "so many processes");
	for (size_t i = 0; i < n; i++)
		read_once(paths[i]);
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < n; i++)
			measure_rate(s, processes, ms, paths[(round + i) % n]);
	return 0;
}

static int seen(size_t count, const char *path)
{
	struct stat st, old;

	if (stat(path, &old) < 0)
		give_up("look at", path);
	puts("{\"ready\":true}");
	fflush(stdout);
	for (size_t i = 0; i < count; i++) {
		do
			if (stat(path, &st) < 0)
				give_up("look at", path);
		while (st.st_ino == old.st_ino);
		printf("{\"path\":\"%s\",\"at\":%" PRIu64 "}\n", path, now());
		fflush(stdout);
		old = st;
	}
	return 0;
}

static int stall(const char *stop, const char *path)
{
	uint64_t longest = 0, count = 0, failed = 0;

	puts("{\"ready\":true}");
	fflush(stdout);
	while (access(stop, F_OK) < 0) {
		uint64_t begin = now(), took;

		failed += !read_file(path);
		took = now() - begin;
		if (took > longest)
			longest = took;
		count++;
	}
	printf("{\"path\":\"%s\",\"count\":%" PRIu64 ",\"failed\":%" PRIu64
	       ",\"longest_ns\":%" PRIu64 "}\n",
	       path, count, failed, longest);
	return 0;
}

static void append_time(int fd, const char *file)
{
	uint64_t at = now();

	if (write(fd, &at, sizeof(at)) != sizeof(at))
		give_up("write to", file);
}

/* Sleeping costs nothing, however many do. */
static int watch(const char *file, const char *path)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int events = inotify_init1(IN_CLOEXEC);
	char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	struct stat st, old;

	if (fd < 0 || events < 0 || !slash)
		give_up("watch for", file);
	*slash = '\0';
	if (inotify_add_watch(events, folder, IN_MOVED_TO | IN_CREATE) < 0 || stat(path, &old) < 0)
		give_up("watch", path);
	append_time(fd, file);
	for (;;) {
		if (read(events, buffer, sizeof(buffer)) <= 0)
			give_up("hear of", path);
		if (stat(path, &st) == 0 && st.st_ino != old.st_ino) {
			append_time(fd, file);
			old = st;
		}
	}
}

static size_t number(const char *text)
{
	char *end = NULL;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || value == 0) {
		fprintf(stderr, "look: %s is no number above 0\n", text);
		exit(2);
	}
	return value;
}

static void stay_on_one_processor(void)
{
	const char *text = getenv("COFFER_BENCH_CPU");
	cpu_set_t set;

	if (!text || !*text)
		return;
	CPU_ZERO(&set);
	CPU_SET(strtoul(text, NULL, 10), &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		give_up("stay on processor", text);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		measure what;
	} measures[] = { { "open", measure_open },
		         { "read", measure_read },
		         { "map", measure_map } };
	const char *mode = argc > 1 ? argv[1] : "";

	stay_on_one_processor();
	for (size_t i = 0; argc >= 5 && i < sizeof(measures) / sizeof(measures[0]); i++)
		if (strcmp(mode, measures[i].name) == 0)
			return take_turns(measures[i].what, number(argv[2]), number(argv[3]),
			                  argv + 4, (size_t)argc - 4);
	if (argc >= 6 && strcmp(mode, "rate") == 0)
		return rate(number(argv[2]), number(argv[3]), number(argv[4]), argv + 5,
		            (size_t)argc - 5);
	if (argc == 4 && strcmp(mode, "seen") == 0)
		return seen(number(argv[2]), argv[3]);
	if (argc == 4 && strcmp(mode, "stall") == 0)
		return stall(argv[2], argv[3]);
	if (argc == 4 && strcmp(mode, "watch") == 0)
		return watch(argv[2], argv[3]);
	fputs("usage: look open|read|map COUNT ROUNDS PATH... | rate PROCESSES MS ROUNDS PATH... "
	      "|\n"
	      "       seen COUNT PATH | stall STOP PATH | watch FILE PATH\n",
	      stderr);
	return 2;
}
