/* SPDX-License-Identifier: Apache-2.0 */
#include "enter/create.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/create_filter.h"
#include "enter/enter.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/*
 * A fork that needs no system call but clone itself, in parent and child. The child is the
 * attacher's, as its parent is, so that it is seen off by somebody who outlives neither of them.
 */
static pid_t bare_fork(void)
{
	return (pid_t)syscall(SYS_clone, CREATE_FORK_FLAGS, 0, 0, 0, 0);
}

/* The call itself: the C library's _exit may be more than the filter allows. */
static void leave(int status)
{
	syscall(SYS_exit_group, status);
}

/* In the container's pid namespace; holds the file system and /dev/fuse, and may do nothing but this. */
static void create(struct enter_outcome *outcome)
{
	long r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = syscall(SYS_fsconfig, ENTER_CREATE_FS_FD, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	outcome->created = r < 0 ? -errno : 0;
	leave(r < 0);
}

static int close_all(unsigned int first, unsigned int last)
{
	return syscall(SYS_close_range, first, last, 0) < 0 ? -errno : 0;
}

/* Still outside: only what is forked from now on is inside. */
static int prepare(void)
{
	int r;

	if (setns(ENTER_CREATE_PID_NS_FD, CLONE_NEWPID) < 0)
		return -errno;
	r = close_all(0, ENTER_CREATE_FS_FD - 1);
	if (r == 0)
		r = close_all(ENTER_CREATE_FS_FD + 1, ENTER_CREATE_FUSE_FD - 1);
	if (r == 0)
		r = close_all(ENTER_CREATE_FUSE_FD + 1, ~0U);
	return r < 0 ? r : create_filter_install();
}

int create_main(void)
{
	struct enter_outcome *outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
	                                     MAP_SHARED, ENTER_CREATE_OUTCOME_FD, 0);
	pid_t child;

	prctl(PR_SET_NAME, "coffer-create");
	if (outcome == MAP_FAILED)
		return 1;
	outcome->entered = prepare();
	if (outcome->entered < 0)
		return 1;
	child = bare_fork();
	if (child == 0)
		create(outcome);
	if (child < 0)
		outcome->entered = -errno;
	leave(child < 0);
	return 1;
}
