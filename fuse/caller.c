/* SPDX-License-Identifier: Apache-2.0 */
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"

#ifndef NS_GET_PID_FROM_PIDNS /* 6.11 */
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#define NS_GET_TGID_FROM_PIDNS _IOR(0xb7, 0x7, int)
#endif

/* A thread id of the superblock's pid namespace as one of ours; 0 or less if there is none. */
static pid_t translate(const struct callers *c, pid_t tid)
{
	return c->pid_ns < 0 ? tid : ioctl(c->pid_ns, NS_GET_PID_FROM_PIDNS, (unsigned long)tid);
}

static bool cgroup_is_known(const struct callers *c, pid_t tid)
{
	pid_t ours = translate(c, tid);
	SCOPED_FD int pidfd = ours > 0 ? kern_pidfd_open(ours, PIDFD_THREAD) : -1;
	struct kern_pid_info info;

	if (pidfd < 0 || kern_pidfd_info(pidfd, &info) < 0)
		return false;
	for (uint32_t i = 0; i < c->count; i++)
		if (c->cgroups[i] == info.cgroup_id)
			return true;
	return false;
}

bool caller_is_inside(const struct callers *c, pid_t tid)
{
	if (tid <= 0)
		return false;
	return !c->check_cgroup || cgroup_is_known(c, tid);
}

uint32_t caller_process(const struct callers *c, pid_t tid)
{
	int process = -1;

	errno = ENOTTY;
	if (c->pid_ns >= 0)
		process = ioctl(c->pid_ns, NS_GET_TGID_FROM_PIDNS, (unsigned long)tid);
	if (process > 0)
		return (uint32_t)process;
	return errno == ESRCH ? 0 : (uint32_t)tid;
}
