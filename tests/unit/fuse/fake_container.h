/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_container.h - the container's and the attacher's side, for tests of a worker behind a real
 * superblock.
 *
 * The container is a process of its own, first in a new pid namespace, where it makes the
 * superblock; it does what the test tells it. The test itself is an outsider. Needs root and
 * /dev/fuse.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "coffer/io.h"
#include "fake_broker.h"

enum task {
	OPEN,
	PREAD,
	CLOSE,
	STAT,
	LIST_SOME,
	XATTR,
	WATCH,
	EVENT,
	REMOVE,
	TMPFILE,
	CHMOD,
	PING
};

struct ask {
	enum task task;
	int fd, flags;
	char path[PATH_MAX];
};
struct told {
	int result; /* descriptor, count, mask, or -errno */
	struct stat st;
	char text[4096];
};

struct container {
	pid_t pid;
	int sock; /* to it: asks and answers */
	int mnt;  /* the detached mount, read-write */
	int fuse;
};

static struct fake_broker broker;
static struct container box;

static inline int make_mount(int fuse)
{
	int fs = (int)syscall(SYS_fsopen, "fuse", FSOPEN_CLOEXEC);
	const char *const options[][2] = {
		{ "source", "coffer" },
		{ "rootmode", "40000" },
		{ "user_id", "0" },
		{ "group_id", "0" },
	};
	char number[16];

	snprintf(number, sizeof(number), "%d", fuse);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[i][0], options[i][1],
		            0) < 0)
			return -1;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "fd", number, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "allow_other", NULL, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "default_permissions", NULL, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
	                    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* One getdents64 with a small buffer: names, each behind a slash. */
static inline int list_some(int fd, struct told *told)
{
	char bytes[512];
	long n = syscall(SYS_getdents64, fd, bytes, sizeof(bytes));
	size_t len = 0;

	for (long at = 0; at < n;) {
		const struct dirent64 *d = (const struct dirent64 *)(bytes + at);

		len += (size_t)snprintf(told->text + len, sizeof(told->text) - len, "/%s",
		                        d->d_name);
		at += d->d_reclen;
	}
	return (int)n;
}

static inline int next_event(int fd, struct told *told)
{
	char bytes[sizeof(struct inotify_event) + NAME_MAX + 1]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	const struct inotify_event *event = (const struct inotify_event *)bytes;

	if (poll(&wait, 1, 500) != 1)
		return 0;
	if (read(fd, bytes, sizeof(bytes)) < 0)
		return -1;
	snprintf(told->text, sizeof(told->text), "%s", event->len ? event->name : "");
	return (int)event->mask;
}

/* The root of the mount, or a folder in it. */
static inline int watch(int mnt, const char *folder)
{
	char path[PATH_MAX + 64];
	int fd = inotify_init1(IN_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", mnt, folder);
	return inotify_add_watch(fd, path, IN_ALL_EVENTS & ~(IN_OPEN | IN_ACCESS | IN_CLOSE)) < 0
	               ? -1
	               : fd;
}

static inline int perform(int mnt, const struct ask *ask, struct told *told)
{
	switch (ask->task) {
	case OPEN:
		return openat(mnt, ask->path, ask->flags | O_CLOEXEC, 0600);
	case PREAD:
		return (int)pread(ask->fd, told->text, sizeof(told->text) - 1, ask->flags);
	case CLOSE:
		return close(ask->fd);
	case STAT:
		return fstatat(mnt, ask->path, &told->st, AT_SYMLINK_NOFOLLOW);
	case LIST_SOME:
		return list_some(ask->fd, told);
	case XATTR:
		return (int)fgetxattr(ask->fd, ask->path, told->text, sizeof(told->text) - 1);
	case WATCH:
		return watch(mnt, ask->path);
	case EVENT:
		return next_event(ask->fd, told);
	case REMOVE:
		return unlinkat(mnt, ask->path, ask->flags);
	case TMPFILE:
		return openat(mnt, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	case CHMOD:
		return fchmodat(mnt, ask->path, 0777, 0);
	case PING:
		return 0;
	}
	return -1;
}

static inline void container_main(int sock, int fuse)
{
	int mnt = make_mount(fuse);
	struct ask ask;
	char byte = 0;

	if (mnt < 0 || io_send(sock, &byte, 1, &mnt, 1, 0) != 1)
		_exit(1);
	close(fuse);
	while (recv(sock, &ask, sizeof(ask), 0) == sizeof(ask)) {
		struct told told = { 0 };

		errno = 0;
		told.result = perform(mnt, &ask, &told);
		if (told.result < 0)
			told.result = -errno;
		if (send(sock, &told, sizeof(told), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static inline void container_start(void)
{
	int pair[2];
	size_t nfds = 1;
	char byte;

	box.fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	fake_must(box.fuse >= 0, "/dev/fuse");
	fake_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	fake_must(unshare(CLONE_NEWPID) == 0, "unshare (root is needed)");
	box.pid = fork();
	fake_must(box.pid >= 0, "fork");
	if (box.pid == 0) {
		close(pair[0]);
		container_main(pair[1], box.fuse);
	}
	close(pair[1]);
	box.sock = pair[0];
	fake_must(io_recv(box.sock, &byte, 1, &box.mnt, &nfds, 0) == 1 && nfds == 1, "the mount");
	/* Further children, the worker and attachers, are the host's again. */
	int host = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	fake_must(host >= 0 && setns(host, CLONE_NEWPID) == 0, "back to the host's pid namespace");
	close(host);
}

static inline void tell_container(enum task task, int fd, int flags, const char *path)
{
	struct ask ask = { .task = task, .fd = fd, .flags = flags };

	snprintf(ask.path, sizeof(ask.path), "%s", path);
	fake_must(send(box.sock, &ask, sizeof(ask), MSG_NOSIGNAL) == sizeof(ask),
	          "ask the container");
}

static inline struct told hear_container(void)
{
	struct pollfd wait = { .fd = box.sock, .events = POLLIN };
	struct told told;

	ck_assert_msg(poll(&wait, 1, FAKE_WAIT_MS) == 1, "the container hangs");
	fake_must(recv(box.sock, &told, sizeof(told), 0) == sizeof(told), "hear the container");
	return told;
}

static inline struct told inside(enum task task, int fd, int flags, const char *path)
{
	tell_container(task, fd, flags, path);
	return hear_container();
}

static inline int inside_open(const char *path)
{
	return inside(OPEN, 0, O_RDONLY, path).result;
}

static inline void assert_holds(int fd, const char *value)
{
	struct told told = inside(PREAD, fd, 0, "");

	ck_assert_msg(told.result >= 0, "read: %s", strerror(-told.result));
	ck_assert_str_eq(told.text, value);
}

static inline void assert_reads(const char *path, const char *value)
{
	int fd = inside_open(path);

	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(-fd));
	assert_holds(fd, value);
	inside(CLOSE, fd, 0, "");
}

static inline void send_tree(void)
{
	fake_root(&broker);
	fake_file(&broker, 2, 1, "db-password", "version one");
	fake_node(&broker, 3, 1, NODE_DIR, "tls", "");
	fake_file(&broker, 4, 3, "cert", "certificate");
	fake_node(&broker, 5, 1, NODE_PLACEHOLDER_DIR, "kubernetes.io", "");
	fake_node(&broker, 6, 1, NODE_SYMLINK, "link", "tls/cert");
}

static inline void send_mount(uint32_t resume)
{
	const struct wr_mount mount = { .resume = resume };

	fake_send_raw(&broker, WR_MOUNT, &mount, sizeof(mount), &box.fuse, 1);
	ck_assert_int_eq(fake_result(&broker, WR_MOUNTED), 0);
}

static inline void start(uint32_t flags)
{
	fake_start(&broker);
	fake_hello(&broker, flags);
	send_tree();
	send_mount(RESUME_NOT);
}

static inline void successor(void)
{
	fake_start(&broker);
	fake_hello(&broker, 0);
	send_tree();
	send_mount(RESUME_SERVE);
}

static inline void set_up(void)
{
	fake_init(&broker);
	container_start();
}

static inline void tear_down(void)
{
	kill(box.pid, SIGKILL);
	close(box.mnt);
	close(box.fuse);
	waitpid(box.pid, NULL, 0);
	fake_end(&broker);
}

/* What an attacher's child does. */
static inline int move(const char *id, const char *name)
{
	char from[128];

	snprintf(from, sizeof(from), "%s/%s", FAKE_STAGING, id);
	return renameat(box.mnt, from, box.mnt, name) < 0 ? -errno : 0;
}

static inline void drop_pages(uint64_t node)
{
	struct {
		struct fuse_out_header head;
		struct fuse_notify_inval_inode_out inode;
	} drop = { { sizeof(drop), FUSE_NOTIFY_INVAL_INODE, 0 }, { node, 0, 0 } };
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(write(box.fuse, &drop, sizeof(drop)) == sizeof(drop) ? 0 : 1);
	fake_must(waitpid(child, &status, 0) == child && status == 0, "drop pages");
}

static inline void wait_released(uint64_t id)
{
	const struct wr_released *released = fake_expect(&broker, WR_RELEASED);

	ck_assert_uint_eq(released->node, id);
}
