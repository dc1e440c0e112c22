/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attach/sys.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"

#define NO_LINKS (RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

static bool root_alone(const struct stat *st, bool sticky_will_do)
{
	if (st->st_uid != 0)
		return false;
	return !(st->st_mode & (S_IWGRP | S_IWOTH)) || (sticky_will_do && st->st_mode & S_ISVTX);
}

/* Walk `path` (real, absolute) down from "/". Cuts it at each '/' while it does. */
static int walk(char *path, int *ret, bool *by_root)
{
	SCOPED_FD int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *rest = path + 1, *name;
	struct stat st;

	while (at >= 0) {
		bool last = !*rest;

		if (fstat(at, &st) < 0)
			return -errno;
		if (!root_alone(&st, !last))
			*by_root = false;
		if (last) {
			*ret = TAKE_FD(at);
			return 0;
		}
		name = strsep(&rest, "/");
		int next = sys_openat2(at, name, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | NO_LINKS);

		if (next < 0)
			return next;
		fd_close(at);
		at = next;
		if (!rest)
			rest = name + strlen(name);
	}
	return -errno;
}

int trusted_open(const char *path, struct trusted_folder *ret, struct err *e)
{
	SCOPED(free_ptr) char *real = NULL;
	bool by_root = true;
	size_t len;
	int r, fd = -1;

	if (path[0] != '/')
		return err_set(e, -EINVAL, "%.200s is no absolute path", path);
	real = realpath(path, NULL);
	if (!real)
		return err_errno(e, -errno, "cannot find the folder %.200s", path);
	len = strlen(real);
	if (len >= sizeof(ret->path))
		return err_set(e, -ENAMETOOLONG, "the path %.200s... is too long", real);
	memcpy(ret->path, real, len + 1);
	r = walk(real, &fd, &by_root);
	if (r < 0)
		return err_errno(e, r, "cannot open the folder %.200s", path);
	ret->fd = fd;
	ret->by_root = by_root;
	return 0;
}

int trusted_open_file(int folder, const char *name, size_t *ret_size, bool *by_root, struct err *e)
{
	/* not blocking: it may be a pipe where a user could put one */
	SCOPED_FD int fd =
		sys_openat2(folder, name, O_RDONLY | O_NONBLOCK, RESOLVE_BENEATH | NO_LINKS);
	struct stat st;

	if (fd < 0)
		return err_errno(e, fd, "cannot open %s", name);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is no regular file", name);
	if (!root_alone(&st, false))
		*by_root = false;
	*ret_size = (size_t)st.st_size;
	return TAKE_FD(fd);
}

int trusted_read(int folder, const char *name, char **ret, size_t *ret_len, bool *by_root,
                 struct err *e)
{
	bool theirs = *by_root;
	size_t size = 0;
	SCOPED_FD int fd = trusted_open_file(folder, name, &size, &theirs, e);
	SCOPED(free_ptr) char *text = NULL;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (size > OCI_FILE_MAX)
		return err_set(e, -EFBIG, "%s is larger than %d bytes", name, OCI_FILE_MAX);
	text = malloc(size + 1);
	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	n = io_read_all(fd, text, size);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read %s", name);
	text[n] = '\0';
	*by_root = theirs;
	*ret = TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}
