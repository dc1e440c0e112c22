/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"
#include "coffer/secret.h"

#define SHOWN_MAX 300
#define SENTENCE_MAX (SHOWN_MAX + ERR_TEXT_MAX)
#define PATH_BYTES_MAX 4096 /* PATH_MAX: what a system call takes */

/* What every step of the search has at hand. */
struct search {
	struct folder *folder;
	const char *prefix;
	folder_say say;
	void *arg;
};

static void dir_ptr(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int open_beneath(int dir, const char *path, uint64_t flags)
{
	const struct open_how how = { .flags = flags | O_CLOEXEC,
		                      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static void remark(const struct search *s, enum folder_remark kind, const char *path,
                   const char *why)
{
	char shown[SHOWN_MAX], text[SENTENCE_MAX];

	snprintf(text, sizeof(text), "%s: %s",
	         name_escape(path, strlen(path), shown, sizeof(shown)), why);
	s->folder->refused += kind == FOLDER_REFUSED;
	s->say(s->arg, kind, text);
}

static bool is_backup(const char *entry)
{
	size_t len = strlen(entry);

	return entry[0] == '.' || entry[len - 1] == '~' ||
	       (entry[0] == '#' && entry[len - 1] == '#');
}

static int no_memory(struct err *e)
{
	return err_errno(e, -ENOMEM, "cannot look through the folder");
}

static int keep(struct folder *f, const char *path, const char *name, size_t size, struct err *e)
{
	struct folder_file *file = NULL;

	if (f->files == FOLDER_FILES_MAX)
		return err_set(e, -E2BIG, "there are more than %d files in it: name folders in it",
		               FOLDER_FILES_MAX);
	if (f->files == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct folder_file *larger = reallocarray(f->file, room, sizeof(*larger));

		if (!larger)
			return no_memory(e);
		f->file = larger;
		f->room = room;
	}
	file = &f->file[f->files++];
	*file = (struct folder_file){ strdup(path), strdup(name), size };
	return file->path && file->name ? 0 : no_memory(e);
}

static int take_file(const struct search *s, const char *path, const struct stat *st, struct err *e)
{
	char name[PATH_BYTES_MAX + NAME_LEN_MAX + 2];
	struct err why = { "" };

	snprintf(name, sizeof(name), "%s%s", s->prefix, path);
	if (name_check(name, &why) < 0) {
		remark(s, FOLDER_REFUSED, path, why.text);
		return 0;
	}
	if (st->st_size > SECRET_VALUE_MAX) {
		remark(s, FOLDER_REFUSED, path, "it holds more than 1 MiB, which no value may");
		return 0;
	}
	if (st->st_mode & S_IROTH)
		remark(s, FOLDER_EXPOSED, path, "every user of this host can read it");
	return keep(s->folder, path, name, (size_t)st->st_size, e);
}

/* A link to a file in the folder is that file; others lead out of it, or round in circles. */
static int take_link(const struct search *s, const char *path, struct err *e)
{
	SCOPED_FD int fd = open_beneath(s->folder->fd, path, O_PATH);
	struct stat st;

	if (fd == -EXDEV)
		remark(s, FOLDER_REFUSED, path, "it is a link that leads out of the folder");
	else if (fd < 0 || fstat(fd, &st) < 0)
		remark(s, FOLDER_REFUSED, path, "it is a link to nothing that can be opened");
	else if (!S_ISREG(st.st_mode))
		remark(s, FOLDER_REFUSED, path, "it is a link to something that is no file");
	else
		return take_file(s, path, &st, e);
	return 0;
}

static int search(const struct search *s, const char *path, unsigned int depth, struct err *e);

static int take_entry(const struct search *s, int dir, const char *path, const char *entry,
                      unsigned int depth, struct err *e)
{
	struct stat st;

	if (is_backup(entry))
		remark(s, FOLDER_SKIPPED, path, "hidden, or an editor's backup: left out");
	else if (fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
		remark(s, FOLDER_REFUSED, path, "it cannot be looked at");
	else if (S_ISDIR(st.st_mode))
		return search(s, path, depth + 1, e);
	else if (S_ISREG(st.st_mode))
		return take_file(s, path, &st, e);
	else if (S_ISLNK(st.st_mode))
		return take_link(s, path, e);
	else
		remark(s, FOLDER_REFUSED, path, "it is no regular file");
	return 0;
}

/* A folder below the one that is put: "" is that one itself. */
static int search(const struct search *s, const char *path, unsigned int depth, struct err *e)
{
	SCOPED(dir_ptr) DIR *d = NULL;
	int fd = -1, r = 0;

	if (depth > NAME_SEGMENTS_MAX) {
		remark(s, FOLDER_REFUSED, path, "it lies too deep for a name of 8 segments");
		return 0;
	}
	fd = open_beneath(s->folder->fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fd_close(fd);
		remark(s, FOLDER_REFUSED, path, "the folder cannot be read");
		return 0;
	}
	for (struct dirent *at; r == 0 && (at = readdir(d));) {
		char below[PATH_BYTES_MAX];
		int n = snprintf(below, sizeof(below), "%s%s%s", path, path[0] ? "/" : "",
		                 at->d_name);

		if (strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0)
			continue;
		if (n < 0 || (size_t)n >= sizeof(below))
			remark(s, FOLDER_REFUSED, path, "a path in it is too long");
		else
			r = take_entry(s, dirfd(d), below, at->d_name, depth, e);
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	const struct folder_file *one = a, *two = b;

	return strcmp(one->name, two->name);
}

int folder_scan(const char *path, const char *prefix, folder_say say, void *arg, struct folder *ret,
                struct err *e)
{
	const struct search s = { ret, prefix, say, arg };
	char shown[SHOWN_MAX];
	int r = 0;

	*ret = (struct folder){ .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	if (ret->fd < 0)
		return err_errno(e, -errno, "cannot open the folder %s",
		                 name_escape(path, strlen(path), shown, sizeof(shown)));
	r = search(&s, "", 0, e);
	if (r < 0)
		return err_prefix(e, r, "%s",
		                  name_escape(path, strlen(path), shown, sizeof(shown)));
	if (ret->files > 0)
		qsort(ret->file, ret->files, sizeof(*ret->file), by_name);
	return 0;
}

void folder_clear(struct folder *f)
{
	for (size_t i = 0; i < f->files; i++) {
		free(f->file[i].path);
		free(f->file[i].name);
	}
	free(f->file);
	fd_close(f->fd);
	*f = (struct folder){ .fd = -1 };
}

int folder_open(const struct folder *f, size_t i, struct err *e)
{
	/* O_NONBLOCK: what became a pipe meanwhile must be refused, not waited for. */
	SCOPED_FD int fd = open_beneath(f->fd, f->file[i].path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	char shown[SHOWN_MAX];
	struct stat st;

	name_escape(f->file[i].path, strlen(f->file[i].path), shown, sizeof(shown));
	if (fd < 0)
		return err_errno(e, fd, "cannot open %s", shown);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is no regular file any more", shown);
	return TAKE_FD(fd);
}
