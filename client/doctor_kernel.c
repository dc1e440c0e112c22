/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel can do, tried rather than read from its version (docs/kernels.md has what follows
 * from each). Nothing here needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "doctor.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#define LANDLOCK_VERSION 1U /* LANDLOCK_CREATE_RULESET_VERSION: asks which there is */
#define LANDLOCK_WANTED 6   /* the newest whose walls a worker uses */

#ifndef SYS_seccomp
#error "this kernel's headers know no seccomp"
#endif

void check_fuse(struct doctor *d)
{
	static const struct doctor_advice absent = {
		"secrets are files of a FUSE file system: without it nothing is mounted",
		"modprobe fuse, and load it at boot (/etc/modules-load.d)"
	};
	static const struct doctor_advice odd = { "the broker opens it for every mount",
		                                  "remove it and run: systemd-tmpfiles --create "
		                                  "--boot, or mknod /dev/fuse c 10 229" };
	char path[DOCTOR_PATH_MAX];
	struct stat st;

	if (stat(doctor_path(d, "/dev/fuse", path), &st) < 0)
		doctor_found(d, DOCTOR_ERROR, &absent, "there is no /dev/fuse");
	else if (!S_ISCHR(st.st_mode) && !d->root[0])
		doctor_found(d, DOCTOR_ERROR, &odd, "/dev/fuse is no device");
}

/* Calls that are there refuse what makes no sense; those that are not say ENOSYS. */
void check_mount_calls(struct doctor *d)
{
	static const struct {
		const char *name;
		long number;
	} calls[] = {
		{ "fsopen", SYS_fsopen },
		{ "fsmount", SYS_fsmount },
		{ "open_tree", SYS_open_tree },
		{ "move_mount", SYS_move_mount },
		{ "openat2", SYS_openat2 },
		{ "close_range", SYS_close_range },
		{ "pidfd_open", SYS_pidfd_open },
#ifdef SYS_mount_setattr
		{ "mount_setattr", SYS_mount_setattr },
#endif
	};
	static const struct doctor_advice advice = {
		"mounts are put together with it where nobody sees them, then moved into a "
		"container",
		"run Linux 5.15 or later, and no sandbox around the broker that hides it"
	};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (syscall(calls[i].number, -1, NULL, ~0U, ~0U, ~0U) < 0 && errno == ENOSYS)
			doctor_found(d, DOCTOR_ERROR, &advice, "the kernel has no %s",
			             calls[i].name);
}

void check_pidfd(struct doctor *d)
{
	static const struct doctor_advice peer = {
		"a process that ends while its connection is taken can be mistaken for the one "
		"that "
		"gets its number: see docs/kernels.md, \"What the older way leaves open\"",
		"run Linux 6.5 or later, or keep the workload socket out of containers"
	};
	static const struct doctor_advice info = {
		"mounts in a shared pid namespace (weak containers, pods that share one) serve "
		"nobody",
		"run Linux 6.13 or later, or use the workload socket there"
	};
	SCOPED_FD int pidfd = kern_pidfd_open(getpid(), 0);
	struct kern_pid_info unused;
	int pair[2], fd = -1;
	socklen_t len = sizeof(fd);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
		if (getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &len) < 0 &&
		    errno == ENOPROTOOPT)
			doctor_found(d, DOCTOR_NOTE, &peer, "the kernel has no SO_PEERPIDFD");
		fd_close(fd);
		close(pair[0]);
		close(pair[1]);
	}
	if (pidfd >= 0 && kern_pidfd_info(pidfd, &unused) == -ENOTTY)
		doctor_found(d, DOCTOR_NOTE, &info, "the kernel has no PIDFD_GET_INFO");
}

void check_landlock(struct doctor *d)
{
	static const struct doctor_advice absent = {
		"it is one of the walls around a worker; the others (an unprivileged user, no "
		"capabilities, seccomp) stand",
		"add landlock to the kernel's lsm= list, or run a kernel that has it"
	};
	static const struct doctor_advice older = { "newer versions also wall off sockets, signals "
		                                    "and devices; seccomp does so as well",
		                                    "nothing; a newer kernel adds them" };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);

	if (version < 0)
		doctor_found(d, DOCTOR_NOTE, &absent, "landlock is not there or switched off");
	else if (version < LANDLOCK_WANTED)
		doctor_found(d, DOCTOR_NOTE, &older, "landlock has version %ld", version);
}

void check_seccomp(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"a worker that cannot be shut in does not start",
		"run a kernel with CONFIG_SECCOMP_FILTER"
	};
	unsigned int action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		doctor_found(d, DOCTOR_ERROR, &advice, "the kernel has no filters of seccomp");
}

void check_cgroup(struct doctor *d)
{
	static const struct doctor_advice none = { "a container is told by its cgroup",
		                                   "mount cgroup2 at /sys/fs/cgroup" };
	static const struct doctor_advice old = {
		"containers are told by their folder in a named hierarchy; Docker gives them the "
		"host's cgroup namespace",
		"nothing; systemd.unified_cgroup_hierarchy=1 on the kernel's command line gives v2 "
		"alone"
	};
	char v2[DOCTOR_PATH_MAX], hybrid[DOCTOR_PATH_MAX], v1[DOCTOR_PATH_MAX];

	doctor_path(d, "/sys/fs/cgroup/cgroup.controllers", v2);
	doctor_path(d, "/sys/fs/cgroup/unified/cgroup.controllers", hybrid);
	doctor_path(d, "/sys/fs/cgroup/systemd", v1);
	if (access(v2, F_OK) == 0)
		return;
	if (access(hybrid, F_OK) == 0 || access(v1, F_OK) == 0)
		doctor_found(d, DOCTOR_NOTE, &old, "cgroup v1 is in use%s",
		             access(hybrid, F_OK) == 0 ? " beside v2" : "");
	else
		doctor_found(d, DOCTOR_ERROR, &none, "no cgroup file system is mounted");
}

void check_memfd(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"coffer-enter is run from a memory file, so that a container cannot touch it: "
		"nothing is mounted without it",
		"sysctl vm.memfd_noexec=1, and the same in /etc/sysctl.d"
	};
	char path[DOCTOR_PATH_MAX];
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;

	if (doctor_read(doctor_path(d, "/proc/sys/vm/memfd_noexec", path), &text, &len) == 0 &&
	    text[0] == '2')
		doctor_found(d, DOCTOR_ERROR, &advice, "vm.memfd_noexec is 2");
}
