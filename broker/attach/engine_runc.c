/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc, and every engine that drives it: ROOT/ID/state.json of the configured roots. Only states
 * that root alone can write count, and only if their first process is still the one they name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/engine.h"
#include "attach/sys.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"

#define CONTAINERS_MAX 16384 /* of one root; more than a host can run */
#define CGROUP_DEPTH_MAX 64  /* ancestors looked at */

typedef bool (*state_matches)(const struct oci_state *state, const void *arg);

static int open_root(const char *path, struct err *e)
{
	struct trusted_folder folder = { .fd = -1 };
	SCOPED_FD int fd = -1;
	int r = trusted_open(path, &folder, e), readable;

	if (r < 0)
		return r;
	fd = folder.fd;
	if (!folder.by_root)
		return err_set(e, -EPERM,
		               "the runtime's folder %.200s is not root's alone and is not "
		               "believed; make root "
		               "its owner and let nobody else write there",
		               path);
	readable = sys_openat2(fd, ".", O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	return readable < 0 ? err_errno(e, readable, "cannot read %.200s", path) : readable;
}

/* -ESRCH: its first process is gone. */
static int read_state(int root, const char *id, struct oci_state *ret, struct err *e)
{
	SCOPED_FD int folder =
		sys_openat2(root, id, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	SCOPED(free_ptr) char *text = NULL;
	struct oci_state state = { 0 };
	bool by_root = true;
	struct stat st;
	uint64_t start;
	size_t len;
	int r;

	if (folder < 0)
		return err_errno(e, folder, "container %s", id);
	if (fstat(folder, &st) < 0)
		return err_errno(e, -errno, "container %s", id);
	r = trusted_read(folder, "state.json", &text, &len, &by_root, e);
	if (r == 0 && (!by_root || st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH)))
		r = err_set(e, -EPERM, "its state is not root's alone");
	if (r == 0)
		r = oci_state_parse(text, len, &state, e);
	if (r < 0)
		return err_prefix(e, r, "container %s", id);
	if (strcmp(state.id, id) != 0)
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
static int search_root(int root, state_matches matches, const void *arg, struct oci_state *ret,
                       struct err *e)
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
		if (read_state(dirfd(dir), entry->d_name, &state, NULL) < 0)
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
		int root = open_root(c->runc_roots[i], e);

		/* no container was ever started by it; or not root's alone: it vouches for nobody
		 */
		if (root == -ENOENT || root == -EPERM)
			continue;
		r = root < 0 ? root : search_root(root, matches, arg, ret, e);
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
		SCOPED_FD int root = open_root(c->runc_roots[i], e);
		int r;

		if (root == -ENOENT)
			continue;
		r = root < 0 ? root : read_state(root, id, ret, e);
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
