/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker that was taken over can't do. Each row runs in a child behind sandbox_enter.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "sandbox.h"

#define NOT_ENTERED 99

static long try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long try_write(void)
{
	return open("/tmp/coffer-sandbox", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long try_exec(void)
{
	return execl("/bin/true", "true", NULL);
}

static long try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long try_read_memory(void)
{
	char byte;
	const struct iovec part = { &byte, 1 };

	return process_vm_readv(1, &part, 1, &part, 1, 0);
}

static long try_getfd(void)
{
	return syscall(SYS_pidfd_getfd, 0, 0, 0);
}

static long try_signal(void)
{
	return kill(1, 0);
}

static long try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	                       MAP_FAILED
	               ? -1
	               : 0;
}

static long try_make_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long try_ioctl(void)
{
	char byte = 'x';

	return ioctl(0, TIOCSTI, &byte);
}

static long try_dup_fd(void)
{
	return fcntl(0, F_DUPFD, 10);
}

static const struct row {
	const char *what;
	long (*try)(void);
	bool landlock; /* refused without seccomp too */
} rows[] = {
	{ "open a file", try_open, true },
	{ "make a file", try_write, true },
	{ "make a socket", try_socket, false },
	{ "run a program", try_exec, true },
	{ "fork", try_fork, false },
	{ "ptrace", try_ptrace, false },
	{ "read another's memory", try_read_memory, false },
	{ "take another's descriptor", try_getfd, false },
	{ "send a signal", try_signal, false },
	{ "map executable memory", try_code, false },
	{ "make memory executable", try_make_code, false },
	{ "type into a terminal", try_ioctl, false },
	{ "duplicate a descriptor", try_dup_fd, false },
};

#ifdef COFFER_SANITIZE
/* Without seccomp: what landlock holds by itself. */
static void assert_stopped(const struct row *row, int status)
{
	if (row->landlock)
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EACCES, "%s: status %d",
		              row->what, status);
}
#else
static void assert_stopped(const struct row *row, int status)
{
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %d", row->what,
	              status);
}
#endif

START_TEST(a_worker_can_do_nothing_but_serve)
{
	const struct row *row = &rows[_i];
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (sandbox_enter(3, NULL) < 0)
			_exit(NOT_ENTERED);
		_exit(row->try() < 0 ? errno : 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	assert_stopped(row, status);
}
END_TEST

START_TEST(inherited_descriptors_are_closed)
{
	int high = fcntl(0, F_DUPFD, 20), low = fcntl(0, F_DUPFD, 3), channel = 10, status;
	pid_t child;

	ck_assert_int_ge(high, 20);
	ck_assert_int_lt(low, channel);
	ck_assert_int_eq(dup2(0, channel), channel);
	child = fork();
	if (child == 0) {
		if (sandbox_enter(channel, NULL) < 0)
			_exit(NOT_ENTERED);
		_exit(fcntl(high, F_GETFL) < 0 && fcntl(low, F_GETFL) < 0 &&
		                      fcntl(channel, F_GETFL) >= 0
		              ? 0
		              : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sandbox");
	TCase *t = tcase_create("sandbox");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, a_worker_can_do_nothing_but_serve, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(t, inherited_descriptors_are_closed);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
