/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd units, told by cgroups alone. The folder of a unit's cgroup was made by the service
 * manager: it lies below slices, and every folder down to it belongs to root. What a unit (or a
 * user's own manager, which is the unit user@UID.service) makes below it is its own affair and is
 * never read as a name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "attach/engine.h"
#include "attach/sys.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"

#define SLICE_DEPTH_MAX 16                    /* nested slices, and cgroups below a unit */
#define PROCS_MAX (1024 * 1024)               /* cgroup.procs: 100,000 processes */
#define SYSTEMD_IS_HERE "/run/systemd/system" /* sd_booted(3) */

static int root_owned(int folder)
{
	struct stat st;

	if (fstat(folder, &st) < 0)
		return -errno;
	return st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/*
 * The unit's folder is `below` levels above `cgroup`; those above it must be root's. (It itself may
 * have been handed to a user: Delegate= with User=.)
 */
static int open_unit_folder(int cgroup, unsigned int below, unsigned int depth, struct err *e)
{
	SCOPED_FD int unit = -1;
	SCOPED_FD int at = fcntl(cgroup, F_DUPFD_CLOEXEC, 3);

	for (unsigned int level = 0; at >= 0 && level < depth; level++) {
		int up;

		if (level == below) {
			unit = fcntl(at, F_DUPFD_CLOEXEC, 3);
		} else if (level > below) {
			int r = root_owned(at);

			if (r <= 0)
				return r < 0 ? r
				             : err_set(e, -EPERM,
				                       "a slice of its cgroup is not root's");
		}
		up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd_close(at);
		at = up;
	}
	if (at < 0 || unit < 0)
		return err_errno(e, errno ? -errno : -EINVAL, "cannot open the cgroup of a unit");
	return TAKE_FD(unit);
}

/* The oldest process of /cgroup.procs of one folder, into *pid and *start if older than what is
 * there. */
static int oldest_here(int folder, pid_t *pid, uint64_t *start)
{
	SCOPED(free_ptr) char *text = NULL;
	char *at, *end;
	int r = io_read_file(folder, "cgroup.procs", PROCS_MAX, &text, NULL);

	/* a threaded cgroup lists none (EOPNOTSUPP) */
	if (r < 0)
		return r == -EOPNOTSUPP || r == -ENOENT ? 0 : r;
	for (at = text; *at; at = end + (*end == '\n')) {
		long n = strtol(at, &end, 10);
		uint64_t theirs;

		if (end == at || (*end != '\n' && *end))
			return -EBADMSG;
		if (n < 2 || n > INT32_MAX || kern_start_time((pid_t)n, &theirs) < 0)
			continue;
		if (*pid == 0 || theirs < *start) {
			*pid = (pid_t)n;
			*start = theirs;
		}
	}
	return 0;
}

static int oldest_below(int folder, int depth, pid_t *pid, uint64_t *start)
{
	struct dirent *entry;
	DIR *dir = NULL;
	int fd, r = oldest_here(folder, pid, start);

	if (r < 0 || depth == SLICE_DEPTH_MAX)
		return r;
	fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !(dir = fdopendir(fd))) {
		fd_close(fd);
		return -errno;
	}
	while (r == 0 && (entry = readdir(dir))) {
		SCOPED_FD int child = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(fd, entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			r = oldest_below(child, depth + 1, pid, start);
	}
	closedir(dir);
	return r;
}

int engine_systemd_unit(struct found *f, bool whole, struct err *e)
{
	struct found unit = FOUND_EMPTY;
	unsigned int below, depth = 0;
	SCOPED_FD int folder = -1;
	uint64_t start = 0;
	struct stat st;
	pid_t main_pid = 0;
	int r;

	if (access(SYSTEMD_IS_HERE, F_OK) < 0 ||
	    proc_unit_of_cgroup(f->cgroup_path, f->unit, &below) < 0) {
		f->unit[0] = '\0';
		return 0;
	}
	for (const char *p = f->cgroup_path; *p; p++)
		depth += *p == '/';
	folder = open_unit_folder(f->fds[FOUND_CGROUP], below, depth, NULL);
	if (folder < 0) {
		f->unit[0] = '\0';
		return 0;
	}
	if (!whole)
		return 1;
	r = oldest_below(folder, 0, &main_pid, &start);
	if (r == 0 && main_pid == 0)
		r = -ESRCH;
	if (r == 0 && fstat(folder, &st) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(e, r, "cannot find the main process of %s", f->unit);
	r = found_process(main_pid, &unit, e);
	if (r < 0) {
		found_clear(&unit);
		return r;
	}
	memcpy(unit.unit, f->unit, sizeof(unit.unit));
	fd_close(unit.fds[FOUND_CGROUP]);
	unit.fds[FOUND_CGROUP] = TAKE_FD(folder);
	unit.facts.cgroup_id = st.st_ino;
	unit.facts.cgroup_v2 = f->facts.cgroup_v2;
	snprintf(unit.runtime, sizeof(unit.runtime), "systemd");
	memcpy(unit.id, f->unit, sizeof(unit.id));
	memcpy(unit.name, f->unit, sizeof(unit.name));
	found_clear(f);
	*f = unit;
	return 1;
}

/* The folder of `unit` at or below `folder`, looked for in root's slices only. */
static int search_unit(int folder, const char *unit, int depth)
{
	int fd = openat(folder, unit, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir = NULL;

	if (fd >= 0 || errno != ENOENT || depth == SLICE_DEPTH_MAX)
		return fd < 0 ? -errno : fd;
	fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !(dir = fdopendir(fd))) {
		fd_close(fd);
		return -errno;
	}
	int found = -ENOENT;

	while (found == -ENOENT && (entry = readdir(dir))) {
		static const char suffix[] = ".slice";
		size_t len = strlen(entry->d_name);
		SCOPED_FD int slice = -1;

		if (entry->d_type != DT_DIR || len <= strlen(suffix) ||
		    strcmp(entry->d_name + len - strlen(suffix), suffix) != 0)
			continue;
		slice = openat(fd, entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (slice >= 0 && root_owned(slice) == 1)
			found = search_unit(slice, unit, depth + 1);
	}
	closedir(dir);
	return found;
}

int engine_systemd_main(const char *unit, pid_t *ret, struct err *e)
{
	static const char *const hierarchies[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified",
		                                   "/sys/fs/cgroup/systemd" };

	if (!proc_unit_ok(unit))
		return err_set(e, -EINVAL, "a unit's name ends in .service or .scope");
	for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
		SCOPED_FD int root = open(hierarchies[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		SCOPED_FD int folder = -1;
		struct statfs fs;
		pid_t pid = 0;
		uint64_t start = 0;
		int r;

		if (root < 0 || fstatfs(root, &fs) < 0 ||
		    ((unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC &&
		     (unsigned long)fs.f_type != CGROUP_SUPER_MAGIC))
			continue;
		folder = search_unit(root, unit, 0);
		if (folder == -ENOENT)
			continue;
		r = folder < 0 ? folder : oldest_below(folder, 0, &pid, &start);
		if (r < 0)
			return err_errno(e, r, "cannot look at the cgroup of %s", unit);
		if (pid) {
			*ret = pid;
			return 0;
		}
	}
	return err_set(e, -ESRCH, "no process of %s is running", unit);
}
