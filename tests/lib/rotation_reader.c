/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader inside a container, static: reads one file again and again in one of several ways, while
 * its versions change, and takes nothing for granted. A value is one letter repeated, so that a
 * mixture shows; '0' stands for no letter (an empty value).
 *
 *	rotation-reader plain|mmap|list|path|hold FOLDER NAME STOP
 *
 * It prints "reading" after its first pass, ends when the file STOP is there, and prints then
 *
 *	seen INODE MTIME_NS SIZE LETTER VERSION     for each inode that it read
 *	passes COUNT
 *
 * Whatever is not as it must be is printed as a line that begins with FAILED, and ends it with 1.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SEEN_MAX 4096
#define VALUE_MAX (1 << 20)
#define HELD_MAX 8
#define VERSION_XATTR "user.coffer.version"

struct version {
	uint64_t inode;
	int64_t mtime_ns, size;
	char letter;
	unsigned long number;
};

/* What was open before a rotation: read to its end several rotations later. */
struct held {
	int fd;
	struct version is;
	const char *private, *shared; /* maps; NULL for an empty value */
};

struct reader {
	const char *folder, *name;
	char path[512];
	struct version seen[SEEN_MAX];
	size_t count;
	unsigned long passes, newest;
	struct held held[HELD_MAX];
	size_t holding;
	char buffer[VALUE_MAX + 1];
};

static _Noreturn void fail(const char *format, ...)
{
	va_list args;

	fputs("FAILED: ", stdout);
	va_start(args, format);
	vfprintf(stdout, format, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

static void fail_errno(const char *what)
{
	fail("%s: %s", what, strerrorname_np(errno));
}

static void check_letters(const char *bytes, int64_t size, char letter, const char *how)
{
	for (int64_t i = 0; i < size; i++)
		if (bytes[i] != letter)
			fail("%s: byte %lld of %lld is '%c', not '%c'", how, (long long)i,
			     (long long)size, bytes[i], letter);
}

static struct version stat_fd(int fd)
{
	char text[32];
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st) < 0)
		fail_errno("fstat");
	if (!S_ISREG(st.st_mode) || st.st_size > VALUE_MAX)
		fail("mode %o, %lld bytes", st.st_mode, (long long)st.st_size);
	len = fgetxattr(fd, VERSION_XATTR, text, sizeof(text) - 1);
	if (len < 0)
		fail_errno("fgetxattr");
	text[len] = '\0';
	return (struct version){
		.inode = st.st_ino,
		.mtime_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec,
		.size = st.st_size,
		.number = strtoul(text, NULL, 10),
	};
}

/* An inode is one version for ever, and who opens later never gets an older one. */
static void note(struct reader *r, const struct version *v, bool fresh)
{
	if (fresh && v->number < r->newest)
		fail("version %lu was opened after version %lu", v->number, r->newest);
	if (v->number > r->newest)
		r->newest = v->number;
	for (size_t i = 0; i < r->count; i++) {
		const struct version *s = &r->seen[i];

		if (s->inode != v->inode)
			continue;
		if (s->mtime_ns != v->mtime_ns || s->size != v->size || s->letter != v->letter ||
		    s->number != v->number)
			fail("inode %llu was version %lu '%c' and is version %lu '%c'",
			     (unsigned long long)v->inode, s->number, s->letter, v->number,
			     v->letter);
		return;
	}
	if (r->count == SEEN_MAX)
		fail("more than %d inodes", SEEN_MAX);
	r->seen[r->count++] = *v;
}

static char letter_of(const char *bytes, int64_t size)
{
	return size > 0 ? bytes[0] : '0';
}

/* From where the descriptor stands to its end, in pieces, and nothing beyond. */
static void read_rest(struct reader *r, int fd, struct version *v, int64_t from, const char *how)
{
	int64_t len = from;
	ssize_t n;

	while ((n = read(fd, r->buffer + len, (size_t)(VALUE_MAX + 1 - len))) > 0)
		len += n;
	if (n < 0)
		fail_errno(how);
	if (len != v->size)
		fail("%s: %lld bytes where fstat says %lld", how, (long long)len,
		     (long long)v->size);
	if (!v->letter)
		v->letter = letter_of(r->buffer, len);
	check_letters(r->buffer + from, len - from, v->letter, how);
}

static int open_it(const struct reader *r, int flags)
{
	int fd = open(r->path, flags | O_CLOEXEC);

	if (fd < 0)
		fail_errno("open");
	return fd;
}

static void pass_plain(struct reader *r)
{
	int fd = open_it(r, O_RDONLY);
	struct version v = stat_fd(fd);

	read_rest(r, fd, &v, 0, "read");
	note(r, &v, true);
	close(fd);
}

static const char *map(int fd, int64_t size, int flags)
{
	void *bytes = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, flags, fd, 0) : NULL;

	if (bytes == MAP_FAILED)
		fail_errno("mmap");
	return bytes;
}

static void unmap(const char *bytes, int64_t size)
{
	if (bytes)
		munmap((void *)(uintptr_t)bytes, (size_t)size);
}

static void pass_mmap(struct reader *r)
{
	int fd = open_it(r, O_RDONLY);
	struct version v = stat_fd(fd);
	const char *bytes = map(fd, v.size, r->passes % 2 ? MAP_SHARED : MAP_PRIVATE);

	close(fd);
	v.letter = letter_of(bytes, v.size);
	check_letters(bytes, v.size, v.letter, "mmap");
	note(r, &v, true);
	unmap(bytes, v.size);
}

/* The folder has the name exactly once, at every moment, and nothing else. */
static void pass_list(struct reader *r)
{
	DIR *dir = opendir(r->folder);
	const struct dirent *entry;
	unsigned int found = 0;
	struct stat st;

	if (!dir)
		fail_errno("opendir");
	while (errno = 0, entry = readdir(dir)) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (strcmp(entry->d_name, r->name) != 0)
			fail("the folder lists '%s'", entry->d_name);
		found++;
	}
	if (errno)
		fail_errno("readdir");
	closedir(dir);
	if (found != 1)
		fail("the folder lists the name %u times", found);
	if (stat(r->path, &st) < 0 || lstat(r->path, &st) < 0)
		fail_errno("stat");
	if (access(r->path, R_OK) < 0)
		fail_errno("access");
	if (st.st_nlink != 1)
		fail("st_nlink is %lu", (unsigned long)st.st_nlink);
}

/* A place found first, opened later: still the same version. */
static void pass_path(struct reader *r)
{
	int place = open_it(r, O_PATH | O_NOFOLLOW);
	struct stat st;
	struct version v;
	char proc[64];
	int fd;

	if (fstat(place, &st) < 0)
		fail_errno("fstat of a path");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", place);
	fd = open(proc, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_errno("open of a path");
	v = stat_fd(fd);
	if (v.inode != st.st_ino || v.size != st.st_size)
		fail("inode %llu became %llu", (unsigned long long)st.st_ino,
		     (unsigned long long)v.inode);
	read_rest(r, fd, &v, 0, "read of a path");
	note(r, &v, true);
	close(fd);
	close(place);
}

static void let_go(struct reader *r, struct held *h)
{
	struct version now = stat_fd(h->fd);
	int64_t half = h->is.size / 2;
	ssize_t n;

	now.letter = h->is.letter;
	note(r, &now, false);
	if (now.inode != h->is.inode)
		fail("an open descriptor changed its inode");
	n = pread(h->fd, r->buffer, VALUE_MAX + 1, half);
	if (n < 0)
		fail_errno("pread of what was opened before");
	/* One call may bring less than all, but brings something unless at the end. */
	if (n > h->is.size - half || (n == 0 && half < h->is.size))
		fail("pread brought %zd bytes of %lld", n, (long long)(h->is.size - half));
	check_letters(r->buffer, n, h->is.letter, "pread of what was opened before");
	read_rest(r, h->fd, &h->is, half, "read of what was opened before");
	check_letters(h->private, h->private ? h->is.size : 0, h->is.letter, "a private map");
	check_letters(h->shared, h->shared ? h->is.size : 0, h->is.letter, "a shared map");
	unmap(h->private, h->is.size);
	unmap(h->shared, h->is.size);
	close(h->fd);
}

static void let_go_first(struct reader *r)
{
	let_go(r, &r->held[0]);
	memmove(&r->held[0], &r->held[1], --r->holding * sizeof(r->held[0]));
}

/* Reads half of each new version and maps it, and the rest when HELD_MAX others have come. */
static void pass_hold(struct reader *r)
{
	int fd = open_it(r, O_RDONLY);
	struct held h = { .fd = fd, .is = stat_fd(fd) };
	int64_t half = h.is.size / 2;

	if (r->holding > 0 && r->held[r->holding - 1].is.inode == h.is.inode) {
		close(fd);
		return;
	}
	for (int64_t at = 0; at < half;) {
		ssize_t n = read(fd, r->buffer + at, (size_t)(half - at));

		if (n <= 0)
			fail("reading the first half ended at %lld", (long long)at);
		at += n;
	}
	h.private = map(fd, h.is.size, MAP_PRIVATE);
	h.shared = map(fd, h.is.size, MAP_SHARED);
	h.is.letter = half > 0 ? r->buffer[0] : letter_of(h.private, h.is.size);
	check_letters(r->buffer, half, h.is.letter, "the first half");
	note(r, &h.is, true);
	if (r->holding == HELD_MAX)
		let_go_first(r);
	r->held[r->holding++] = h;
}

static const struct {
	const char *name;
	void (*pass)(struct reader *r);
} ways[] = {
	{ "plain", pass_plain }, { "mmap", pass_mmap }, { "list", pass_list },
	{ "path", pass_path },   { "hold", pass_hold },
};

int main(int argc, char **argv)
{
	static struct reader r;
	void (*pass)(struct reader * r) = NULL;

	for (size_t i = 0; argc == 5 && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(argv[1], ways[i].name) == 0)
			pass = ways[i].pass;
	if (!pass)
		fail("usage: rotation-reader WAY FOLDER NAME STOP");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (nice(10) == -1) /* who rotates is to get on, too */
		fail_errno("nice");
	r.folder = argv[2];
	r.name = argv[3];
	snprintf(r.path, sizeof(r.path), "%s/%s", r.folder, r.name);
	do {
		pass(&r);
		if (++r.passes == 1)
			puts("reading");
	} while (access(argv[4], F_OK) < 0);
	pass(&r);
	while (r.holding > 0)
		let_go_first(&r);
	for (size_t i = 0; i < r.count; i++)
		printf("seen %llu %lld %lld %c %lu\n", (unsigned long long)r.seen[i].inode,
		       (long long)r.seen[i].mtime_ns, (long long)r.seen[i].size, r.seen[i].letter,
		       r.seen[i].number);
	printf("passes %lu\n", r.passes + 1);
	return 0;
}
