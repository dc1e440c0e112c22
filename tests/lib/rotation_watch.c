/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watcher inside a container, static: prints each inotify event of the paths that it is given, of
 * every kind there is, one on a line, until one comes that ends it.
 *
 *	rotation-watch [-a] END PATH...
 *
 *	PATH MASK[|MASK...] [NAME]
 *
 * END is the line after which it ends. -a: also opens, reads and closes. It prints "watching" when
 * it does.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCHES_MAX 16
#define NOISE (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)

static const struct {
	uint32_t bit;
	const char *name;
} masks[] = {
	{ IN_ACCESS, "ACCESS" },
	{ IN_MODIFY, "MODIFY" },
	{ IN_ATTRIB, "ATTRIB" },
	{ IN_CLOSE_WRITE, "CLOSE_WRITE" },
	{ IN_CLOSE_NOWRITE, "CLOSE_NOWRITE" },
	{ IN_OPEN, "OPEN" },
	{ IN_MOVED_FROM, "MOVED_FROM" },
	{ IN_MOVED_TO, "MOVED_TO" },
	{ IN_CREATE, "CREATE" },
	{ IN_DELETE, "DELETE" },
	{ IN_DELETE_SELF, "DELETE_SELF" },
	{ IN_MOVE_SELF, "MOVE_SELF" },
	{ IN_UNMOUNT, "UNMOUNT" },
	{ IN_Q_OVERFLOW, "Q_OVERFLOW" },
	{ IN_IGNORED, "IGNORED" },
	{ IN_ISDIR, "ISDIR" },
};

struct watch {
	int wd;
	const char *path;
};

static const char *path_of(const struct watch *watches, size_t count, int wd)
{
	for (size_t i = 0; i < count; i++)
		if (watches[i].wd == wd)
			return watches[i].path;
	return "-"; /* an overflow */
}

static void describe(const struct inotify_event *event, const char *path, char *line, size_t size)
{
	size_t at = (size_t)snprintf(line, size, "%s", path);
	char before = ' ';

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]) && at < size; i++) {
		if (!(event->mask & masks[i].bit))
			continue;
		at += (size_t)snprintf(line + at, size - at, "%c%s", before, masks[i].name);
		before = '|';
	}
	if (event->len > 0 && at < size)
		snprintf(line + at, size - at, " %s", event->name);
}

static void watch(int fd, const struct watch *watches, size_t count, const char *end)
{
	char buffer[64 * 1024] __attribute__((aligned(8)));
	char line[PATH_MAX + NAME_MAX + 64];
	ssize_t len;

	while ((len = read(fd, buffer, sizeof(buffer))) > 0) {
		for (char *at = buffer; at < buffer + len;) {
			const struct inotify_event *event = (void *)at;

			describe(event, path_of(watches, count, event->wd), line, sizeof(line));
			puts(line);
			if (strcmp(line, end) == 0)
				return;
			at += sizeof(*event) + event->len;
		}
	}
	perror("read");
	exit(1);
}

int main(int argc, char **argv)
{
	struct watch watches[WATCHES_MAX];
	uint32_t mask = IN_ALL_EVENTS & ~(uint32_t)NOISE;
	int fd = inotify_init1(IN_CLOEXEC), at = 1;
	size_t count = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (at < argc && strcmp(argv[at], "-a") == 0) {
		mask = IN_ALL_EVENTS;
		at++;
	}
	if (argc - at < 2 || argc - at - 1 > WATCHES_MAX) {
		fputs("usage: rotation-watch [-a] END PATH...\n", stderr);
		return 2;
	}
	for (int i = at + 1; i < argc; i++) {
		watches[count] = (struct watch){ inotify_add_watch(fd, argv[i], mask), argv[i] };
		if (watches[count++].wd < 0) {
			perror(argv[i]);
			return 1;
		}
	}
	puts("watching");
	watch(fd, watches, count, argv[at]);
	return 0;
}
