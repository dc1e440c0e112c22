/* SPDX-License-Identifier: Apache-2.0 */
#include "host_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"

#define STAT_MAX 4096
#define KERNEL_THREAD 0x00200000u /* PF_KTHREAD, in the ninth field of /proc/PID/stat */

/* Pid 2 is the kernel's thread that starts its others, unless pids here are a container's. */
static bool is_kernel_thread(void)
{
	SCOPED(free_ptr) char *text = NULL;
	unsigned int flags = 0;
	const char *behind_name;

	if (io_read_file(AT_FDCWD, "/proc/2/stat", STAT_MAX, &text, NULL) < 0)
		return false;
	behind_name = strrchr(text, ')');
	return behind_name && sscanf(behind_name, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
	       flags & KERNEL_THREAD;
}

int host_mounts_join(struct err *e)
{
	SCOPED_FD int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	SCOPED_FD int host = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	struct stat a, b;

	if (host < 0 && is_kernel_thread())
		host = open("/proc/2/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (own < 0 || host < 0 || fstat(own, &a) < 0 || fstat(host, &b) < 0 ||
	    (a.st_ino == b.st_ino && a.st_dev == b.st_dev))
		return 0;
	if (setns(host, CLONE_NEWNS) < 0)
		return err_errno(e, -errno, "cannot enter the host's mount namespace");
	return 0;
}
