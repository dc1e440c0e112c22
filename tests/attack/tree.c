/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks by way of the mount: writes, guesses, namespaces, floods.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "attacker.h"

#define STAGING ".coffer-00000000000000000000000000000000"

/* ---- every call that would change something ---- */

static int dir;                  /* the folder */
static const char *name, *other; /* two files in it */

static int opened(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd;
}

static int on_file(int (*change)(int fd))
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), r, error;

	if (fd < 0)
		die_errno(name);
	r = change(fd);
	error = errno;
	close(fd);
	errno = error;
	return r;
}

static int fd_truncate(int fd)
{
	return ftruncate(fd, 0);
}
static int fd_write(int fd)
{
	return (int)write(fd, "x", 1);
}
static int fd_chmod(int fd)
{
	return fchmod(fd, 04777);
}
static int fd_chown(int fd)
{
	return fchown(fd, 1, 1);
}
static int fd_times(int fd)
{
	return futimens(fd, NULL);
}
static int fd_setxattr(int fd)
{
	return fsetxattr(fd, "user.x", "x", 1, 0);
}
static int fd_removexattr(int fd)
{
	return fremovexattr(fd, "user.coffer.version");
}
static int fd_allocate(int fd)
{
	return fallocate(fd, 0, 0, 4096);
}
static int fd_copy(int fd)
{
	return (int)copy_file_range(fd, NULL, fd, NULL, 1, 0);
}

static int fd_flags(int fd)
{
	int flags = FS_IMMUTABLE_FL;

	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static int fd_map(int fd)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? -1 : 0;
}

static int try_open_write(void)
{
	return opened(openat(dir, name, O_WRONLY));
}
static int try_open_both(void)
{
	return opened(openat(dir, name, O_RDWR));
}
static int try_open_trunc(void)
{
	return opened(openat(dir, name, O_RDONLY | O_TRUNC));
}
static int try_open_append(void)
{
	return opened(openat(dir, name, O_WRONLY | O_APPEND));
}
static int try_create(void)
{
	return opened(openat(dir, "new", O_CREAT | O_WRONLY, 0600));
}
static int try_tmpfile(void)
{
	return opened(openat(dir, ".", O_TMPFILE | O_RDWR, 0600));
}
static int try_write(void)
{
	return on_file(fd_write);
}
static int try_ftruncate(void)
{
	return on_file(fd_truncate);
}
static int try_fchmod(void)
{
	return on_file(fd_chmod);
}
static int try_fchown(void)
{
	return on_file(fd_chown);
}
static int try_futimens(void)
{
	return on_file(fd_times);
}
static int try_setxattr(void)
{
	return on_file(fd_setxattr);
}
static int try_removexattr(void)
{
	return on_file(fd_removexattr);
}
static int try_fallocate(void)
{
	return on_file(fd_allocate);
}
static int try_copy(void)
{
	return on_file(fd_copy);
}
static int try_setflags(void)
{
	return on_file(fd_flags);
}
static int try_map(void)
{
	return on_file(fd_map);
}
static int try_unlink(void)
{
	return unlinkat(dir, name, 0);
}
static int try_rmdir(void)
{
	return unlinkat(dir, name, AT_REMOVEDIR);
}
static int try_rename(void)
{
	return renameat(dir, name, dir, "renamed");
}
static int try_link(void)
{
	return linkat(dir, name, dir, "linked", 0);
}
static int try_symlink(void)
{
	return symlinkat("/etc", dir, "symlink");
}
static int try_mkdir(void)
{
	return mkdirat(dir, "folder", 0700);
}
static int try_mknod(void)
{
	return mknodat(dir, "node", S_IFREG | 0600, 0);
}
static int try_fifo(void)
{
	return mkfifoat(dir, "fifo", 0600);
}
static int try_chmod(void)
{
	return fchmodat(dir, name, 0777, 0);
}
static int try_chown(void)
{
	return fchownat(dir, name, 1, 1, 0);
}
static int try_chmod_folder(void)
{
	return fchmod(dir, 0777);
}
static int try_setxattr_folder(void)
{
	return fsetxattr(dir, "user.x", "x", 1, 0);
}
static int try_make_staging(void)
{
	return mkdirat(dir, STAGING, 0700);
}
static int try_enter_staging(void)
{
	return opened(openat(dir, STAGING, O_PATH));
}
static int try_rename_staged(void)
{
	return renameat(dir, STAGING "/2", dir, name);
}
static int try_rename_to_staging(void)
{
	return renameat(dir, name, dir, STAGING);
}

static int try_exchange(void)
{
	return (int)syscall(SYS_renameat2, dir, name, dir, other, RENAME_EXCHANGE);
}

static int try_whiteout(void)
{
	return (int)syscall(SYS_renameat2, dir, name, dir, "whiteout", RENAME_WHITEOUT);
}

static const struct {
	const char *what;
	int (*run)(void);
} writes[] = {
	{ "open-write", try_open_write },
	{ "open-both", try_open_both },
	{ "open-trunc", try_open_trunc },
	{ "open-append", try_open_append },
	{ "create", try_create },
	{ "tmpfile", try_tmpfile },
	{ "write", try_write },
	{ "ftruncate", try_ftruncate },
	{ "fchmod", try_fchmod },
	{ "fchown", try_fchown },
	{ "futimens", try_futimens },
	{ "setxattr", try_setxattr },
	{ "removexattr", try_removexattr },
	{ "fallocate", try_fallocate },
	{ "copy_file_range", try_copy },
	{ "setflags", try_setflags },
	{ "map-shared", try_map },
	{ "unlink", try_unlink },
	{ "rmdir", try_rmdir },
	{ "rename", try_rename },
	{ "exchange", try_exchange },
	{ "whiteout", try_whiteout },
	{ "link", try_link },
	{ "symlink", try_symlink },
	{ "mkdir", try_mkdir },
	{ "mknod", try_mknod },
	{ "mkfifo", try_fifo },
	{ "chmod", try_chmod },
	{ "chown", try_chown },
	{ "chmod-folder", try_chmod_folder },
	{ "setxattr-folder", try_setxattr_folder },
	{ "make-staging", try_make_staging },
	{ "enter-staging", try_enter_staging },
	{ "rename-staged", try_rename_staged },
	{ "rename-to-staging", try_rename_to_staging },
};

int cmd_writes(int argc, char **argv)
{
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	name = argv[2];
	other = argv[3];
	if (dir < 0)
		die_errno(argv[1]);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		print_result(writes[i].what, writes[i].run() < 0 ? errno : 0);
	return 0;
}

/* ---- guesses ---- */

/* A file handle of FUSE is the node id, high half first, and its generation. */
int cmd_handles(int argc, char **argv)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle.handle_bytes = MAX_HANDLE_SZ };
	long last = atol(argv[2]), opens = 0;
	int mount_id, root = open(argv[1], O_RDONLY | O_CLOEXEC);

	if (root < 0 || name_to_handle_at(AT_FDCWD, argv[1], &u.handle, &mount_id, 0) < 0)
		die_errno(argv[1]);
	for (long ino = 1; ino <= last; ino++) {
		uint32_t words[2] = { (uint32_t)((uint64_t)ino >> 32), (uint32_t)ino };
		char bytes[256];
		ssize_t n;
		int fd;

		memcpy(u.handle.f_handle, words, sizeof(words));
		fd = open_by_handle_at(root, &u.handle, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno == EPERM)
			die_errno("open_by_handle_at");
		if (fd < 0)
			continue;
		opens++;
		n = read(fd, bytes, sizeof(bytes));
		if (n > 0)
			printf("bytes %.*s\n", (int)n, bytes);
		close(fd);
	}
	printf("opens %ld\n", opens);
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The shortest of all rounds: what is left when nothing else comes between. */
int cmd_compare(int argc, char **argv)
{
	int64_t best[2] = { INT64_MAX, INT64_MAX };
	int error[2] = { 0, 0 };

	for (long round = 0; round < atol(argv[1]); round++)
		for (int i = 0; i < 2; i++) {
			int64_t start = now_ns(), took;
			int fd = open(argv[2 + i], O_RDONLY | O_CLOEXEC);

			error[i] = fd < 0 ? errno : 0;
			took = now_ns() - start;
			if (took < best[i])
				best[i] = took;
			if (fd >= 0)
				close(fd);
		}
	for (int i = 0; i < 2; i++)
		printf("%s %s %lld ns\n", i ? "second" : "first",
		       error[i] ? strerrorname_np(error[i]) : "opened", (long long)best[i]);
	return 0;
}

/* ---- namespaces ---- */

static void print_file(const char *what, const char *path)
{
	char bytes[4096];

	errno = 0;
	read_whole(path, bytes, sizeof(bytes));
	printf("%s %s\n", what, bytes[0] ? bytes : strerrorname_np(errno));
	fflush(stdout);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die_errno(path);
	close(fd);
}

static void try_remounts(const char *folder)
{
	static const struct {
		const char *what;
		unsigned long flags;
	} ways[] = {
		{ "remount-bind", MS_REMOUNT | MS_BIND },
		{ "remount", MS_REMOUNT },
		{ "remount-suid", MS_REMOUNT | MS_BIND | MS_RDONLY },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		print_result(ways[i].what,
		             mount(NULL, folder, NULL, ways[i].flags, NULL) < 0 ? errno : 0);
	if (mount(folder, "/tmp", NULL, MS_BIND, NULL) < 0)
		print_result("bind", errno);
	else
		print_result("remount-of-bind",
		             mount(NULL, "/tmp", NULL, MS_REMOUNT | MS_BIND, NULL) < 0 ? errno : 0);
}

/* As root of new user, mount and pid namespaces. */
int cmd_nested(int argc, char **argv)
{
	char answer[ANSWER_MAX];
	pid_t child;
	int status;

	if (unshare(CLONE_NEWUSER) < 0)
		die_errno("a user namespace");
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", "0 0 1");
	write_text("/proc/self/gid_map", "0 0 1");
	if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0 || (child = fork()) < 0)
		die_errno("mount and pid namespaces");
	if (child == 0) {
		print_file("file", argv[2]);
		print_answer("identity", answer,
		             call(connect_to(argv[1]), "Identity", "{}", answer, sizeof(answer)));
		try_remounts(argv[3]);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int cmd_swap(int argc, char **argv)
{
	for (;;)
		if (syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) <
		            0 &&
		    errno != EBUSY)
			die_errno("exchange");
}

/* ---- floods ---- */

#define FLOODERS 4

int cmd_opens(int argc, char **argv)
{
	long count = atol(argv[2]) / FLOODERS, failed = 0;
	int status;

	for (int i = 0; i < FLOODERS; i++)
		if (fork() == 0) {
			for (long n = 0; n < count; n++) {
				int fd = open(argv[1], O_RDONLY | O_CLOEXEC);

				if (fd < 0)
					_exit(1);
				close(fd);
			}
			_exit(0);
		}
	while (wait(&status) > 0)
		failed += status != 0;
	printf("opens %ld\nfailed %ld\n", count * FLOODERS, failed);
	return 0;
}

/* Processes until none more fits, held until our input ends. */
int cmd_fill(int argc, char **argv)
{
	long count = 0;
	char byte;
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	while ((pid = fork()) > 0)
		count++;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	printf("full %ld %s\n", count, strerrorname_np(errno));
	fflush(stdout);
	(void)!read(STDIN_FILENO, &byte, 1);
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(NULL) > 0) /* or the container's first process gets them, and need not reap */
		;
	return 0;
}

/* SIGSTOP spares the sender and the namespace's first process, nobody else. */
int cmd_halt(int argc, char **argv)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	long rounds = 0;

	printf("halting\n");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		for (int i = 0; i < 1000; i++, rounds++)
			kill(-1, SIGSTOP);
	kill(-1, SIGCONT);
	printf("halted %ld times\n", rounds);
	return 0;
}
