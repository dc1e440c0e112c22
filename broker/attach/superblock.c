/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/superblock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/sealed.h"
#include "attach/sys.h"
#include "coffer/cleanup.h"
#include "enter/enter.h"

#define SELINUX_IS_HERE "/sys/fs/selinux/enforce"

#define NOT_RUN 1 /* no errno: the process has said nothing */

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

/* Memory that the process inside writes to. */
static int make_outcome(struct enter_outcome **ret)
{
	SCOPED_FD int memory = memfd_create("outcome", MFD_CLOEXEC);
	void *mapped;

	if (memory < 0 || ftruncate(memory, sizeof(**ret)) < 0)
		return -errno;
	mapped = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	*ret = mapped;
	return TAKE_FD(memory);
}

static void go_in(const int *fds, size_t count, int program)
{
	static char name[] = "coffer-enter", create[] = "create";
	char *const argv[] = { name, create, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sealed_arrange(program, fds, count) == 0)
		(void)sealed_exec(count, argv);
	_exit(1);
}

/*
 * Waits for both processes, the one outside and what it forked inside, which is ours too; true if
 * both did their part. The container's root may signal the one that is inside: what it stops is
 * ended, for it would stay for as long as the container likes.
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

/* What the process says of itself while it is outside is true; `created` is not believed. */
static int judge(struct enter_outcome outcome, struct err *e)
{
	if (outcome.entered == NOT_RUN)
		return err_set(e, -ENOEXEC, "coffer-enter cannot be run");
	if (outcome.entered < 0)
		return err_errno(e, outcome.entered,
		                 "cannot start a process in the container's pid namespace "
		                 "(has the container ended?)");
	if (outcome.created < 0 && outcome.created > -4096)
		return err_errno(e, outcome.created,
		                 "the kernel does not make the FUSE file system");
	return err_set(e, -EINTR,
	               "the process that makes the FUSE file system was stopped or ended from "
	               "inside the container; try again");
}

static int create_inside(int program, int pid_ns, int fs, int fuse, struct err *e)
{
	struct enter_outcome *outcome = NULL, said;
	SCOPED_FD int memory = make_outcome(&outcome);
	int fds[ENTER_CREATE_SELF_FD - ENTER_CREATE_PID_NS_FD];
	int error;
	bool well;
	pid_t child;

	if (memory < 0 || !outcome)
		return err_errno(e, memory, "cannot make the FUSE file system");
	memset(fds, -1, sizeof(fds));
	fds[0] = pid_ns;
	fds[ENTER_CREATE_FS_FD - ENTER_CREATE_PID_NS_FD] = fs;
	fds[ENTER_CREATE_FUSE_FD - ENTER_CREATE_PID_NS_FD] = fuse;
	fds[ENTER_CREATE_OUTCOME_FD - ENTER_CREATE_PID_NS_FD] = memory;
	outcome->entered = NOT_RUN;
	child = fork();
	if (child == 0)
		go_in(fds, ARRAY_LEN(fds), program);
	error = -errno;
	well = child > 0 && see_off();
	said = *outcome;
	munmap(outcome, sizeof(*outcome));
	if (child < 0)
		return err_errno(e, error, "cannot start a process to enter the container");
	return well ? 0 : judge(said, e);
}

/* At the number that enter.h says. */
static int open_fuse(void)
{
	SCOPED_FD int any = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int fuse = any < 0 ? -1 : fcntl(any, F_DUPFD_CLOEXEC, ENTER_CREATE_FUSE_FD);

	if (fuse < 0)
		return -errno;
	if (fuse != ENTER_CREATE_FUSE_FD) {
		close(fuse);
		return -EBUSY;
	}
	return fuse;
}

int superblock_make(int program, int pid_ns, const char *label, struct superblock *ret,
                    struct err *e)
{
	SCOPED_FD int fuse = open_fuse();
	SCOPED_FD int fs = -1;
	int mount, r;

	if (program < 0)
		return err_set(e, -ENOENT,
		               "the program coffer-enter could not be loaded when the broker "
		               "started; install it and start cofferd again");
	if (fuse < 0)
		return err_errno(e, fuse,
		                 "cannot open /dev/fuse (is the kernel's fuse module loaded?)");
	fs = sys_fsopen("fuse");
	if (fs < 0)
		return err_errno(e, fs, "the kernel has no FUSE, or forbids it");
	r = configure(fs, fuse, label, e);
	if (r == 0)
		r = create_inside(program, pid_ns, fs, fuse, e);
	if (r < 0)
		return r;
	mount = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		return err_errno(e, mount, "the kernel does not make the mount");
	ret->fuse = TAKE_FD(fuse);
	ret->mount = mount;
	return 0;
}
