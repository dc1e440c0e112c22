/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/attach.h"
#include "attach/attacher.h"
#include "attach/sealed.h"
#include "attach/worker_start.h"
#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "coffer/log.h"

#define SOCK_FD 3       /* the spawner's socket, and in a child the one it was given */
#define ENTER_COPY_FD 4 /* a sealed copy of coffer-enter, if it could be had */
#define FIRST_OTHER_FD 5

struct spawner_state {
	int sock;
	struct attach_config config;
};

/* Children begin with ordinary signals whatever the spawner and cofferd did to theirs. */
static void reset_signals(void)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int signal = 1; signal < NSIG; signal++)
		sigaction(signal, &plain, NULL); /* fails for those that can't be caught anyway */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int null_to(int first, int last)
{
	SCOPED_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int fd = first; fd <= last; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	if (null <= last)
		null = -1; /* it is one of them now */
	return 0;
}

/* Descriptor `fd` becomes SOCK_FD (close-on-exec), and everything from `first` on goes. */
static int keep_only(int fd, unsigned int first)
{
	if (fd != SOCK_FD && dup3(fd, SOCK_FD, O_CLOEXEC) < 0)
		return -errno;
	return kern_close_range(first, ~0U, 0);
}

static void become_attacher(const struct spawner_state *s, int channel)
{
	int flags, r;

	reset_signals();
	r = keep_only(channel, s->config.enter_fd < 0 ? ENTER_COPY_FD : FIRST_OTHER_FD);
	if (r == 0)
		r = null_to(STDIN_FILENO, STDERR_FILENO);
	flags = fcntl(SOCK_FD, F_GETFL);
	if (r == 0 && (flags < 0 || fcntl(SOCK_FD, F_SETFL, flags & ~O_NONBLOCK) < 0))
		r = -errno;
	if (r < 0)
		attacher_failed(SOCK_FD, 0, r, "cannot prepare the attacher");
	_exit(r < 0 ? 1 : attacher_main(SOCK_FD, &s->config));
}

static int spawn_attacher(const struct spawner_state *s, int channel, pid_t *ret, struct err *e)
{
	pid_t pid = fork();

	if (pid == 0)
		become_attacher(s, channel);
	if (pid < 0)
		return err_errno(e, -errno, "cannot start an attacher");
	*ret = pid;
	return 0;
}

static int spawn_worker(const struct spawner_state *s, int channel, pid_t *ret, struct err *e)
{
	return worker_start(&s->config, channel, reset_signals, ret, e);
}

static const struct {
	uint16_t type;
	int (*spawn)(const struct spawner_state *s, int channel, pid_t *ret, struct err *e);
} requests[] = {
	{ AR_SPAWN_WORKER, spawn_worker },
	{ AR_SPAWN_ATTACHER, spawn_attacher },
};

/* Nobody else reaps, so the pid means the child until reap() runs: the pidfd is surely its own. */
static int answer(const struct spawner_state *s, uint64_t serial, pid_t pid)
{
	struct ar_spawned spawned = { .pid = pid };
	SCOPED_FD int pidfd = kern_pidfd_open(pid, 0);

	if (pidfd < 0) {
		kill(pid, SIGKILL);
		attacher_failed(s->sock, serial, pidfd, "cannot hold the process that was started");
		return 0;
	}
	return record_send(s->sock, AR_SPAWNED, serial, &spawned, sizeof(spawned), NULL, 0, &pidfd,
	                   1);
}

static int serve(const struct spawner_state *s, const struct record *r)
{
	struct err why = { "" };

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		pid_t pid = 0;
		int result;

		if (requests[i].type != r->type || r->nfds != 1 || r->len)
			continue;
		result = requests[i].spawn(s, r->fds[0], &pid, &why);
		if (result == 0)
			return answer(s, r->serial, pid);
		attacher_failed(s->sock, r->serial, result, why.text);
		return 0;
	}
	return -EBADMSG;
}

static void reap(int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* 1 while the broker is there, 0 when it is gone. */
static int take_request(const struct spawner_state *s)
{
	struct record r;
	int result = record_recv(s->sock, &r);

	if (result == -EAGAIN || result == -EINTR)
		return 1;
	if (result <= 0)
		return result == -ECONNRESET ? 0 : result;
	result = serve(s, &r);
	record_close_fds(&r);
	if (result == -EPIPE || result == -ECONNRESET)
		return 0;
	return result < 0 ? result : 1;
}

static int loop(const struct spawner_state *s, int signals)
{
	struct pollfd polls[] = { { .fd = s->sock, .events = POLLIN },
		                  { .fd = signals, .events = POLLIN } };
	int r = 1;

	while (r > 0) {
		if (poll(polls, ARRAY_LEN(polls), -1) < 0) {
			r = errno == EINTR ? 1 : -errno;
			continue;
		}
		if (polls[1].revents)
			reap(signals);
		if (polls[0].revents)
			r = take_request(s);
	}
	return r;
}

/* A broker without it is of little use, but serves what is mounted. */
static void hold_enter(struct attach_config *config)
{
	struct err why = { "" };
	SCOPED_FD int copy = sealed_program(config->enter_path, &why);

	if (copy >= 0 && copy != ENTER_COPY_FD) {
		int moved = dup3(copy, ENTER_COPY_FD, O_CLOEXEC);

		fd_close(copy);
		copy = moved;
	}
	config->enter_fd = TAKE_FD(copy);
	if (config->enter_fd < 0)
		log_warn("nothing can be mounted: %s", why.text);
}

/* Returns the descriptor that tells of children, or -errno. */
static int prepare(int sock, struct attach_config *config)
{
	const struct rlimit no_core = { 0, 0 };
	sigset_t children;
	int r;

	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 || chdir("/") < 0)
		return -errno;
	prctl(PR_SET_NAME, "coffer-spawner");
	reset_signals();
	r = keep_only(sock, ENTER_COPY_FD);
	if (r == 0)
		r = null_to(STDIN_FILENO, STDOUT_FILENO);
	if (r < 0)
		return r;
	hold_enter(config);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	/* cofferd's end is told by its socket, not by a ^C that the terminal sends to both. */
	if (signal(SIGINT, SIG_IGN) == SIG_ERR || signal(SIGTERM, SIG_IGN) == SIG_ERR ||
	    sigprocmask(SIG_BLOCK, &children, NULL) < 0)
		return -errno;
	r = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	return r < 0 ? -errno : r;
}

int spawner_main(int sock, const struct attach_config *config)
{
	struct spawner_state s = { .sock = SOCK_FD, .config = *config };
	int signals = prepare(sock, &s.config);
	int r = signals < 0 ? signals : loop(&s, signals);

	if (r < 0)
		log_error(
			"spawner: %s; no container can be attached until cofferd is started again",
			r == -EBADMSG ? "the broker asked for what it does not know"
				      : strerror(-r));
	fd_close(signals);
	return r < 0 ? r : 0;
}
