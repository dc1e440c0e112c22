/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's own sandbox, entered for real, and then every way out of it tried, each in a process
 * of its own. Prints "CALL: how it ended". To be run as the user that workers have.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

#define CHANNEL 3
#define ALLOWED 100 /* the control: what serving needs still works */

static pid_t parent;

static long to_open(void)
{
	return open("/etc/hostname", O_RDONLY);
}
static long to_openat2(void)
{
	return syscall(SYS_openat2, AT_FDCWD, "/etc/hostname", NULL, 0);
}
static long to_create(void)
{
	return open("/tmp/coffer-probe", O_CREAT | O_WRONLY, 0600);
}
static long to_unlink(void)
{
	return unlink("/tmp/coffer-probe");
}
static long to_connect(void)
{
	return connect(CHANNEL, NULL, 0);
}
static long to_fork(void)
{
	return fork();
}
static long to_ptrace(void)
{
	return ptrace(PTRACE_SEIZE, parent, NULL, NULL);
}
static long to_kill(void)
{
	return kill(parent, 0);
}
static long to_setns(void)
{
	return setns(CHANNEL, 0);
}
static long to_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}
static long to_mount(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL);
}
static long to_setuid(void)
{
	return setuid(0);
}
static long to_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static long to_memfd(void)
{
	return memfd_create("x", 0);
}
static long to_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}
static long to_userfault(void)
{
	return syscall(SYS_userfaultfd, 0);
}
static long to_keyctl(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}
static long to_perf(void)
{
	return syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0);
}
static long to_steal(void)
{
	return syscall(SYS_pidfd_getfd, CHANNEL, 0, 0);
}
static long to_process_madvise(void)
{
	return syscall(SYS_process_madvise, CHANNEL, 0, 0, 0, 0);
}
static long to_dup(void)
{
	return fcntl(CHANNEL, F_DUPFD, 0);
}
static long to_tiocsti(void)
{
	return syscall(SYS_ioctl, 0, 0x5412, "x");
}
static long to_stat(void)
{
	return syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", NULL, 0);
}
static long to_write(void)
{
	return write(CHANNEL, "x", 1);
}

static long to_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long to_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long to_exec(void)
{
	char *const none[] = { NULL };

	return execve("/bin/true", none, none);
}

static long to_read_memory(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { &parent, 1 };

	return process_vm_readv(parent, &here, 1, &there, 1, 0);
}

static long to_ring(void)
{
	struct io_uring_params parameters = { 0 };

	return syscall(SYS_io_uring_setup, 1, &parameters);
}

/* Code of its own: memory that can be executed. */
static long to_map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	                       MAP_FAILED
	               ? -1
	               : 0;
}

static long to_make_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

/* The system call numbers of 32-bit programs. */
static long to_int80(void)
{
#ifdef __x86_64__
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory"); /* getpid */
	return result;
#else
	return -1;
#endif
}

static const struct {
	const char *name;
	long (*run)(void);
} calls[] = {
	{ "open", to_open },
	{ "openat2", to_openat2 },
	{ "create", to_create },
	{ "unlink", to_unlink },
	{ "stat", to_stat },
	{ "socket", to_socket },
	{ "unix-socket", to_unix_socket },
	{ "connect", to_connect },
	{ "execve", to_exec },
	{ "fork", to_fork },
	{ "ptrace", to_ptrace },
	{ "process_vm_readv", to_read_memory },
	{ "process_madvise", to_process_madvise },
	{ "pidfd_getfd", to_steal },
	{ "kill", to_kill },
	{ "setns", to_setns },
	{ "unshare", to_unshare },
	{ "mount", to_mount },
	{ "setuid", to_setuid },
	{ "set-dumpable", to_dumpable },
	{ "memfd_create", to_memfd },
	{ "bpf", to_bpf },
	{ "userfaultfd", to_userfault },
	{ "keyctl", to_keyctl },
	{ "perf_event_open", to_perf },
	{ "io_uring_setup", to_ring },
	{ "map-executable", to_map_code },
	{ "make-executable", to_make_code },
	{ "dup", to_dup },
	{ "tiocsti", to_tiocsti },
	{ "int80", to_int80 },
	{ "CONTROL", to_write },
};

static void report(const char *name, int status)
{
	if (WIFSIGNALED(status))
		printf("%s: ended by SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		printf("%s: SUCCEEDED\n", name);
	else if (WEXITSTATUS(status) == ALLOWED)
		printf("%s: no sandbox\n", name);
	else
		printf("%s: %s\n", name, strerrorname_np(WEXITSTATUS(status)));
}

int main(void)
{
	int pair[2], peer, status;
	struct err e;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parent = getpid();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 ||
	    (peer = fcntl(pair[0], F_DUPFD, CHANNEL + 10)) < 0 || dup2(pair[1], CHANNEL) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (sandbox_enter(CHANNEL, &e) < 0)
				_exit(ALLOWED);
			errno = 0;
			syscall(SYS_exit_group, calls[i].run() < 0 ? errno : 0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			return 1;
		report(calls[i].name, status);
	}
	return 0;
}
