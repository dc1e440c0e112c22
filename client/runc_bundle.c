/* SPDX-License-Identifier: Apache-2.0 */
#include "runc_bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/name.h"

#define CONFIG "config.json"
#define SHOWN_MAX 200

/* Not blocking: what stands there in its place may be a pipe. */
static int read_config(int folder, struct stat *st, char **ret, size_t *ret_len, struct err *e)
{
	SCOPED_FD int fd =
		openat(folder, CONFIG, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	SCOPED(free_ptr) char *text = NULL;
	ssize_t n;

	if (fd < 0 && errno == ELOOP)
		return err_set(e, -ELOOP, "it is a symbolic link");
	if (fd < 0 || fstat(fd, st) < 0)
		return err_errno(e, -errno, "cannot read it");
	if (!S_ISREG(st->st_mode))
		return err_set(e, -EINVAL, "it is no regular file");
	if (st->st_size > RUNC_CONFIG_MAX)
		return err_set(e, -EFBIG, "it is larger than %d bytes", RUNC_CONFIG_MAX);
	text = malloc((size_t)st->st_size + 1);
	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	n = io_read_all(fd, text, (size_t)st->st_size + 1);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read it");
	if (n > st->st_size)
		return err_set(e, -EBUSY, "somebody is writing to it");
	*ret = TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}

static int fill(int fd, const struct stat *st, const char *text, size_t len)
{
	int r = io_write_all(fd, text, len);

	if (r == 0 && fchown(fd, st->st_uid, st->st_gid) < 0)
		r = -errno;
	if (r == 0 && fchmod(fd, st->st_mode & 07777) < 0)
		r = -errno;
	return r;
}

/* Not synced: a bundle is of no use after the host has started again. */
static int replace(int folder, const struct stat *st, const char *text, size_t len)
{
	char temporary[64];
	SCOPED_FD int fd = -1;
	int r;

	snprintf(temporary, sizeof(temporary), CONFIG ".coffer-%d", getpid());
	if (unlinkat(folder, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fill(fd, st, text, len);
	if (r == 0 && renameat(folder, temporary, folder, CONFIG) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(folder, temporary, 0);
	return r;
}

int runc_bundle_add_hook(const char *bundle, const struct runc_hook *hook, struct err *e)
{
	SCOPED_FD int folder = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	SCOPED(free_ptr) char *old = NULL;
	SCOPED(free_ptr) char *new = NULL;
	char shown[SHOWN_MAX];
	struct stat st;
	size_t len = 0;
	int r;

	name_escape(bundle, strlen(bundle), shown, sizeof(shown));
	if (folder < 0)
		return err_errno(e, -errno, "cannot open the bundle %s", shown);
	r = read_config(folder, &st, &old, &len, e);
	if (r == 0)
		r = runc_config_add_hook(old, len, hook, &new, &len, e);
	if (r < 0)
		return err_prefix(e, r, "the bundle's %s/" CONFIG, shown);
	if (r == 0)
		return 0;
	r = replace(folder, &st, new, len);
	return r < 0 ? err_errno(e, r, "cannot put the hook into %s/" CONFIG, shown) : 0;
}
