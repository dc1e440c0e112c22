/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc and crun, and every engine that drives them: ROOT/ID/state.json or ROOT/ID/status of the configured
 * roots. Only states that root alone can write count, and only if their first process is still the one they
 * name. A user's own (rootless) are looked at for that user's containers only.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/engine.h"
#include "attach/sys.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"

#define CONTAINERS_MAX 16384 /* of one root; more than a host can run */
#define CGROUP_DEPTH_MAX 64  /* ancestors looked at */

typedef bool (*state_matches)(const struct oci_state *state, const void *arg);

/* `users`: whoever could have written there, its contents are for the caller to doubt. */
static int open_root(const char *path, bool users, struct err *e)
{
	struct trusted_folder folder = { .fd = -1 };
	SCOPED_FD int fd = -1;
	int r = trusted_open(path, &folder, e), readable;

	if (r < 0)
		return r;
	fd = folder.fd;
	if (!folder.by_root && !users)
		return err_set(e, -EPERM,
		               "the runtime's folder %.200s is not root's alone and is not "
		               "believed; make root "
		               "its owner and let nobody else write there",
		               path);
	readable = sys_openat2(fd, ".", O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	return readable < 0 ? err_errno(e, readable, "cannot read %.200s", path) : readable;
}

/* What the runtime wrote of container `id`, into whose folder only root could write unless *by_root is cleared. */
static int parse_state(int folder, const char *id, bool *by_root, struct oci_state *ret,
                       struct err *e)
{
	SCOPED(free_ptr) char *text = NULL;
	struct stat st;
	size_t len;
	int r;

	if (fstat(folder, &st) < 0)
		return err_errno(e, -errno, "cannot look at its folder");
	if (st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH))
		*by_root = false;
	r = trusted_read(folder, "state.json", &text, &len, by_root, e);
	if (r == 0)
		return oci_state_parse(text, len, ret, e);
	if (r == -ENOENT && trusted_read(folder, "status", &text, &len, by_root, NULL) == 0)
		return oci_status_parse(text, len, id, ret, e);
	return r;
}

/* -ESRCH: its first process is gone. */
static int read_state(int root, const char *id, bool users, struct oci_state *ret, struct err *e)
{
	SCOPED_FD int folder =
		sys_openat2(root, id, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	struct oci_state state = { 0 };
	bool by_root = true;
	uint64_t start;
	int r;

	if (folder < 0)
		return err_errno(e, folder, "container %s", id);
	r = parse_state(folder, id, &by_root, &state, e);
	if (r < 0)
		return err_prefix(e, r, "container %s", id);
	if (!by_root && !users)
		r = err_set(e, -EPERM, "container %s: its state is not root's alone", id);
	else if (strcmp(state.id, id) != 0)
		r = err_set(e, -EINVAL, "container %s: its state is another's (%s)", id, state.id);
	else if (kern_start_time(state.pid, &start) < 0 || start != state.start)
		r = err_set(e, -ESRCH, "container %s is not running", id);
	if (r < 0)
		oci_state_clear(&state);
	else
		*ret = state;
	return r;
}

/* A state that can't be read is passed over: it then vouches for nobody. */
static int search_root(int root, bool users, state_matches matches, const void *arg,
                       struct oci_state *ret, struct err *e)
{
	DIR *dir = fdopendir(root);
	struct dirent *entry;
	int seen = 0, r = 0;

	if (!dir) {
		fd_close(root);
		return err_errno(e, -errno, "cannot read a runtime's folder");
	}
	while (r == 0 && (entry = readdir(dir))) {
		struct oci_state state = { 0 };

		if (!oci_id_ok(entry->d_name))
			continue;
		if (++seen > CONTAINERS_MAX) {
			r = err_set(e, -E2BIG, "a runtime's folder holds more than %d containers",
			            CONTAINERS_MAX);
			break;
		}
		if (read_state(dirfd(dir), entry->d_name, users, &state, NULL) < 0)
			continue;
		if (matches(&state, arg)) {
			*ret = state;
			r = 1;
		} else {
			oci_state_clear(&state);
		}
	}
	closedir(dir);
	return r;
}

static int search(const struct attach_config *c, state_matches matches, const void *arg,
                  struct oci_state *ret, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < ATTACH_ROOTS_MAX && c->runc_roots[i] && r == 0; i++) {
		int root = open_root(c->runc_roots[i], false, e);

		/* no container was ever started by it; or not root's alone: it vouches for nobody
		 */
		if (root == -ENOENT || root == -EPERM)
			continue;
		r = root < 0 ? root : search_root(root, false, matches, arg, ret, e);
	}
	return r;
}

struct each {
	bool (*visit)(const struct oci_state *state, void *arg);
	void *arg;
};

static bool visit_one(const struct oci_state *state, const void *arg)
{
	const struct each *each = arg;

	return each->visit(state, each->arg);
}

int engine_runc_each(const struct attach_config *c,
                     bool (*visit)(const struct oci_state *state, void *arg), void *arg,
                     struct err *e)
{
	const struct each each = { visit, arg };
	struct oci_state state = { 0 };
	int r = search(c, visit_one, &each, &state, e);

	oci_state_clear(&state);
	return r;
}

static bool has_pid(const struct oci_state *state, const void *arg)
{
	return state->pid == *(const pid_t *)arg;
}

struct cgroup_line {
	pid_t pid;
	bool unified;
	uint64_t ids[CGROUP_DEPTH_MAX];
	size_t count;
};

/* The container's first process is in this cgroup or one above, and both share pid and mount
 * namespace. */
static bool has_cgroup(const struct oci_state *state, const void *arg)
{
	const struct cgroup_line *line = arg;
	struct kern_cgroup cgroup = { .fd = -1 };

	if (found_same_namespace(state->pid, line->pid, "pid") != 1 ||
	    found_same_namespace(state->pid, line->pid, "mnt") != 1 ||
	    kern_cgroup_of(state->pid, &cgroup, NULL) < 0)
		return false;
	fd_close(cgroup.fd);
	if (cgroup.root || cgroup.unified != line->unified)
		return false;
	for (size_t i = 0; i < line->count; i++)
		if (line->ids[i] == cgroup.id)
			return true;
	return false;
}

int engine_runc_by_cgroup(const struct attach_config *c, const struct found *f,
                          struct oci_state *ret, struct err *e)
{
	struct cgroup_line line = { .pid = f->facts.pid, .unified = f->facts.cgroup_v2 };
	SCOPED_FD int at = fcntl(f->fds[FOUND_CGROUP], F_DUPFD_CLOEXEC, 3);
	size_t depth = 0;

	for (const char *p = f->cgroup_path; *p; p++)
		depth += *p == '/';
	while (at >= 0 && line.count < depth && line.count < CGROUP_DEPTH_MAX) {
		struct stat st;
		int up;

		if (fstat(at, &st) < 0)
			return err_errno(e, -errno, "cannot look at a cgroup");
		line.ids[line.count++] = st.st_ino;
		up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd_close(at);
		at = up;
	}
	if (at < 0)
		return err_errno(e, -errno, "cannot look at the cgroups above process %d",
		                 line.pid);
	return search(c, has_cgroup, &line, ret, e);
}

int engine_runc_by_id(const struct attach_config *c, const char *id, struct oci_state *ret,
                      struct err *e)
{
	if (!oci_id_ok(id))
		return err_set(
			e, -EINVAL,
			"that is no container's id (letters, digits, '_', '+', '-', '.' and ',')");
	for (size_t i = 0; i < ATTACH_ROOTS_MAX && c->runc_roots[i]; i++) {
		SCOPED_FD int root = open_root(c->runc_roots[i], false, e);
		int r;

		if (root == -ENOENT)
			continue;
		r = root < 0 ? root : read_state(root, id, false, ret, e);
		if (r != -ENOENT)
			return r < 0 ? r : 1;
	}
	return 0;
}

int engine_runc_by_init(const struct attach_config *c, pid_t pid, const char *likely,
                        struct oci_state *ret, struct err *e)
{
	struct oci_state state = { 0 };

	if (engine_runc_by_id(c, likely, &state, NULL) == 1) {
		if (state.pid == pid) {
			*ret = state;
			return 1;
		}
		oci_state_clear(&state);
	}
	return search(c, has_pid, &pid, ret, e);
}

/*
 * A rootless engine keeps state where only its user, and root, can write: it may say of that user's processes
 * what it likes, and of nobody else's, since whose they are is told by the owner of their user namespace.
 */
int engine_runc_of_user(const struct found *f, struct oci_state *ret, struct err *e)
{
	static const char *const runtimes[] = { "runc", "crun" };
	uid_t owner = 0;
	int r = 0;

	if (!(f->facts.flags & FACTS_USERNS) ||
	    ioctl(f->fds[FOUND_USER], NS_GET_OWNER_UID, &owner) < 0 || owner == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(runtimes) && r == 0; i++) {
		char path[64];
		int root;

		snprintf(path, sizeof(path), "/run/user/%u/%s", owner, runtimes[i]);
		root = open_root(path, true, NULL);
		if (root >= 0)
			r = search_root(root, true, has_pid, &f->facts.pid, ret, e);
	}
	return r;
}
