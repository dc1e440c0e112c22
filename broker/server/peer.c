/* SPDX-License-Identifier: Apache-2.0 */
#include "server/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"

#define PEER_GROUPS_MAX 65536 /* NGROUPS_MAX of Linux */

/* The process that connected, as a pidfd. */
static int open_pidfd(int sock, pid_t pid, struct err *e)
{
	int pidfd = -1;
	socklen_t len = sizeof(pidfd);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
		return pidfd;
	if (errno != ENOPROTOOPT)
		return err_errno(e, -ESRCH, "the process that connected has ended");
	pidfd = kern_pidfd_open(pid, 0);
	if (pidfd < 0)
		return err_errno(e, pidfd, "the process that connected has ended");
	return pidfd;
}

static int read_cgroup(struct peer *p, struct err *e)
{
	struct kern_cgroup cgroup = { .fd = -1 };
	struct kern_pid_info info;
	int r = kern_cgroup_of(p->pid, &cgroup, e);

	if (r < 0)
		return err_prefix(e, r, "cannot tell the cgroup of process %d", p->pid);
	fd_close(cgroup.fd);
	p->cgroup_id = cgroup.id;
	p->cgroup_unified = cgroup.unified;
	p->cgroup_root = cgroup.root;
	/* A path is looked up by name and may by now be another folder; the number is the process's
	 * own. */
	if (cgroup.unified && kern_pidfd_info(p->pidfd, &info) == 0 && info.cgroup_id)
		p->cgroup_id = info.cgroup_id;
	return 0;
}

static int read_namespaces(struct peer *p, struct err *e)
{
	const struct {
		const char *name;
		uint64_t *slot;
	} rows[] = { { "mnt", &p->mnt_ns }, { "pid", &p->pid_ns }, { "user", &p->user_ns } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = kern_namespace_id(p->pid, rows[i].name, rows[i].slot);

		if (r < 0)
			return err_errno(e, r, "cannot tell the %s namespace of process %d",
			                 rows[i].name, p->pid);
	}
	return 0;
}

/* Everything that is looked up by number; the caller holds the pidfd. */
static int read_process(struct peer *p, struct err *e)
{
	pid_t pid;
	int r = kern_pidfd_pid(p->pidfd, &pid);

	if (r < 0)
		return err_errno(e, r, "the process that connected cannot be seen");
	if (pid != p->pid)
		return err_set(e, -EACCES,
		               "the kernel names two processes (%d and %d) for one connection", pid,
		               p->pid);
	r = kern_start_time(p->pid, &p->start_time);
	if (r < 0)
		return err_errno(e, r, "cannot tell when process %d started", p->pid);
	r = read_namespaces(p, e);
	if (r == 0)
		r = read_cgroup(p, e);
	if (r < 0)
		return r;
	if (!kern_pidfd_alive(p->pidfd))
		return err_set(e, -ESRCH, "the process that connected (%d) has ended", p->pid);
	return 0;
}

int peer_identify(int sock, struct peer *ret, struct err *e)
{
	struct ucred creds;
	socklen_t len = sizeof(creds);
	struct peer p = { .pidfd = -1 };
	int r;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &creds, &len) < 0)
		return err_errno(e, -errno, "the kernel does not say who connected");
	if (creds.pid <= 0)
		return err_set(e, -ESRCH,
		               "the process that connected cannot be seen from our pid namespace");
	p.pid = creds.pid;
	p.uid = creds.uid;
	p.gid = creds.gid;
	p.pidfd = open_pidfd(sock, p.pid, e);
	r = p.pidfd < 0 ? p.pidfd : read_process(&p, e);
	if (r < 0)
		peer_clear(&p);
	*ret = p;
	return r;
}

void peer_clear(struct peer *p)
{
	p->pidfd = fd_close(p->pidfd);
}

bool peer_alive(const struct peer *p)
{
	return kern_pidfd_alive(p->pidfd);
}

int peer_in_group(int sock, const struct peer *p, gid_t gid)
{
	SCOPED(free_ptr) gid_t *groups = NULL;
	socklen_t len = 0;

	if (p->gid == gid)
		return 1;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
		return 0;
	if (errno != ERANGE || len > PEER_GROUPS_MAX * sizeof(gid_t))
		return -errno;
	groups = malloc(len);
	if (!groups)
		return -ENOMEM;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return -errno;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (groups[i] == gid)
			return 1;
	return 0;
}

int peer_home_read(struct peer_home *ret, struct err *e)
{
	const struct {
		const char *name;
		uint64_t *slot;
	} rows[] = {
		{ "mnt", &ret->our_mnt_ns },
		{ "pid", &ret->pid_ns },
		{ "user", &ret->user_ns },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = kern_namespace_id(getpid(), rows[i].name, rows[i].slot);

		if (r < 0)
			return err_errno(e, r, "cannot tell our own %s namespace", rows[i].name);
	}
	/* Where pid 1 shows nothing, ours alone is the host's: stricter, not laxer. */
	if (kern_namespace_id(1, "mnt", &ret->mnt_ns) < 0)
		ret->mnt_ns = ret->our_mnt_ns;
	return 0;
}

int peer_is_home(const struct peer_home *home, const struct peer *p, struct err *e)
{
	const struct {
		const char *name;
		bool same;
	} rows[] = {
		{ "mount", p->mnt_ns == home->mnt_ns || p->mnt_ns == home->our_mnt_ns },
		{ "pid", p->pid_ns == home->pid_ns },
		{ "user", p->user_ns == home->user_ns },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!rows[i].same)
			return err_set(e, -EACCES,
			               "process %d is in another %s namespace than the host's: "
			               "operators come from the host",
			               p->pid, rows[i].name);
	return 0;
}
