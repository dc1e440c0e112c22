/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"

#define QUESTION_MAX 320 /* a name of 255 bytes and some words */

/* What would leave the terminal without echo if it ended or stopped us. */
static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

struct silence {
	int in, signals; /* signals: a signalfd */
	struct termios before;
	sigset_t mask;
};

int prompt_terminal(struct err *e)
{
	int fd = -1;

	if (isatty(STDIN_FILENO))
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_set(e, -ENOTTY, "there is no terminal to ask on");
	return fd;
}

static int silence_begin(struct silence *s, int in, struct err *e)
{
	struct termios quiet;
	sigset_t set;

	if (tcgetattr(in, &s->before) < 0)
		return err_set(e, -ENOTTY, "there is no terminal to ask on");
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++)
		sigaddset(&set, caught[i]);
	s->in = in;
	s->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signals < 0)
		return err_errno(e, -errno, "cannot watch for signals");
	if (sigprocmask(SIG_BLOCK, &set, &s->mask) < 0) {
		s->signals = fd_close(s->signals);
		return err_errno(e, -errno, "cannot hold signals back");
	}
	quiet = s->before;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	quiet.c_lflag |= ICANON | ISIG;
	if (tcsetattr(in, TCSAFLUSH, &quiet) < 0) {
		int code = -errno;

		sigprocmask(SIG_SETMASK, &s->mask, NULL);
		s->signals = fd_close(s->signals);
		return err_errno(e, code, "cannot turn the terminal's echo off");
	}
	return 0;
}

static void silence_end(struct silence *s)
{
	tcsetattr(s->in, TCSADRAIN, &s->before);
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
	s->signals = fd_close(s->signals);
}

/* The next byte: 1, 0 at end of file, or -EINTR with the signal in *signal. */
static int next_byte(const struct silence *s, unsigned char *ret, int *signal)
{
	struct pollfd pfd[] = { { .fd = s->signals, .events = POLLIN },
		                { .fd = s->in, .events = POLLIN } };
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(pfd, ARRAY_LEN(pfd), -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (pfd[0].revents) {
			if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
				return -EIO;
			*signal = (int)info.ssi_signo;
			return -EINTR;
		}
		ssize_t n = read(s->in, ret, 1);

		if (n >= 0)
			return (int)n;
		if (errno != EINTR)
			return errno == EIO ? 0 : -errno; /* EIO: the terminal is gone */
	}
}

static int read_line(const struct silence *s, struct secret *line, int *signal, struct err *e)
{
	size_t len = 0;

	for (;;) {
		unsigned char byte = 0;
		int r = next_byte(s, &byte, signal);

		if (r < 0)
			return err_errno(e, r, "cannot read from the terminal");
		if (r == 0)
			return err_set(e, -ECANCELED, "nothing was entered: nothing was done");
		if (byte == '\n')
			break;
		if (len == line->len) {
			tcflush(s->in, TCIFLUSH);
			return err_set(e, -EFBIG,
			               "a terminal takes at most %d bytes: use a pipe or a file",
			               PROMPT_LINE_MAX);
		}
		line->bytes[len++] = byte;
		sodium_memzero(&byte, sizeof(byte));
	}
	secret_truncate(line, len);
	return 0;
}

static int ask(int out, const char *question, struct err *e)
{
	char text[QUESTION_MAX];
	int n = snprintf(text, sizeof(text), "%s: ", question);
	int r = io_write_all(out, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);

	return r < 0 ? err_errno(e, r, "cannot write to the terminal") : 0;
}

int prompt_secret(int in, int out, const char *question, struct secret **ret, struct err *e)
{
	for (;;) {
		SCOPED(secret_free_ptr) struct secret *line = secret_new(PROMPT_LINE_MAX);
		struct silence s;
		int signal = 0;
		int r = 0;

		if (!line)
			return err_set(
				e, -ENOMEM,
				"cannot lock memory for the answer: raise the limit (ulimit -l)");
		r = silence_begin(&s, in, e);
		if (r < 0)
			return r;
		r = ask(out, question, e);
		if (r == 0)
			r = read_line(&s, line, &signal, e);
		io_write_all(out, "\n", 1);
		silence_end(&s);
		if (signal) {
			raise(signal);
			if (signal == SIGTSTP) /* and goes on: the question is asked anew */
				continue;
			return err_set(e, -EINTR, "interrupted: nothing was done");
		}
		if (r < 0)
			return r;
		*ret = TAKE_PTR(line);
		return 0;
	}
}

int prompt_secret_twice(int in, int out, const char *question, struct secret **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *first = NULL;
	SCOPED(secret_free_ptr) struct secret *second = NULL;
	char again[QUESTION_MAX];
	int r = prompt_secret(in, out, question, &first, e);

	if (r < 0)
		return r;
	snprintf(again, sizeof(again), "%s, again", question);
	r = prompt_secret(in, out, again, &second, e);
	if (r < 0)
		return r;
	if (first->len != second->len || sodium_memcmp(first->bytes, second->bytes, first->len))
		return err_set(e, -EINVAL, "the two entries differ: nothing was done; try again");
	*ret = TAKE_PTR(first);
	return 0;
}
