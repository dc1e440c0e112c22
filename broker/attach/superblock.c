/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/superblock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/create_filter.h"
#include "attach/sys.h"
#include "coffer/cleanup.h"
#include "coffer/kern.h"

#define SELINUX_IS_HERE "/sys/fs/selinux/enforce"

/* What the children write to where no system call is left to them. The last of them is not
 * believed. */
struct outcome {
	int entered, created; /* negative errno; 0 done */
};

static int configure(int fs, int fuse, const char *label, struct err *e)
{
	char number[16];
	const struct {
		const char *key, *value; /* NULL value: a flag */
	} options[] = {
		{ "source", "coffer" },
		{ "subtype", "coffer" },
		{ "fd", number }, /* as text: the kernel takes no descriptor here */
		{ "rootmode", "40000" },
		{ "user_id", "0" },
		{ "group_id", "0" },
		{ "allow_other", NULL },
		{ "default_permissions", NULL },
		{ "context", label },
	};
	size_t count = ARRAY_LEN(options);

	if (!*label || access(SELINUX_IS_HERE, F_OK) < 0)
		count--;
	snprintf(number, sizeof(number), "%d", fuse);
	for (size_t i = 0; i < count; i++) {
		unsigned int command = options[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
		int r = sys_fsconfig(fs, command, options[i].key, options[i].value);

		if (r < 0)
			return err_errno(e, r, "the kernel refuses FUSE's option \"%s\"",
			                 options[i].key);
	}
	return 0;
}

/*
 * A fork that needs no system call but clone itself, in parent and child. The child is the
 * attacher's, as its parent is, so that it is seen off by somebody who outlives neither of them.
 */
static pid_t bare_fork(void)
{
	return (pid_t)syscall(SYS_clone, CREATE_FORK_FLAGS, 0, 0, 0, 0);
}

/*
 * The call itself: the C library's _exit is more than that in a sanitized build, and more than the
 * filter allows.
 */
static void leave(int status)
{
	syscall(SYS_exit_group, status);
}

/* In the container's pid namespace; holds `fs` and /dev/fuse, and may do nothing else than this. */
static void create(int fs, struct outcome *outcome)
{
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	outcome->created = r;
	leave(r < 0);
}

/* Still outside: only what it forks from now on is inside. */
static void enter_and_create(int pid_ns, int fs, int fuse, struct outcome *outcome)
{
	unsigned int low = (unsigned int)(fs < fuse ? fs : fuse);
	unsigned int high = (unsigned int)(fs < fuse ? fuse : fs);
	pid_t child;

	if (setns(pid_ns, CLONE_NEWPID) < 0) {
		outcome->entered = -errno;
		_exit(1);
	}
	if (low > 3)
		kern_close_range(3, low - 1, 0);
	if (high > low + 1)
		kern_close_range(low + 1, high - 1, 0);
	kern_close_range(high + 1, ~0U, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	outcome->entered = create_filter_install();
	if (outcome->entered < 0)
		_exit(1);
	child = bare_fork();
	if (child == 0)
		create(fs, outcome);
	if (child < 0)
		outcome->entered = -errno;
	leave(child < 0);
}

/*
 * Waits for both children; true if both did their part. The container's root may signal the one that
 * is inside: what it stops is ended, for it would stay for as long as the container likes.
 */
static bool see_off(void)
{
	bool well = true;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WUNTRACED)) > 0 || errno == EINTR) {
		if (pid <= 0)
			continue;
		if (WIFSTOPPED(status))
			kill(pid, SIGKILL); /* not reaped yet, so the number is still its own */
		else
			well &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	return well;
}

static int create_inside(int pid_ns, int fs, int fuse, struct err *e)
{
	struct outcome *outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
	                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int entered, created;
	pid_t child;
	bool well;

	if (outcome == MAP_FAILED)
		return err_errno(e, -errno, "cannot make the FUSE file system");
	child = fork();
	if (child == 0)
		enter_and_create(pid_ns, fs, fuse, outcome);
	if (child < 0) {
		entered = -errno;
		munmap(outcome, sizeof(*outcome));
		return err_errno(e, entered, "cannot start a process to enter the container");
	}
	well = see_off();
	entered = outcome->entered;
	created = outcome->created;
	munmap(outcome, sizeof(*outcome));
	if (well)
		return 0;
	if (entered < 0)
		return err_errno(e, entered,
		                 "cannot start a process in the container's pid namespace "
		                 "(has the container ended?)");
	if (created < 0 && created > -4096)
		return err_errno(e, created, "the kernel does not make the FUSE file system");
	return err_set(e, -EINTR,
	               "the process that makes the FUSE file system was stopped or ended from "
	               "inside the container; try again");
}

int superblock_make(int pid_ns, const char *label, struct superblock *ret, struct err *e)
{
	SCOPED_FD int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	SCOPED_FD int fs = -1;
	int mount, r;

	if (fuse < 0)
		return err_errno(e, -errno,
		                 "cannot open /dev/fuse (is the kernel's fuse module loaded?)");
	fs = sys_fsopen("fuse");
	if (fs < 0)
		return err_errno(e, fs, "the kernel has no FUSE, or forbids it");
	r = configure(fs, fuse, label, e);
	if (r == 0)
		r = create_inside(pid_ns, fs, fuse, e);
	if (r < 0)
		return r;
	mount = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		return err_errno(e, mount, "the kernel does not make the mount");
	ret->fuse = TAKE_FD(fuse);
	ret->mount = mount;
	return 0;
}
