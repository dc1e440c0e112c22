/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program run inside a container. Here, outside, everything is looked up and opened; the process
 * that goes in (broker/enter) is handed descriptors. What it reports is believed as far as it harms
 * nobody: once inside it may be in the hands of whoever may trace there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/proc.h"
#include "attach/react.h"
#include "attach/sealed.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/kern.h"

#define GIVEN (ENTER_SELF_FD - ENTER_REPORT_FD) /* descriptors beside its own */
#define ATTR_MAX 4096
#define LIMITS_MAX 8192 /* 17 lines of 80 bytes */
#define SHOWN_LABEL 100

/* Everything that the process that goes in needs, opened. */
struct entry {
	struct enter_plan plan;
	int fds[ENTER_FDS]; /* by their numbers there; -1: none */
	int cgroups[KERN_HIERARCHIES_MAX];
	size_t cgroup_count;
	struct rlimit limits[RLIMIT_NLIMITS];
	char oom[16]; /* its oom_score_adj */
	int reports;  /* our end */
};

static void entry_clear(struct entry *n)
{
	for (int i = 0; i < ENTER_FDS; i++)
		n->fds[i] = fd_close(n->fds[i]);
	for (size_t i = 0; i < n->cgroup_count; i++)
		n->cgroups[i] = fd_close(n->cgroups[i]);
	n->reports = fd_close(n->reports);
}

static const struct {
	const char *name;
	int given; /* the request's descriptor, which is the registered one; -1: as it is now */
} namespaces[ENTER_NS_COUNT] = {
	[ENTER_NS_CGROUP] = { "cgroup", -1 },  [ENTER_NS_IPC] = { "ipc", -1 },
	[ENTER_NS_UTS] = { "uts", -1 },        [ENTER_NS_NET] = { "net", -1 },
	[ENTER_NS_TIME] = { "time", -1 },      [ENTER_NS_PID] = { "pid", REACT_PID },
	[ENTER_NS_MNT] = { "mnt", REACT_MNT }, [ENTER_NS_USER] = { "user", REACT_USER },
};

/* A namespace that is not ours is to be joined. */
static int open_namespace(const struct reaction_request *q, int ns, struct entry *n)
{
	SCOPED_FD int fd = namespaces[ns].given < 0
	                           ? kern_namespace_open(q->fixed.pid, namespaces[ns].name)
	                           : fcntl(q->fds[namespaces[ns].given], F_DUPFD_CLOEXEC, 3);
	uint64_t own = 0;
	struct stat st;
	int r;

	if (fd < 0)
		return namespaces[ns].given < 0 ? fd : -errno;
	r = kern_namespace_id(getpid(), namespaces[ns].name, &own);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino == own)
		return 0;
	n->plan.namespaces |= 1u << ns;
	n->fds[ENTER_NS_FD + ns] = TAKE_FD(fd);
	return 0;
}

/* A kernel without one kind of them has it for nobody. */
static int open_namespaces(const struct reaction_request *q, struct entry *n, struct err *e)
{
	for (int ns = 0; ns < ENTER_NS_COUNT; ns++) {
		uint64_t own;
		int r;

		if (kern_namespace_id(getpid(), namespaces[ns].name, &own) == -ESRCH)
			continue;
		r = open_namespace(q, ns, n);
		if (r < 0)
			return err_errno(e, r, "cannot open the container's %s namespace",
			                 namespaces[ns].name);
	}
	if (!(n->plan.namespaces & 1u << ENTER_NS_MNT))
		return err_set(e, -EPERM,
		               "it shares the host's mount namespace: a program would run on the "
		               "host");
	return 0;
}

/* An ordinary process may have none to tell. */
static int read_label(const char *file, char label[ATTR_MAX])
{
	SCOPED_FD int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	len = io_read_all(fd, label, ATTR_MAX - 1);
	label[len > 0 ? len : 0] = '\0';
	return 0;
}

/* A profile (AppArmor, SELinux) that holds the container would not hold what we run in it. */
static int refuse_confined(pid_t pid, struct err *e)
{
	char own[ATTR_MAX], label[ATTR_MAX], path[64];

	snprintf(path, sizeof(path), "/proc/%d/attr/current", pid);
	if (read_label(path, label) < 0)
		return err_set(e, -ESRCH, "the container has ended");
	if (read_label("/proc/self/attr/current", own) < 0)
		own[0] = '\0';
	if (!label[0] || strncmp(label, "unconfined", strlen("unconfined")) == 0 ||
	    strcmp(label, own) == 0)
		return 0;
	label[strcspn(label, "\n")] = '\0';
	return err_set(e, -EPERM,
	               "the container is confined by the profile %.*s, which a program run from "
	               "outside would not have; use signal: instead",
	               SHOWN_LABEL, label);
}

/* prlimit() of another user's process wants a capability that we may not have. */
static int read_limits(const struct reaction_request *q, struct entry *n, struct err *e)
{
	SCOPED(free_ptr) char *limits = NULL;
	SCOPED(free_ptr) char *oom = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/limits", q->fixed.pid);
	r = io_read_file(AT_FDCWD, path, LIMITS_MAX, &limits, NULL);
	if (r == 0)
		r = proc_parse_limits(limits, n->limits, ARRAY_LEN(n->limits));
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", q->fixed.pid);
	if (r == 0)
		r = io_read_file(AT_FDCWD, path, sizeof(n->oom) - 1, &oom, NULL);
	if (r < 0)
		return err_errno(e, r, "cannot read the container's limits");
	snprintf(n->oom, sizeof(n->oom), "%s", oom);
	return 0;
}

static int open_root(const struct reaction_request *q, struct entry *n, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", q->fixed.pid);
	n->fds[ENTER_ROOT_FD] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return n->fds[ENTER_ROOT_FD] < 0 ? err_errno(e, -errno, "cannot reach the container's root")
	                                 : 0;
}

static int make_pipes(const struct reaction_request *q, struct entry *n, struct err *e)
{
	SCOPED_FD int plan = -1;
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	n->fds[ENTER_PLAN_FD] = ends[0];
	plan = ends[1];
	r = io_write_all(plan, &n->plan, sizeof(n->plan));
	if (r == 0)
		r = io_write_all(plan, q->texts, q->len);
	if (r == 0 && pipe2(ends, O_CLOEXEC) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(e, r, "cannot make a pipe");
	n->reports = ends[0];
	n->fds[ENTER_REPORT_FD] = ends[1];
	return 0;
}

static int prepare(const struct reaction_request *q, const struct attach_config *config,
                   struct entry *n, struct err *e)
{
	int r;

	if (config->enter_fd < 0)
		return err_set(e, -ENOENT,
		               "the program coffer-enter could not be loaded when the broker "
		               "started; install it and start cofferd again");
	n->plan = (struct enter_plan){
		.uid = q->fixed.uid,
		.gid = q->fixed.gid,
		.words = q->fixed.words,
		.len = q->len,
	};
	n->fds[ENTER_SELF_FD] = fcntl(config->enter_fd, F_DUPFD_CLOEXEC, ENTER_FDS);
	if (n->fds[ENTER_SELF_FD] < 0)
		return err_errno(e, -errno, "cannot hold coffer-enter");
	if ((r = open_namespaces(q, n, e)) < 0 || (r = refuse_confined(q->fixed.pid, e)) < 0 ||
	    (r = read_limits(q, n, e)) < 0 || (r = open_root(q, n, e)) < 0)
		return r;
	r = kern_cgroup_procs_of(q->fixed.pid, n->cgroups, &n->cgroup_count, e);
	if (r == 0)
		r = make_pipes(q, n, e);
	/* All of that was found by number: only if the number still means the container. */
	return r < 0 ? r : react_check_process(q, e);
}

/* As many as we may raise to. */
static void take_limits(const struct entry *n)
{
	SCOPED_FD int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		struct rlimit limit = n->limits[i], own;

		if (setrlimit((__rlimit_resource_t)i, &limit) == 0 ||
		    getrlimit((__rlimit_resource_t)i, &own) < 0)
			continue;
		limit.rlim_max = limit.rlim_max < own.rlim_max ? limit.rlim_max : own.rlim_max;
		limit.rlim_cur = limit.rlim_cur < limit.rlim_max ? limit.rlim_cur : limit.rlim_max;
		(void)setrlimit((__rlimit_resource_t)i, &limit);
	}
	if (oom >= 0)
		(void)io_write_all(oom, n->oom, strlen(n->oom));
}

static int join_cgroups(const struct entry *n)
{
	for (size_t i = 0; i < n->cgroup_count; i++) {
		int r = io_write_all(n->cgroups[i], "0", 1);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The child: joins the container's cgroups, where its namespaces are not yet concerned. */
static void go_in(const struct entry *n)
{
	static char name[] = "coffer-enter";
	char *const argv[] = { name, NULL };
	struct enter_report report = { .stage = ENTER_CGROUP };
	int report_fd = n->fds[ENTER_REPORT_FD];

	take_limits(n);
	report.error = join_cgroups(n);
	if (report.error == 0) {
		if (fcntl(n->fds[ENTER_PLAN_FD], F_SETFL, 0) < 0 ||
		    sealed_arrange(n->fds[ENTER_SELF_FD], n->fds + ENTER_REPORT_FD, GIVEN) < 0)
			_exit(1);
		report.stage = ENTER_PLAN;
		report.error = sealed_exec(GIVEN, argv);
		report_fd = ENTER_REPORT_FD;
	}
	(void)io_write_all(report_fd, &report, sizeof(report));
	_exit(1);
}

static const char *const stages[ENTER_STAGES] = {
	[ENTER_PLAN] = "cannot start coffer-enter",
	[ENTER_CGROUP] = "cannot move a process into the container's cgroup",
	[ENTER_JOIN] = "cannot join the container's namespaces",
	[ENTER_ROOT] = "cannot change to the container's root",
	[ENTER_USER] = "cannot become the user that the container starts as",
	[ENTER_PRIVILEGES] = "cannot give up privileges",
	[ENTER_NULL] = "the container has no usable /dev/null",
	[ENTER_FILTER] = "cannot set the program's system call filter",
	[ENTER_FORK] = "cannot start a process in the container (its limit of processes?)",
	[ENTER_EXEC] = "cannot run the program",
};

struct watch {
	pid_t pid; /* of coffer-enter */
	pid_t program;
	int pidfd; /* of the program */
	int64_t due_ns;
};

static int64_t boottime_ns(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Until `fd` has something. -ETIMEDOUT; -ECANCELED: the broker is gone, or wants no answer. */
static int await(const struct watch *w, int fd, int sock)
{
	struct pollfd polls[] = { { .fd = fd, .events = POLLIN },
		                  { .fd = sock, .events = POLLRDHUP } };

	for (;;) {
		int64_t left = (w->due_ns - boottime_ns()) / 1000000;
		int n = left > 0 ? poll(polls, ARRAY_LEN(polls), (int)left) : 0;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			return polls[0].revents ? 0 : -ECANCELED;
	}
}

/* The number is what the one inside may have made up: it counts only if it is a child of ours. */
static int take_program(struct watch *w, pid_t pid)
{
	siginfo_t info;

	if (w->program || pid <= 1 || pid == w->pid ||
	    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -EBADMSG;
	w->pidfd = kern_pidfd_open(pid, 0);
	if (w->pidfd < 0)
		return w->pidfd;
	w->program = pid;
	return 0;
}

/* 1: there may be more; 0: all has been said, and the program runs. */
static int take_report(struct watch *w, int reports, struct err *e)
{
	struct enter_report r;
	ssize_t n = io_read_all(reports, &r, sizeof(r));

	if (n == 0 && w->program)
		return 0;
	if (n != (ssize_t)sizeof(r) || r.stage >= ENTER_STAGES)
		return err_set(e, -EINTR,
		               "the process that goes into the container was ended on its way "
		               "(by its limit of memory, or from inside)");
	if (r.stage != ENTER_STARTED)
		return err_errno(e, r.error < 0 && r.error > -4096 ? r.error : -EIO, "%s",
		                 stages[r.stage]);
	if (take_program(w, r.pid) < 0)
		return err_set(e, -EBADMSG,
		               "the process that went into the container reported "
		               "what makes no sense");
	return 1;
}

static int wait_program(const struct watch *w, int sock, uint32_t *ret)
{
	int status = 0, r = await(w, w->pidfd, sock);

	if (r < 0)
		return r;
	while (waitpid(w->program, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret = (uint32_t)status;
	return 0;
}

static int follow(struct watch *w, const struct entry *n, const struct reaction_request *q,
                  uint32_t *ret, struct err *e)
{
	int r;

	do {
		r = await(w, n->reports, q->sock);
		if (r == 0)
			r = take_report(w, n->reports, e);
	} while (r > 0);
	if (r == 0)
		r = wait_program(w, q->sock, ret);
	if (r == -ETIMEDOUT)
		return err_set(e, r, "it did not end within %u seconds and was killed",
		               q->fixed.limit_s);
	return r < 0 && !e->text[0] ? err_errno(e, r, "cannot wait for the program") : r;
}

/* What is left goes, and is gone when this returns; of the program's own children we know nothing. */
static void end_children(const struct watch *w)
{
	if (w->pidfd >= 0)
		kern_pidfd_send_signal(w->pidfd, SIGKILL);
	kill(w->pid, SIGKILL); /* our child, and not waited for yet */
	for (int i = 0; i < 2; i++) {
		pid_t pid = i == 0 ? w->pid : w->program;

		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

int react_exec(const struct reaction_request *q, const struct attach_config *config, uint32_t *ret,
               struct err *e)
{
	struct entry n = { .reports = -1 };
	struct watch w = { .pidfd = -1 };
	int r;

	memset(n.fds, -1, sizeof(n.fds));
	r = prepare(q, config, &n, e);
	if (r == 0) {
		w.due_ns = boottime_ns() + (int64_t)q->fixed.limit_s * 1000000000;
		w.pid = fork();
		if (w.pid == 0)
			go_in(&n);
		r = w.pid < 0 ? err_errno(e, -errno, "cannot start a process") : 0;
	}
	if (r == 0) {
		n.fds[ENTER_REPORT_FD] = fd_close(n.fds[ENTER_REPORT_FD]);
		r = follow(&w, &n, q, ret, e);
		end_children(&w);
		fd_close(w.pidfd);
	}
	entry_clear(&n);
	return r < 0 ? r : 0;
}
