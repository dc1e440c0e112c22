/* SPDX-License-Identifier: Apache-2.0 */
#include "server/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"

/* A folder in which somebody else may write is one in which our sockets and files can be swapped.
 */
static int check(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at the folder %s", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(e, -EPERM,
		               "the folder %s must be root's and nobody else may write in it; set "
		               "owner and mode (chown root, chmod go-w)",
		               path);
	return 0;
}

/* `name` under `dirfd`; `path` is for people. `tighten`: take what the mode does not allow from an
 * old folder. */
static int open_or_make(int dirfd, const char *name, unsigned int mode, const char *path,
                        struct err *e)
{
	bool made = mkdirat(dirfd, name, mode) == 0;
	SCOPED_FD int fd = -1;
	struct stat st;
	int r;

	if (!made && errno != EEXIST)
		return err_errno(e, -errno, "cannot make the folder %s", path);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open the folder %s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at the folder %s", path);
	/*
	 * A new one gets its mode whatever the umask. One below a folder of ours that was opened up, by
	 * a container that has it bind-mounted, is closed again.
	 */
	if (made || (dirfd != AT_FDCWD && st.st_uid == geteuid() && (st.st_mode & 07777) != mode))
		if (fchmod(fd, mode) < 0)
			return err_errno(e, -errno, "cannot set the mode of the folder %s", path);
	r = check(fd, path, e);
	if (r < 0)
		return r;
	if (mode == 0700 && (st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return err_errno(e, -errno, "cannot set the mode of the folder %s", path);
	return TAKE_FD(fd);
}

int folders_open(const char *path, unsigned int mode, struct err *e)
{
	return open_or_make(AT_FDCWD, path, mode, path, e);
}

int folders_make_runtime(int runtime_fd, const char *path, struct err *e)
{
	static const struct {
		const char *name;
		unsigned int mode;
	} rows[] = {
		{ FOLDER_WORKLOAD, 0755 },
		{ FOLDER_CONTAINERS, 0700 },
		{ FOLDER_PENDING, 0700 },
		{ FOLDER_WORKERS, 0700 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int fd = open_or_make(runtime_fd, rows[i].name, rows[i].mode, rows[i].name, e);

		if (fd < 0)
			return err_prefix(e, fd, "below %s", path);
		fd_close(fd);
	}
	return 0;
}

int folders_lock(int runtime_fd, const char *path, struct err *e)
{
	SCOPED_FD int fd =
		openat(runtime_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s/lock", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return TAKE_FD(fd);
	if (errno != EWOULDBLOCK)
		return err_errno(e, -errno, "cannot lock %s/lock", path);
	return err_set(e, -EBUSY,
	               "another cofferd serves %s; stop it first, or choose another --runtime-dir",
	               path);
}
