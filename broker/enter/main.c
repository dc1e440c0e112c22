/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-enter: goes into a container (enter.h). It is of no use to anybody who starts it otherwise:
 * without its descriptors it ends at once.
 *
 * Rights are given up while it is still outside the container's pid namespace, where nobody inside
 * sees it: what appears there is a process of the container's user, without capabilities.
 */
#include "enter/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "enter/create.h"
#include "enter/filter.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define ENTER_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define EXIT_UNUSED 127

static const int ns_types[ENTER_NS_COUNT] = {
	[ENTER_NS_CGROUP] = CLONE_NEWCGROUP, [ENTER_NS_IPC] = CLONE_NEWIPC,
	[ENTER_NS_UTS] = CLONE_NEWUTS,       [ENTER_NS_NET] = CLONE_NEWNET,
	[ENTER_NS_TIME] = CLONE_NEWTIME,     [ENTER_NS_PID] = CLONE_NEWPID,
	[ENTER_NS_MNT] = CLONE_NEWNS,        [ENTER_NS_USER] = CLONE_NEWUSER,
};

struct plan {
	struct enter_plan fixed;
	char texts[ENTER_TEXTS_MAX];
	char *word[ENTER_WORDS_MAX + 1];
};

static int read_all(int fd, void *bytes, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = read(fd, (char *)bytes + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		have += (size_t)n;
	}
	return 0;
}

static int read_plan(struct plan *p)
{
	char *at = p->texts, *end;
	int r = read_all(ENTER_PLAN_FD, &p->fixed, sizeof(p->fixed));

	if (r < 0)
		return r;
	if (p->fixed.len == 0 || p->fixed.len > sizeof(p->texts) || p->fixed.words == 0 ||
	    p->fixed.words > ENTER_WORDS_MAX)
		return -EBADMSG;
	r = read_all(ENTER_PLAN_FD, p->texts, p->fixed.len);
	if (r < 0)
		return r;
	end = p->texts + p->fixed.len;
	if (end[-1] != '\0')
		return -EBADMSG;
	for (uint32_t i = 0; i < p->fixed.words; i++) {
		at += strlen(at) + 1;
		if (at >= end)
			return -EBADMSG;
		p->word[i] = at;
	}
	return 0;
}

static void report(enum enter_stage stage, int error, pid_t pid)
{
	struct enter_report r = { .stage = stage, .error = error, .pid = pid };

	while (write(ENTER_REPORT_FD, &r, sizeof(r)) < 0 && errno == EINTR)
		;
}

static void fail(enum enter_stage stage, int error)
{
	report(stage, error, 0);
	_exit(EXIT_UNUSED);
}

static int join(const struct enter_plan *plan)
{
	for (int ns = 0; ns < ENTER_NS_COUNT; ns++)
		if (ns != ENTER_NS_USER && plan->namespaces & 1u << ns &&
		    setns(ENTER_NS_FD + ns, ns_types[ns]) < 0)
			return -errno;
	return 0;
}

static int change_root(void)
{
	return fchdir(ENTER_ROOT_FD) < 0 || chroot(".") < 0 || chdir("/") < 0 ? -errno : 0;
}

/* The first number that the kernel does not know ends it. */
static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

/*
 * The groups while outside, where they may be given up whatever the user namespace says; the bounding
 * set inside, where it is full again, and while that may still be done.
 */
static int become_user(const struct enter_plan *plan)
{
	uid_t uids[3];
	gid_t gids[3];
	int r;

	if (setgroups(0, NULL) < 0)
		return -errno;
	if (plan->namespaces & 1u << ENTER_NS_USER &&
	    setns(ENTER_NS_FD + ENTER_NS_USER, CLONE_NEWUSER) < 0)
		return -errno;
	r = drop_bounding_set();
	if (r < 0)
		return r;
	if (setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
	    setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return -errno;
	if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 ||
	    getresgid(&gids[0], &gids[1], &gids[2]) < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (uids[i] != plan->uid || gids[i] != plan->gid)
			return -EPERM;
	return getgroups(0, NULL) == 0 ? 0 : -EPERM;
}

/* The session's keyring of whoever started the broker stays outside. */
static int leave_keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS
	               ? -errno
	               : 0;
}

static int give_up_privileges(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &header, none) < 0 || syscall(SYS_capget, &header, left) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		if (left[i].permitted || left[i].effective || left[i].inheritable)
			return -EPERM;
	/*
	 * A change of user may have made it dumpable, where the system is set so, and has taken back
	 * that it ends with the attacher.
	 */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/*
 * The container's own: whoever holds the host's could change its mode, being its owner. Whatever is
 * at the name is opened with the container's user's rights, and without waiting.
 */
static int open_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return -ENODEV;
	if (fcntl(fd, F_SETFL, O_RDWR) < 0)
		return -errno;
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (dup2(fd, i) < 0)
			return -errno;
	return 0;
}

static int keep_report_only(void)
{
	if (fcntl(ENTER_REPORT_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    syscall(SYS_close_range, ENTER_REPORT_FD + 1, ~0U, 0) < 0)
		return -errno;
	return 0;
}

/* In the container. Ends with the attacher, unless the program chooses otherwise. */
static void become_program(struct plan *p)
{
	static char path[] = ENTER_PATH;
	char *environment[] = { path, p->texts, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	execve(p->word[0], p->word, environment);
	fail(ENTER_EXEC, -errno);
}

static void check(enum enter_stage stage, int result)
{
	if (result < 0)
		fail(stage, result);
}

int main(int argc, char **argv)
{
	struct plan plan = { 0 };
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return EXIT_UNUSED;
	if (argc == 2 && strcmp(argv[1], "create") == 0)
		return create_main();
	prctl(PR_SET_NAME, "coffer-enter");
	check(ENTER_PLAN, read_plan(&plan));
	check(ENTER_JOIN, join(&plan.fixed));
	check(ENTER_ROOT, change_root());
	check(ENTER_PRIVILEGES, leave_keyring());
	check(ENTER_USER, become_user(&plan.fixed));
	check(ENTER_PRIVILEGES, give_up_privileges());
	check(ENTER_NULL, open_null());
	check(ENTER_PRIVILEGES, keep_report_only());
	check(ENTER_FILTER, filter_install());
	pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		become_program(&plan);
	if (pid < 0)
		fail(ENTER_FORK, -errno);
	report(ENTER_STARTED, 0, pid);
	return 0;
}
