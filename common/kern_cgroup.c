/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a line of /proc/PID/cgroup to an open directory.
 *
 *	HIERARCHY:CONTROLLERS:PATH          0::PATH is the unified hierarchy
 *
 * HIERARCHY and CONTROLLERS are the kernel's words. PATH is whatever somebody named a cgroup, but
 * has no newline (the kernel refuses one) and no escapes; it may hold ':' and end in " (deleted)",
 * which the kernel also appends to the path of a cgroup that was removed. A live process is never in
 * a removed one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/kern.h"
#include "coffer/name.h"

#define PROC_CGROUP_MAX (256 * 1024) /* a dozen lines, a path of 4 KiB each */
#define HIERARCHY_PATH_MAX 256       /* "/sys/fs/cgroup/" and the names of all controllers */
#define SHOWN_PATH_MAX 160           /* of a path in an error's sentence */

/* What the lines of one process say. Pointers into the text of /proc/PID/cgroup, NULL where there
 * is no line. */
struct cgroup_lines {
	const char *unified;
	const char *named_systemd;
	const char *v1_controllers, *v1; /* the first v1 hierarchy in which it is not in the root */
};

static bool is_root(const char *path)
{
	return path == NULL || strcmp(path, "/") == 0;
}

static int parse_lines(char *text, struct cgroup_lines *ret)
{
	char *next;

	*ret = (struct cgroup_lines){ 0 };
	for (char *line = text; *line; line = next) {
		char *end = strchr(line, '\n');
		char *controllers, *path;

		if (!end)
			return -EBADMSG;
		*end = '\0';
		next = end + 1;
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path || path[1] != '/')
			return -EBADMSG;
		*controllers++ = '\0';
		*path++ = '\0';
		if (strcmp(line, "0") == 0) {
			ret->unified = path;
		} else if (strcmp(controllers, "name=systemd") == 0) {
			ret->named_systemd = path;
		} else if (!ret->v1 && !is_root(path)) {
			ret->v1 = path;
			ret->v1_controllers = controllers;
		}
	}
	return 0;
}

/* The root of a hierarchy that is mounted at `path`, if it is one of `magic`. Descriptor or -errno.
 */
static int open_hierarchy(const char *path, unsigned int magic)
{
	SCOPED_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if ((unsigned int)fs.f_type != magic)
		return -ENOENT;
	return TAKE_FD(fd);
}

static int open_unified(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	int fd = -ENOENT;

	for (size_t i = 0; i < ARRAY_LEN(places) && fd < 0; i++)
		fd = open_hierarchy(places[i], CGROUP2_SUPER_MAGIC);
	return fd;
}

static int open_v1(const char *controllers)
{
	static const char named[] = "name=";
	char path[HIERARCHY_PATH_MAX];
	int n;

	if (strncmp(controllers, named, strlen(named)) == 0)
		controllers += strlen(named);
	if (strchr(controllers, '/') || controllers[0] == '.')
		return -EBADMSG;
	n = snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", controllers);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	return open_hierarchy(path, CGROUP_SUPER_MAGIC);
}

static int open_beneath(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
		           RESOLVE_NO_XDEV,
	};
	long fd;

	while (*path == '/')
		path++;
	fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

/* Which line stands for the process: see kern.h. */
static const char *choose_line(const struct cgroup_lines *lines, const char **ret_controllers)
{
	*ret_controllers = NULL;
	if (!is_root(lines->unified))
		return lines->unified;
	if (!is_root(lines->named_systemd)) {
		*ret_controllers = "name=systemd";
		return lines->named_systemd;
	}
	if (lines->v1) {
		*ret_controllers = lines->v1_controllers;
		return lines->v1;
	}
	if (lines->unified)
		return lines->unified;
	*ret_controllers = "name=systemd";
	return lines->named_systemd;
}

static int read_lines(pid_t pid, char **ret, struct err *e)
{
	SCOPED(free_ptr) char *text = NULL;
	char file[32];
	size_t len = 0;
	int r;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	r = io_read_file(AT_FDCWD, file, PROC_CGROUP_MAX, &text, &len);
	if (r == -ENOENT || r == -ESRCH)
		return err_set(e, -ESRCH, "there is no process %d", pid);
	if (r == 0 && strlen(text) != len)
		r = -EBADMSG;
	if (r < 0)
		return err_errno(e, r, "cannot read %s", file);
	*ret = TAKE_PTR(text);
	return 0;
}

/* One line, without its newline, to an open cgroup.procs. The line is taken apart. */
static int open_procs(char *line)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	SCOPED_FD int root = -1;
	SCOPED_FD int cgroup = -1;
	int fd;

	if (!path || path[1] != '/')
		return -EBADMSG;
	*controllers++ = '\0';
	*path++ = '\0';
	root = strcmp(line, "0") == 0 ? open_unified() : open_v1(controllers);
	if (root < 0)
		return root;
	cgroup = open_beneath(root, path);
	if (cgroup < 0)
		return cgroup;
	fd = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* Whether `text` has this very line. */
static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, len) == 0 && at[len] == '\n')
			return true;
	}
	return false;
}

int kern_cgroup_procs_of(pid_t pid, int fds[KERN_HIERARCHIES_MAX], size_t *ret_count, struct err *e)
{
	SCOPED(free_ptr) char *own = NULL;
	SCOPED(free_ptr) char *text = NULL;
	size_t count = 0;
	int r = read_lines(getpid(), &own, e);

	if (r == 0)
		r = read_lines(pid, &text, e);
	if (!own || !text)
		return r;
	for (char *line = text, *end; r == 0 && *line; line = end + 1) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (end && has_line(own, line))
			continue;
		fds[count] = end && count < KERN_HIERARCHIES_MAX - 1 ? open_procs(line) : -EBADMSG;
		if (fds[count] < 0)
			r = err_errno(e, fds[count], "cannot open a cgroup of process %d", pid);
		else
			count++;
	}
	if (r < 0) {
		while (count > 0)
			fd_close(fds[--count]);
		return r;
	}
	*ret_count = count;
	return 0;
}

int kern_cgroup_of(pid_t pid, struct kern_cgroup *ret, struct err *e)
{
	SCOPED(free_ptr) char *text = NULL;
	SCOPED_FD int root = -1;
	SCOPED_FD int fd = -1;
	struct cgroup_lines lines = { 0 };
	const char *path, *controllers;
	char shown[SHOWN_PATH_MAX];
	struct stat st;
	int r = read_lines(pid, &text, e);

	if (!text)
		return r;
	r = parse_lines(text, &lines);
	if (r < 0)
		return err_errno(e, r, "cannot read the cgroups of process %d", pid);
	path = choose_line(&lines, &controllers);
	if (!path || strlen(path) >= sizeof(ret->path))
		return err_set(e, -EBADMSG, "process %d names no cgroup that can be used", pid);

	name_escape(path, strlen(path), shown, sizeof(shown));
	root = controllers ? open_v1(controllers) : open_unified();
	if (root < 0)
		return err_errno(
			e, root,
			"no mounted hierarchy below /sys/fs/cgroup for cgroup %s of process %d",
			shown, pid);
	fd = open_beneath(root, path);
	if (fd < 0)
		return err_errno(e, fd, "cannot open cgroup %s of process %d", shown, pid);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read cgroup %s of process %d", shown, pid);
	ret->fd = TAKE_FD(fd);
	ret->id = st.st_ino;
	ret->unified = controllers == NULL;
	ret->root = is_root(path);
	memcpy(ret->path, path, strlen(path) + 1);
	return 0;
}
