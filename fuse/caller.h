/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller.h - is the process behind a FUSE request inside the container?
 *
 * The kernel reports the caller's thread id as seen in the pid namespace where the superblock was
 * made, and 0 for every caller outside of it. Where that namespace is the container's own, this is
 * the whole answer.
 *
 * Where it is shared (`check_cgroup`), a non-zero id says nothing, and the caller's cgroup decides:
 * its id must be one of those that the broker gave. The thread id is first translated from the pid
 * namespace of the superblock (`pid_ns`) to ours: taken for one of ours, the id of a neighbour
 * could happen to be that of a process in the container. There is no race: the caller waits in the
 * kernel for our answer, so its thread can be neither gone nor another; and nothing is remembered
 * from one request to the next.
 *
 * The look-up needs Linux 6.13 (PIDFD_GET_INFO; PIDFD_THREAD is 6.9, the translation 6.11). Without
 * it the answer is "outside": the other source, /proc/TID/cgroup, gives a path that an unprivileged
 * process under landlock can't turn into an id.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "coffer/worker_proto.h"

struct callers {
	bool check_cgroup;
	int pid_ns; /* owned by the worker; -1: the superblock was made in our own */
	uint32_t count;
	uint64_t cgroups[WORKER_CGROUPS_MAX];
};

bool caller_is_inside(const struct callers *c, pid_t tid);

/*
 * The process that a thread inside belongs to. By the thread's own id where the kernel does not
 * translate (before 6.11) or the pid namespace is not known. 0: there is no such thread any more,
 * which is so if a dead worker has answered it already.
 */
uint32_t caller_process(const struct callers *c, pid_t tid);
