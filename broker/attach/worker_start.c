/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/worker_start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/kern.h"
#include "coffer/worker_proto.h"

#define REPORT_FD (WORKER_CHANNEL_FD + 1) /* closed by a successful exec */
/* 1,000 of the largest values; more than a container has */
#define LOCKED_MAX (1024UL * 1024 * 1024)

enum stage { STAGE_DESCRIPTORS, STAGE_USER, STAGE_PRIVILEGES, STAGE_EXEC };
static const char *const stages[] = {
	[STAGE_DESCRIPTORS] = "arrange its descriptors",
	[STAGE_USER] = "become its user",
	[STAGE_PRIVILEGES] = "give up privileges",
	[STAGE_EXEC] = "run its program",
};

struct report {
	int stage, error;
};

static int arrange(const struct attach_config *c, int channel, int report)
{
	/* Both out of the way first: each may be where the other has to go. */
	int high_channel = fcntl(channel, F_DUPFD_CLOEXEC, REPORT_FD + 1);
	int high_report = fcntl(report, F_DUPFD_CLOEXEC, REPORT_FD + 1);
	SCOPED_FD int null = -1;

	if (high_channel < 0 || high_report < 0 || dup2(high_channel, WORKER_CHANNEL_FD) < 0 ||
	    dup3(high_report, REPORT_FD, O_CLOEXEC) < 0)
		return -errno;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    (c->worker_quiet && dup2(null, STDERR_FILENO) < 0))
		return -errno;
	null = -1; /* goes with the rest */
	return kern_close_range(REPORT_FD + 1, ~0U, 0);
}

static void allow_locked_memory(void)
{
	struct rlimit limit = { LOCKED_MAX, LOCKED_MAX };

	/* Raising the hard limit wants CAP_SYS_RESOURCE; without it the most that is allowed. */
	if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* The bounding set too, while that may still be done; the first number that the kernel does not know ends it. */
static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

/* Groups, then group, then user; then looked at, since a call that lies leaves a root process
 * behind. */
static int become_user(uid_t uid, gid_t gid)
{
	uid_t uids[3];
	gid_t gids[3];

	if (uid == 0 || gid == 0)
		return -EPERM;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 ||
	    getresgid(&gids[0], &gids[1], &gids[2]) < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (uids[i] != uid || gids[i] != gid)
			return -EPERM;
	return getgroups(0, NULL) == 0 ? 0 : -EPERM;
}

static int give_up_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static void fail(enum stage stage, int error, int fd)
{
	struct report report = { .stage = stage, .error = error };

	(void)io_write_all(fd, &report, sizeof(report));
	_exit(1);
}

static void become_worker(const struct attach_config *c, int channel, int report)
{
	static char name[] = "cofferfs";
	char *const argv[] = { name, NULL };
	char *const environment[] = { NULL };
	int r = arrange(c, channel, report);

	if (r < 0)
		fail(STAGE_DESCRIPTORS, r, report);
	allow_locked_memory();
	umask(077);
	if (setsid() < 0 || chdir("/") < 0)
		fail(STAGE_USER, -errno, REPORT_FD);
	r = drop_bounding_set();
	if (r < 0)
		fail(STAGE_PRIVILEGES, r, REPORT_FD);
	r = become_user(c->worker_uid, c->worker_gid);
	if (r < 0)
		fail(STAGE_USER, r, REPORT_FD);
	r = give_up_privileges();
	if (r < 0)
		fail(STAGE_PRIVILEGES, r, REPORT_FD);
	execve(c->worker_path, argv, environment);
	fail(STAGE_EXEC, -errno, REPORT_FD);
}

int worker_start(const struct attach_config *config, int channel, void (*first)(void), pid_t *ret,
                 struct err *e)
{
	struct report report = { 0 };
	SCOPED_FD int ours = -1, theirs = -1;
	int ends[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot start a worker");
	ours = ends[0];
	theirs = ends[1];
	pid = fork();
	if (pid == 0) {
		first();
		become_worker(config, channel, theirs);
	}
	if (pid < 0)
		return err_errno(e, -errno, "cannot start a worker");
	theirs = fd_close(theirs);
	n = io_read_all(ours, &report, sizeof(report));
	if (n == 0) { /* the exec closed it */
		*ret = pid;
		return 0;
	}
	if (n != (ssize_t)sizeof(report) || report.stage < 0 || report.stage > STAGE_EXEC ||
	    report.error >= 0)
		return err_set(e, -EIO, "the worker ended before it ran");
	return err_errno(e, report.error, "the worker %s cannot %s", config->worker_path,
	                 stages[report.stage]);
}
