/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/identity.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"

#define NS_PARENT_IOCTL _IO(0xb7, 0x2) /* NS_GET_PARENT, linux/nsfs.h */
#define DEPTH_MAX 64 /* nested cgroups or namespaces; the kernel allows 32 levels of the latter */

struct container *identity_by_cgroup(struct containers *set, const struct peer *peer)
{
	struct kern_cgroup cgroup = { .fd = -1 };
	/* Upwards within one hierarchy, by ids of folders, never by their names. */
	struct container *found = container_by_cgroup(set, peer->cgroup_unified, peer->cgroup_id);
	struct stat first, at;
	int fd;

	if (found || kern_cgroup_of(peer->pid, &cgroup, NULL) < 0)
		return found;
	fd = cgroup.fd;
	if (cgroup.root || fstat(fd, &first) < 0) {
		fd_close(fd);
		return NULL;
	}
	for (int depth = 0; depth < DEPTH_MAX && !found; depth++) {
		int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		fd_close(fd);
		fd = parent;
		if (fd < 0 || fstat(fd, &at) < 0 || at.st_dev != first.st_dev)
			break;
		found = container_by_cgroup(set, cgroup.unified, at.st_ino);
	}
	fd_close(fd);
	return found;
}

/* Whether namespace `name` of the peer is `wanted`, or was made below it. */
static bool is_below(const struct peer *peer, const char *name, uint64_t wanted)
{
	int fd = kern_namespace_open(peer->pid, name);
	bool below = false;

	for (int depth = 0; depth < DEPTH_MAX && fd >= 0 && !below; depth++) {
		struct stat at;
		int parent;

		below = fstat(fd, &at) == 0 && at.st_ino == wanted;
		if (below)
			break;
		parent = ioctl(fd, NS_PARENT_IOCTL);
		fd_close(fd);
		fd = parent;
	}
	fd_close(fd);
	return below;
}

/*
 * Namespaces made inside a container are the container's. Where its pid namespace is not its own (the
 * host's, a pod's), "below" says nothing: then pid and mount namespace must be the very same.
 */
static bool is_inside(const struct container *c, const struct peer *peer)
{
	const struct ar_facts *f = &c->facts.fixed;

	if (f->flags & (FACTS_WEAK | FACTS_SHARED_PID))
		return peer->pid_ns == f->pid_ns && peer->mnt_ns == f->mnt_ns &&
		       peer->user_ns == f->user_ns;
	return is_below(peer, "pid", f->pid_ns) && is_below(peer, "user", f->user_ns);
}

int identity_find(struct containers *set, const struct peer *peer, struct container **ret,
                  struct err *e)
{
	struct container *c = identity_by_cgroup(set, peer);

	if (!c)
		return 0;
	if (!kern_pidfd_alive(c->facts.pidfd))
		return err_set(e, -EACCES, "the container of its cgroup has ended");
	if (!is_inside(c, peer))
		return err_set(
			e, -EACCES,
			"it is in the cgroup of another container, but not in its namespaces");
	if (!peer_alive(peer))
		return err_set(e, -EACCES, "the process that connected has ended");
	*ret = c;
	return 1;
}
