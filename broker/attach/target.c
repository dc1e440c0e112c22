/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/paths.h"
#include "attach/proc.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/kern.h"

#define NO_LINKS (RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define FOLDER_FLAGS (O_PATH | O_DIRECTORY)
#define MAP_TEXT_MAX (64 * 1024)
/* 100,000 mounts, the kernel's own limit, at 600 bytes */
#define MOUNTINFO_MAX (64 * 1024 * 1024)

void target_clear(struct target *t)
{
	t->host_mnt = fd_close(t->host_mnt);
	t->host_proc = fd_close(t->host_proc);
	t->root = fd_close(t->root);
}

static int take_request(struct record *r, struct target *t)
{
	struct ar_mount fixed;
	size_t at = sizeof(fixed);

	memcpy(&fixed, r->payload, sizeof(fixed));
	t->pid = fixed.pid;
	t->dev = (dev_t)fixed.dev;
	t->fds = r->fds;
	if (t->pid < 2 || record_get_text(r, &at, t->root_path, sizeof(t->root_path)) < 0 ||
	    record_get_text(r, &at, t->folder, sizeof(t->folder)) < 0 ||
	    record_get_text(r, &at, t->label, sizeof(t->label)) < 0 || at != r->len ||
	    !paths_folder_ok(t->folder) || (t->root_path[0] && t->root_path[0] != '/'))
		return -EBADMSG;
	return 0;
}

static int inode_of(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

/* The process is the registered one, and has not wandered off into another mount namespace. */
static int check_process(const struct target *t, struct err *e)
{
	uint64_t registered = 0, now = 0, own = 0;
	pid_t pid;
	int r = kern_pidfd_pid(t->fds[TARGET_PIDFD], &pid);

	if (r < 0 || pid != t->pid || !kern_pidfd_alive(t->fds[TARGET_PIDFD]))
		return err_set(e, -ESRCH, "the container has ended");
	if ((r = inode_of(t->fds[TARGET_MNT], &registered)) < 0 ||
	    (r = kern_namespace_id(t->pid, "mnt", &now)) < 0 ||
	    (r = kern_namespace_id(getpid(), "mnt", &own)) < 0)
		return err_errno(e, r, "cannot look at the container's mount namespace");
	if (registered == own)
		return err_set(
			e, -EPERM,
			"the container shares the host's mount namespace: a mount in it would show "
			"on the host; it can use the workload socket");
	if (registered != now)
		return err_set(e, -EPERM,
		               "the container's first process has left its mount namespace");
	return 0;
}

static int map_root(pid_t pid, const char *file, uint32_t *ret)
{
	SCOPED(free_ptr) char *text = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	r = io_read_file(AT_FDCWD, path, MAP_TEXT_MAX, &text, NULL);
	return r < 0 ? r : proc_map_root(text, ret);
}

static int take_owner(struct target *t, struct err *e)
{
	uint32_t uid = 0, gid = 0;
	int r = map_root(t->pid, "uid_map", &uid);

	if (r == 0)
		r = map_root(t->pid, "gid_map", &gid);
	if (r == -ERANGE) /* no root inside: the host's */
		uid = gid = 0;
	else if (r < 0)
		return err_errno(e, r, "cannot read the id maps of process %d", t->pid);
	t->owner_uid = uid;
	t->owner_gid = gid;
	return 0;
}

static bool is_host_root(int fd)
{
	struct stat root, host;

	return fstat(fd, &root) == 0 && stat("/", &host) == 0 && root.st_dev == host.st_dev &&
	       root.st_ino == host.st_ino;
}

int target_prepare(struct operation_call *call, struct target *t, struct err *e)
{
	char path[64];
	int r = take_request(call->request, t);

	if (r < 0)
		return err_set(e, r, "the request for a mount is malformed");
	if ((r = check_process(t, e)) < 0 || (r = take_owner(t, e)) < 0)
		return r;
	t->host_mnt = kern_namespace_open(getpid(), "mnt");
	t->host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->host_mnt < 0 || t->host_proc < 0)
		return err_errno(e, t->host_mnt < 0 ? t->host_mnt : -errno,
		                 "cannot open our own namespace");
	snprintf(path, sizeof(path), "/proc/%d/root", t->pid);
	t->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->root < 0)
		return err_errno(e, -errno, "cannot reach the root of process %d", t->pid);
	/* Its runtime has not changed its root yet: the container's is where the bundle says. */
	if (t->root_path[0] && is_host_root(t->root))
		t->root = fd_close(t->root);
	/* opened by number: only if the number still meant the container */
	return check_process(t, e);
}

int target_enter(struct target *t, struct err *e)
{
	if (setns(t->fds[TARGET_MNT], CLONE_NEWNS) < 0)
		return err_errno(e, -errno, "cannot enter the container's mount namespace");
	if (t->root_path[0] && t->root < 0) {
		/* The bundle's path on the host: links in it are the host's own. */
		t->root = sys_openat2(AT_FDCWD, t->root_path, FOLDER_FLAGS, RESOLVE_NO_MAGICLINKS);
		if (t->root < 0)
			return err_errno(e, t->root, "cannot reach the container's root %.200s",
			                 t->root_path);
	}
	return 0;
}

int target_leave(struct target *t, struct err *e)
{
	if (setns(t->host_mnt, CLONE_NEWNS) < 0)
		return err_errno(e, -errno, "cannot leave the container's mount namespace");
	return 0;
}

static int refuse(const struct target *t, int error, struct err *e)
{
	switch (error) {
	case -ELOOP:
		return err_set(
			e, error,
			"%.200s in the container is, or lies below, a symbolic link, which is not "
			"followed; make it a folder in the image, or configure another mount "
			"folder",
			t->folder);
	case -ENOTDIR:
		return err_set(
			e, error,
			"%.200s in the container is, or lies below, something that is no folder; "
			"remove it from the image, or configure another mount folder",
			t->folder);
	case -EROFS:
		return err_set(e, error,
		               "the container's root is read-only and has no folder %.200s; make "
		               "it in the "
		               "image",
		               t->folder);
	default:
		return err_errno(e, error, "cannot open the folder %.200s in the container",
		                 t->folder);
	}
}

int target_open(const struct target *t, int *ret, struct err *e)
{
	int fd = sys_openat2(t->root, t->folder, FOLDER_FLAGS, RESOLVE_IN_ROOT | NO_LINKS);

	if (fd < 0)
		return refuse(t, fd, e);
	*ret = fd;
	return 0;
}

/*
 * A file system that was mounted inside a user namespace takes no files of an owner unknown there
 * (EOVERFLOW): then we make the folder as the container's root.
 */
static int make_folder(const struct target *t, int folder, const char *name)
{
	int r = mkdirat(folder, name, 0755) < 0 ? -errno : 0;

	if (r == -EOVERFLOW) {
		setfsgid(t->owner_gid);
		setfsuid(t->owner_uid);
		r = mkdirat(folder, name, 0755) < 0 ? -errno : 0;
		setfsuid(0);
		setfsgid(0);
	}
	return r == -EEXIST ? 0 : r;
}

/*
 * One component that isn't there. In a user namespace what we make would belong to nobody there; it
 * is handed over only if it is root's of the host, which nothing that the container makes can be.
 */
static int make_component(const struct target *t, int folder, const char *name)
{
	SCOPED_FD int fd = -1;
	struct sys_place place;
	int r;

	r = make_folder(t, folder, name);
	if (r < 0)
		return r;
	fd = sys_openat2(folder, name, FOLDER_FLAGS, RESOLVE_BENEATH | NO_LINKS);
	if (fd < 0 || t->owner_uid == 0)
		return TAKE_FD(fd);
	r = sys_place_of(fd, &place);
	if (r < 0)
		return r;
	if (place.uid == 0 && fchownat(fd, "", t->owner_uid, t->owner_gid, AT_EMPTY_PATH) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int target_open_or_make(const struct target *t, int *ret, struct err *e)
{
	char path[ATTACH_TEXT_MAX];
	char *rest = path, *name;
	SCOPED_FD int at = sys_openat2(t->root, ".", FOLDER_FLAGS, 0);

	memcpy(path, t->folder + 1, strlen(t->folder));
	while (at >= 0 && (name = strsep(&rest, "/"))) {
		int next = sys_openat2(at, name, FOLDER_FLAGS, RESOLVE_BENEATH | NO_LINKS);

		if (next == -ENOENT)
			next = make_component(t, at, name);
		fd_close(at);
		at = next;
	}
	if (at < 0)
		return refuse(t, at, e);
	*ret = TAKE_FD(at);
	return 0;
}

int target_refuse_shared(const struct target *t, const struct sys_place *place, struct err *e)
{
	SCOPED(free_ptr) char *text = NULL;
	int r = io_read_file(t->host_proc, "self/mountinfo", MOUNTINFO_MAX, &text, NULL);

	if (r == 0)
		r = proc_mount_is_shared(text, place->mount);
	if (r < 0)
		return err_errno(e, r, "cannot tell how mounts below %.200s spread", t->folder);
	if (r > 0)
		return err_set(e, -EPERM,
		               "the container's mount at %.150s has shared propagation, so that "
		               "the secrets "
		               "would show in other mount namespaces too; make it rprivate or "
		               "rslave (a systemd "
		               "unit: MountFlags=slave)",
		               t->folder);
	return 0;
}

/*
 * By the folder's parent, held open, and one name in it that cannot be renamed while something is
 * mounted there: no race can make us take off another of the container's mounts.
 */
int target_unmount(const struct target *t, dev_t dev, struct err *e)
{
	char parent_path[ATTACH_TEXT_MAX];
	const char *name = paths_split(t->folder, parent_path);
	SCOPED_FD int parent = -1, fd = -1;
	struct sys_place place;
	int r = target_open(t, &fd, e);

	if (r < 0)
		return r;
	r = sys_place_of(fd, &place);
	if (r < 0)
		return err_errno(e, r, "cannot look at %.200s in the container", t->folder);
	if (place.dev != dev)
		return err_set(e, -ENOENT, "our mount is not at %.200s any more", t->folder);
	parent = sys_openat2(t->root, parent_path[0] ? parent_path : ".", FOLDER_FLAGS,
	                     RESOLVE_IN_ROOT | NO_LINKS);
	if (parent < 0)
		return refuse(t, parent, e);
	if (fchdir(parent) < 0 || umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return err_errno(e, -errno, "cannot unmount %.200s in the container", t->folder);
	return 0;
}
