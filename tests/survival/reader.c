/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survival-reader - the honest reader: a program that knows nothing of Coffer, never tries twice,
 * and counts every error it sees. Static: it runs in containers without libraries.
 *
 *	survival-reader [options] PATH...
 *
 *	--processes N   so many processes read, each on its own (1)
 *	--until FILE    they end when FILE is there, which each looks for at every round
 *	--pause-us N    what each sleeps after a round over all paths (0)
 *	--hold          each keeps a descriptor and a mapping of every path from its start, and
 *	                reads them again in every round
 *	--cold          drops the kernel's pages before each read, so that each asks the server
 *	--rotating      a value may change: it is one letter repeated, whole, of the file's size
 *	--ready         prints the line "NAME reading" when each process has had its first look
 *	--name NAME     what each line of output begins with, and the JSON's "name" ("reader")
 *	--counts FILE   counters of each process, while they run: reads, opens, failures, longest
 *	                look in microseconds, each 8 bytes, in this order
 *
 * A look is stat, open, fstat, read to the end, close. Unless --rotating, size, mtime, inode and
 * content must be those of the process' first look. What fails is printed (the first few of each
 * process) and counted. At the end one line of JSON has the sums; status 0 if nothing failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 256
#define VALUE_MAX (1024 * 1024) /* of a secret */
#define PRINTED_MAX 5           /* failures that one process prints; all are counted */

struct counts {
	uint64_t reads, opens, failures, longest_us;
};

struct options {
	unsigned processes, pause_us;
	bool hold, cold, rotating, ready;
	const char *until, *name, *counts;
};

struct file {
	const char *path;
	struct stat first;
	char *content; /* of the first look; NULL before */
	size_t size;
	int held; /* --hold: descriptor and mapping; -1, NULL: none */
	char *mapping;
};

/* One process. */
struct reader {
	const struct options *o;
	struct counts *counts;
	char buffer[VALUE_MAX + 1];
};

static sigjmp_buf lost_page;

static void on_bus(int signal)
{
	siglongjmp(lost_page, 1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* `error` 0: what came is wrong, as `call` says. */
static void failed(struct reader *r, const char *path, const char *call, int error)
{
	if (r->counts->failures++ < PRINTED_MAX)
		printf("%s FAILED: %s %s: %s (errno %d)\n", r->o->name, call, path,
		       error ? strerror(error) : "not what it was", error);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mode == b->st_mode &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool one_letter(const char *value, size_t size)
{
	return size > 0 && memcmp(value, value + 1, size - 1) == 0;
}

/* To the end, by read(2) or by pread(2) from the start. Returns the size, or -1 (counted). */
static ssize_t read_all(struct reader *r, const char *path, int fd, bool by_pread)
{
	size_t size = 0;
	ssize_t n;

	do {
		char *to = r->buffer + size;
		size_t room = sizeof(r->buffer) - size;

		n = by_pread ? pread(fd, to, room, (off_t)size) : read(fd, to, room);
		if (n < 0) {
			failed(r, path, by_pread ? "pread" : "read", errno);
			return -1;
		}
		size += (size_t)n;
	} while (n > 0 && size < sizeof(r->buffer));
	return (ssize_t)size;
}

/* The first look is the measure of all later ones. */
static void keep_first(struct file *f, const struct stat *st, const char *value, size_t size)
{
	f->content = malloc(size + 1);
	if (!f->content)
		abort();
	memcpy(f->content, value, size);
	f->first = *st;
	f->size = size;
}

static bool as_it_was(const struct file *f, const char *value, size_t size)
{
	return size == f->size && memcmp(value, f->content, size) == 0;
}

static void drop_pages(int fd)
{
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static bool check_look(struct reader *r, struct file *f, const struct stat *before,
                       const struct stat *opened, ssize_t size)
{
	const char *wrong = NULL;

	if (opened->st_size != size)
		wrong = "size after reading of";
	else if (r->o->rotating && !one_letter(r->buffer, (size_t)size))
		wrong = "mixture in";
	else if (!r->o->rotating && !same_file(before, opened))
		wrong = "stat and fstat of";
	if (!wrong && !f->content)
		keep_first(f, opened, r->buffer, (size_t)size);
	else if (!wrong && !r->o->rotating && !same_file(&f->first, opened))
		wrong = "inode, size, mode or mtime of";
	else if (!wrong && !r->o->rotating && !as_it_was(f, r->buffer, (size_t)size))
		wrong = "content of";
	if (wrong)
		failed(r, f->path, wrong, 0);
	return !wrong;
}

static void look(struct reader *r, struct file *f)
{
	struct stat before, opened;
	uint64_t start = now_us(), took;
	ssize_t size = -1;
	int fd;

	if (stat(f->path, &before) < 0) {
		failed(r, f->path, "stat", errno);
		return;
	}
	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		failed(r, f->path, "open", errno);
		return;
	}
	r->counts->opens++;
	if (r->o->cold)
		drop_pages(fd);
	if (fstat(fd, &opened) < 0)
		failed(r, f->path, "fstat", errno);
	else
		size = read_all(r, f->path, fd, false);
	if (close(fd) < 0)
		failed(r, f->path, "close", errno);
	took = now_us() - start;
	if (took > r->counts->longest_us)
		r->counts->longest_us = took;
	if (size >= 0 && check_look(r, f, &before, &opened, size))
		r->counts->reads++;
}

static void hold(struct reader *r, struct file *f)
{
	struct stat st;
	ssize_t size;

	f->held = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->held < 0) {
		failed(r, f->path, "open", errno);
		return;
	}
	r->counts->opens++;
	size = read_all(r, f->path, f->held, false);
	if (fstat(f->held, &st) < 0 || size < 0) {
		failed(r, f->path, "fstat", errno);
		return;
	}
	if (!f->content)
		keep_first(f, &st, r->buffer, (size_t)size);
	f->mapping = mmap(NULL, f->size ? f->size : 1, PROT_READ, MAP_PRIVATE, f->held, 0);
	if (f->mapping == MAP_FAILED) {
		f->mapping = NULL;
		failed(r, f->path, "mmap", errno);
	}
}

/* What is held goes on as it began, also when the name has a new version. */
static void look_at_held(struct reader *r, struct file *f)
{
	uint64_t start = now_us(), took;
	ssize_t size;

	if (f->held < 0 || !f->mapping)
		return;
	if (r->o->cold) {
		madvise(f->mapping, f->size, MADV_DONTNEED);
		drop_pages(f->held);
	}
	size = read_all(r, f->path, f->held, true);
	if (size >= 0 && !as_it_was(f, r->buffer, (size_t)size))
		failed(r, f->path, "content of the held", 0);
	if (sigsetjmp(lost_page, 1))
		failed(r, f->path, "mapping of", EFAULT);
	else if (!as_it_was(f, f->mapping, f->size))
		failed(r, f->path, "mapping of", 0);
	took = now_us() - start;
	if (took > r->counts->longest_us)
		r->counts->longest_us = took;
}

static void round_of(struct reader *r, struct file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		look(r, &files[i]);
	for (size_t i = 0; i < count && r->o->hold; i++)
		look_at_held(r, &files[i]);
}

/* `started` is closed after the first round, by which the parent knows. */
static void run(const struct options *o, struct counts *counts, char *const *paths, int started)
{
	struct reader *r = malloc(sizeof(*r));
	struct file files[64];
	size_t count = 0;

	if (!r)
		abort();
	*r = (struct reader){ .o = o, .counts = counts };
	signal(SIGBUS, on_bus);
	for (; paths[count] && count < sizeof(files) / sizeof(files[0]); count++) {
		files[count] = (struct file){ .path = paths[count], .held = -1 };
		if (o->hold)
			hold(r, &files[count]);
	}
	round_of(r, files, count);
	close(started);
	while (!o->until || access(o->until, F_OK) < 0) {
		if (o->pause_us)
			usleep(o->pause_us);
		round_of(r, files, count);
	}
}

static struct counts *make_counts(const char *path, unsigned processes)
{
	size_t size = processes * sizeof(struct counts);
	int fd = -1;
	void *at;

	if (path) {
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
			perror(path);
			exit(2);
		}
	}
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd,
	          0);
	if (at == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return at;
}

static unsigned number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || n > max) {
		fprintf(stderr, "survival-reader: %s is no number from 0 to %lu\n", text, max);
		exit(2);
	}
	return (unsigned)n;
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "processes", required_argument, NULL, 'n' },
		{ "until", required_argument, NULL, 'u' },
		{ "pause-us", required_argument, NULL, 'p' },
		{ "hold", no_argument, NULL, 'h' },
		{ "cold", no_argument, NULL, 'c' },
		{ "rotating", no_argument, NULL, 'r' },
		{ "ready", no_argument, NULL, 'R' },
		{ "name", required_argument, NULL, 'N' },
		{ "counts", required_argument, NULL, 'C' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'n':
			o->processes = number(optarg, PROCESSES_MAX);
			break;
		case 'u':
			o->until = optarg;
			break;
		case 'p':
			o->pause_us = number(optarg, 1000000);
			break;
		case 'h':
			o->hold = true;
			break;
		case 'c':
			o->cold = true;
			break;
		case 'r':
			o->rotating = true;
			break;
		case 'R':
			o->ready = true;
			break;
		case 'N':
			o->name = optarg;
			break;
		case 'C':
			o->counts = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (optind == argc || o->processes == 0) {
		fputs("survival-reader: wants paths to read\n", stderr);
		exit(2);
	}
}

/* Waits for all; one that did not end by itself counts as a failure. */
static void gather(const struct options *o, const struct counts *counts, struct counts *ret)
{
	int status;
	pid_t pid;

	while ((pid = wait(&status)) > 0) {
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		printf("%s FAILED: process %d ended with status %#x\n", o->name, pid, status);
		ret->failures++;
	}
	for (unsigned i = 0; i < o->processes; i++) {
		ret->reads += counts[i].reads;
		ret->opens += counts[i].opens;
		ret->failures += counts[i].failures;
		if (counts[i].longest_us > ret->longest_us)
			ret->longest_us = counts[i].longest_us;
	}
}

int main(int argc, char **argv)
{
	struct options o = { .processes = 1, .name = "reader" };
	struct counts *counts, sum = { 0 };
	int started[2];
	char none;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* lines stay whole where many write to one pipe */
	parse(argc, argv, &o);
	counts = make_counts(o.counts, o.processes);
	if (pipe2(started, O_CLOEXEC) < 0)
		return 2;
	for (unsigned i = 0; i < o.processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (pid == 0) {
			run(&o, &counts[i], argv + optind, started[1]);
			return 0;
		}
	}
	close(started[1]);
	if (o.ready && read(started[0], &none, 1) == 0)
		printf("%s reading\n", o.name);
	gather(&o, counts, &sum);
	printf("{\"name\":\"%s\",\"reads\":%llu,\"opens\":%llu,\"failures\":%llu,\"longest_us\":%"
	       "llu}\n",
	       o.name, (unsigned long long)sum.reads, (unsigned long long)sum.opens,
	       (unsigned long long)sum.failures, (unsigned long long)sum.longest_us);
	return sum.failures ? 1 : 0;
}
