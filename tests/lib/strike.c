/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strike SPAWNER CALL N MOMENT WHAT - let the N-th call CALL of the attachers fail, or end it there.
 *
 * Follows the spawner's children (and theirs) by ptrace, never the spawner's own calls; a child that
 * becomes a worker is let go. CALL is a name of the table below. MOMENT is "entry" (nothing was done
 * yet) or "exit" (it was done, and nobody heard of it). WHAT is "kill" or an error to be given
 * instead of doing it (entry only; x86-64 only). Prints "ready", then "struck" when it has; at the
 * end of its input it says "passed" instead if there was no N-th, and ends: what it followed goes on.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLLOW                                                                                    \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_TRACEEXEC)
#define IS_EVENT(status, event) ((status) >> 8 == (SIGTRAP | (event) << 8))

static const struct {
	const char *name;
	uint64_t number;
} calls[] = {
	{ "fsopen", SYS_fsopen },
	{ "fsconfig", SYS_fsconfig },
	{ "fsmount", SYS_fsmount },
	{ "open_tree", SYS_open_tree },
	{ "mount_setattr", SYS_mount_setattr },
	{ "move_mount", SYS_move_mount },
	{ "openat2", SYS_openat2 },
	{ "setns", SYS_setns },
	{ "unshare", SYS_unshare },
	{ "mount", SYS_mount },
	{ "umount2", SYS_umount2 },
	{ "clone", SYS_clone },
	{ "mkdirat", SYS_mkdirat },
#ifdef SYS_renameat
	{ "renameat", SYS_renameat },
#endif
	{ "renameat2", SYS_renameat2 },
	{ "unlinkat", SYS_unlinkat },
	{ "write", SYS_write },
	{ "sendmsg", SYS_sendmsg },
	{ "statx", SYS_statx },
};

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "EPERM", EPERM },   { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },
	{ "EMFILE", EMFILE }, { "EIO", EIO },
};

struct strike {
	pid_t spawner;
	uint64_t call;
	long left; /* calls to go */
	bool at_exit;
	int error;    /* 0: kill */
	pid_t target; /* of an error whose call has been entered */
	pid_t caller; /* whose N-th call is under way: struck at its exit */
	bool done;
};

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "strike: %s\n", what);
	exit(2);
}

static void hit(struct strike *s)
{
	s->done = true;
	printf("struck\n");
	fflush(stdout);
}

#ifdef __x86_64__
/* The call is made one that does not exist; its answer becomes the error. */
static void spoil(pid_t pid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
		die("cannot read the registers");
	regs.orig_rax = (unsigned long long)-1;
	if (ptrace(PTRACE_SETREGS, pid, 0, &regs) < 0)
		die("cannot write the registers");
}

static void give(pid_t pid, int error)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
		die("cannot read the registers");
	regs.rax = (unsigned long long)-error;
	if (ptrace(PTRACE_SETREGS, pid, 0, &regs) < 0)
		die("cannot write the registers");
}
#else
static void spoil(pid_t pid)
{
	die("errors can be given on x86-64 only");
}

static void give(pid_t pid, int error)
{
}
#endif

static void on_entry(struct strike *s, pid_t pid, uint64_t number)
{
	if (number != s->call || --s->left != 0)
		return;
	if (s->at_exit) {
		s->caller = pid;
	} else if (s->error) {
		spoil(pid);
		s->target = pid;
	} else {
		kill(pid, SIGKILL);
		hit(s);
	}
}

static void on_exit_of_call(struct strike *s, pid_t pid)
{
	if (pid == s->target) {
		give(pid, s->error);
		hit(s);
	} else if (pid == s->caller) {
		kill(pid, SIGKILL);
		hit(s);
	}
}

static void on_call(struct strike *s, pid_t pid)
{
	struct __ptrace_syscall_info info = { 0 };

	if (s->done || ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) <= 0)
		return; /* it has just been killed */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		on_entry(s, pid, info.entry.nr);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		on_exit_of_call(s, pid);
}

static void on_stop(struct strike *s, pid_t pid, int status)
{
	int signal = WSTOPSIG(status);
	bool ours = pid != s->spawner;

	if (IS_EVENT(status, PTRACE_EVENT_EXEC)) { /* a worker */
		ptrace(PTRACE_DETACH, pid, 0, 0);
		return;
	}
	if (signal == (SIGTRAP | 0x80)) {
		on_call(s, pid);
		signal = 0;
	} else if (status >> 16) { /* it has forked, or is new, or was stopped */
		signal = 0;
	}
	ptrace(ours && !s->done ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, (void *)(size_t)signal);
}

static void follow(struct strike *s, int signals)
{
	struct pollfd polls[] = { { .fd = STDIN_FILENO, .events = POLLIN },
		                  { .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	for (;;) {
		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			die("cannot wait");
		if (polls[1].revents && read(signals, &info, sizeof(info)) < 0)
			die("cannot read signals");
		while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
			if (WIFSTOPPED(status))
				on_stop(s, pid, status);
		if (polls[0].revents)
			return;
	}
}

static void take_arguments(struct strike *s, char **argv)
{
	bool known = false;

	s->spawner = (pid_t)atoi(argv[1]);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, argv[2]) == 0) {
			s->call = calls[i].number;
			known = true;
		}
	s->left = atol(argv[3]);
	s->at_exit = strcmp(argv[4], "exit") == 0;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, argv[5]) == 0)
			s->error = errors[i].number;
	if (!known || s->left < 1 || (!s->error && strcmp(argv[5], "kill") != 0) ||
	    (s->error && s->at_exit))
		die("unknown call, number or deed");
}

int main(int argc, char **argv)
{
	struct strike s = { 0 };
	sigset_t children;
	int signals;

	if (argc != 6)
		die("SPAWNER CALL N entry|exit kill|ERROR");
	take_arguments(&s, argv);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	signals = signalfd(-1, &children, SFD_CLOEXEC);
	if (signals < 0 || ptrace(PTRACE_SEIZE, s.spawner, 0, FOLLOW) < 0)
		die("cannot follow the spawner");
	printf("ready\n");
	fflush(stdout);
	follow(&s, signals);
	if (!s.done)
		printf("passed\n");
	return 0;
}
