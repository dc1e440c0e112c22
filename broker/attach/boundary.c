/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From any process to the init of its outermost pid namespace below ours. Whoever is inside can
 * make further ones below, but none above, and leave none.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/found.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"

#ifndef NS_GET_PID_FROM_PIDNS
#define NS_GET_PID_FROM_PIDNS _IOR(NSIO, 0x6, int) /* 6.11 */
#endif
#define PIDNS_DEPTH_MAX 33     /* the kernel nests 32 below the first */
#define STATUS_MAX (64 * 1024) /* /proc/PID/status is some 1.5 KiB, more with many groups */

static int inode_of(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

/* The namespace below `host` among the ancestors of `fd` (closed), or `fd` if it is that. */
static int outermost(int fd, uint64_t host)
{
	SCOPED_FD int at = fd;

	for (int depth = 0; depth < PIDNS_DEPTH_MAX; depth++) {
		SCOPED_FD int parent = ioctl(at, NS_GET_PARENT);
		uint64_t id = 0;
		int r;

		if (parent < 0)
			return -errno;
		r = inode_of(parent, &id);
		if (r < 0)
			return r;
		if (id == host)
			return TAKE_FD(at);
		fd_close(at);
		at = TAKE_FD(parent);
	}
	return -ELOOP;
}

/* Whether process `pid` is pid 1 of the namespace `id`, one below ours. */
static bool is_init_of(pid_t pid, uint64_t id)
{
	SCOPED(free_ptr) char *status = NULL;
	char path[64];
	uint64_t theirs = 0;
	pid_t inside;

	if (kern_namespace_id(pid, "pid", &theirs) < 0 || theirs != id)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return io_read_file(AT_FDCWD, path, STATUS_MAX, &status, NULL) == 0 &&
	       proc_parse_nspid(status, &inside) == 2 && inside == 1;
}

/* Kernels before 6.11: look through /proc. */
static int search_init(uint64_t id, pid_t *ret)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int r = -ESRCH;

	if (!dir)
		return -errno;
	while (r < 0 && (entry = readdir(dir))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (*end || pid < 2 || !is_init_of((pid_t)pid, id))
			continue;
		*ret = (pid_t)pid;
		r = 0;
	}
	closedir(dir);
	return r;
}

static int init_of(int ns, pid_t *ret)
{
	int pid = ioctl(ns, NS_GET_PID_FROM_PIDNS, 1);
	uint64_t id = 0;
	int r;

	if (pid > 1) {
		*ret = pid;
		return 0;
	}
	if (pid >= 0 || errno == ESRCH)
		return -ESRCH;
	r = inode_of(ns, &id);
	return r < 0 ? r : search_init(id, ret);
}

int boundary_of(pid_t pid, pid_t *ret_init, bool *ret_host, struct err *e)
{
	SCOPED_FD int ns = -1;
	uint64_t host = 0, theirs = 0;
	int r, fd;

	if (pid < 2)
		return err_set(e, -EINVAL, "%d is not a container's process", pid);
	fd = kern_namespace_open(pid, "pid");
	if (fd < 0)
		return err_errno(e, fd, "there is no process %d", pid);
	r = inode_of(fd, &theirs);
	if (r == 0)
		r = kern_namespace_id(getpid(), "pid", &host);
	if (r == 0 && theirs == host) {
		fd_close(fd);
		*ret_init = pid;
		*ret_host = true;
		return 0;
	}
	ns = r < 0 ? (fd_close(fd), r) : outermost(fd, host);
	if (ns < 0)
		return err_errno(e, ns, "process %d is in no pid namespace below the broker's",
		                 pid);
	r = init_of(ns, ret_init);
	if (r < 0)
		return err_errno(
			e, r, "cannot find the first process of the container of process %d", pid);
	*ret_host = false;
	return 0;
}
