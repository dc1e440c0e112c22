/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern.h - system calls and constants newer than the headers we build against (Debian 12:
 * Linux 6.1), and facts that only the kernel knows. Constants are from Linux' include/uapi; all are
 * probed at run time: a kernel without one answers -ENOSYS, -EINVAL or -ENOTTY and the caller falls
 * back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "coffer/err.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* 6.5 */
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* 6.9 */
#endif

int kern_pidfd_open(pid_t pid, unsigned int flags);
int kern_pidfd_send_signal(int pidfd, int signal);
int kern_close_range(unsigned int first, unsigned int last, unsigned int flags);

/* PIDFD_GET_INFO (6.13): what a pidfd's process is now. -ESRCH: dead; then all of *ret is 0 but,
 * where the kernel still knows it (6.15), cgroup_id. A zombie still has an answer: ask
 * kern_pidfd_alive too. -ENOTTY: older kernel.
 */
struct kern_pid_info {
	pid_t pid, tgid;
	uint32_t uid, gid;  /* effective, in our user namespace */
	uint64_t cgroup_id; /* unified hierarchy; 1 is its root */
};
int kern_pidfd_info(int pidfd, struct kern_pid_info *ret);

/* Pid of a pidfd by /proc/self/fdinfo (any kernel): -ESRCH if it is dead. */
int kern_pidfd_pid(int pidfd, pid_t *ret);

/* Whether the process of a pidfd is still alive (poll). */
bool kern_pidfd_alive(int pidfd);

/* Field 22 of /proc/PID/stat, clock ticks since boot: with the pid, one process. 0 or -errno. */
int kern_start_time(pid_t pid, uint64_t *ret);

/* Inode number of /proc/PID/ns/NAME ("mnt", "pid", "user", "cgroup"). 0 or -errno. */
int kern_namespace_id(pid_t pid, const char *name, uint64_t *ret);
int kern_namespace_open(pid_t pid, const char *name); /* descriptor or -errno */

/*
 * The cgroup of a process from /proc/PID/cgroup, as an open directory and its id. Prefers the
 * unified hierarchy; where the process is in its root there (hosts with v1 beside v2), the v1
 * hierarchy named `systemd`, else the first v1 one with a path other than "/". Paths are used as
 * opaque bytes from the second ':' on (the kernel refuses a newline in a cgroup's name and escapes
 * nothing, seen on 6.18) and opened beneath the hierarchy's mount point, never parsed for meaning.
 * -ESRCH: no such process; -ENOENT: the cgroup is gone.
 */
struct kern_cgroup {
	int fd; /* O_PATH directory, owned by the caller */
	uint64_t id;
	bool unified;
	bool root;       /* the hierarchy's root: no container */
	char path[4096]; /* below the hierarchy, for people and for the name of a systemd unit */
};
int kern_cgroup_of(pid_t pid, struct kern_cgroup *ret, struct err *e);

/*
 * The file cgroup.procs, open to be written, of the process's cgroup in every hierarchy where it is in
 * another one than we are: whoever writes "0" to each is where it is. Descriptors are the caller's.
 */
#define KERN_HIERARCHIES_MAX 20 /* the kernel has 14 controllers for v1, a few named ones, and v2 */
int kern_cgroup_procs_of(pid_t pid, int fds[KERN_HIERARCHIES_MAX], size_t *ret_count,
                         struct err *e);
