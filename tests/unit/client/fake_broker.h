/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_broker.h - a broker for tests of its clients: a process that answers calls by a table and
 * writes down what it was asked.
 *
 *	DIR/operator.sock    the socket
 *	DIR/log              one line for each call: its JSON, then " VALUE" for each descriptor
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/secret.h"
#include "coffer/varlink.h"

#define FAKE_CONNECTIONS 8
#define FAKE_TEXT_MAX 65536
#define FAKE_FDS_MAX 128

struct fake_row {
	const char *method; /* "Put"; the row is used for the n-th call of it, the last one for the
	                       rest */
	const char *reply;  /* JSON; NULL: hang up */
	const char *value;  /* goes beside the reply as a memfd */
	const char *first;  /* JSON that is sent before `reply`: a stream of two */
	bool hold;          /* answer only after the next call of another connection was answered */
};

struct fake_broker {
	const struct fake_row *rows; /* ended by a row without a method */
	int listener, log;
	int conn[FAKE_CONNECTIONS];
	unsigned used; /* rows used up, a bit each */
	int held_conn;
	const struct fake_row *held;
};

static inline const struct fake_row *fake_find(struct fake_broker *f, const char *method)
{
	const char *name = strrchr(method, '.') + 1;
	const struct fake_row *found = NULL;

	for (size_t i = 0; f->rows[i].method; i++) {
		if (strcmp(f->rows[i].method, name) != 0)
			continue;
		found = &f->rows[i];
		if (!(f->used & (1u << i))) {
			f->used |= 1u << i;
			break;
		}
	}
	return found;
}

static inline void fake_answer(int conn, const struct fake_row *row)
{
	struct secret *value = row->value ? secret_copy(row->value, strlen(row->value)) : NULL;
	SCOPED_FD int fd = value ? secret_to_memfd(value) : -1;

	secret_free(value);
	if (row->first)
		(void)io_send(conn, row->first, strlen(row->first) + 1, NULL, 0, 0);
	if (row->reply)
		(void)io_send(conn, row->reply, strlen(row->reply) + 1, &fd, fd >= 0, 0);
	else
		(void)shutdown(conn, SHUT_RDWR);
}

static inline void fake_write_down(const struct fake_broker *f, const char *text, const int *fds,
                                   size_t nfds)
{
	dprintf(f->log, "%s", text);
	for (size_t i = 0; i < nfds; i++) {
		struct secret *value = NULL;

		if (secret_from_fd(fds[i], SECRET_VALUE_MAX, &value) == 0)
			dprintf(f->log, " %.200s", (const char *)value->bytes);
		secret_free(value);
		close(fds[i]);
	}
	dprintf(f->log, "\n");
}

/* One message, which our clients send in one piece unless it is very long. */
static inline void fake_serve(struct fake_broker *f, int *conn)
{
	static char text[FAKE_TEXT_MAX];
	int fds[FAKE_FDS_MAX];
	size_t nfds = FAKE_FDS_MAX;
	struct varlink_call call;
	const struct fake_row *row = NULL;
	ssize_t n = io_recv(*conn, text, sizeof(text), fds, &nfds, 0);

	if (n <= 0) {
		*conn = fd_close(*conn);
		return;
	}
	fake_write_down(f, text, fds, nfds);
	if (varlink_parse_call(text, (size_t)n - 1, &call, NULL) < 0)
		_exit(2);
	row = fake_find(f, call.method);
	varlink_call_clear(&call);
	if (!row)
		_exit(3);
	if (row->hold) {
		f->held = row;
		f->held_conn = *conn;
		return;
	}
	fake_answer(*conn, row);
	if (f->held) {
		fake_answer(f->held_conn, f->held);
		f->held = NULL;
	}
}

static inline void fake_loop(struct fake_broker *f)
{
	for (;;) {
		struct pollfd pfd[FAKE_CONNECTIONS + 1] = { { f->listener, POLLIN, 0 } };
		int free_slot = -1;

		for (int i = 0; i < FAKE_CONNECTIONS; i++) {
			pfd[i + 1] = (struct pollfd){ f->conn[i], POLLIN, 0 };
			if (f->conn[i] < 0)
				free_slot = i;
		}
		if (poll(pfd, FAKE_CONNECTIONS + 1, -1) < 0)
			_exit(4);
		for (int i = 0; i < FAKE_CONNECTIONS; i++)
			if (pfd[i + 1].revents)
				fake_serve(f, &f->conn[i]);
		if (pfd[0].revents && free_slot >= 0)
			f->conn[free_slot] = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	}
}

/* Listens when it returns. End it with fake_stop. */
static inline pid_t fake_start(const char *dir, const struct fake_row *rows)
{
	struct fake_broker f = { .rows = rows };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[128];
	pid_t pid = 0;

	snprintf(path, sizeof(path), "%s/log", dir);
	f.log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/operator.sock", dir);
	f.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(f.log, 0);
	ck_assert_int_eq(bind(f.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(f.listener, FAKE_CONNECTIONS), 0);
	for (int i = 0; i < FAKE_CONNECTIONS; i++)
		f.conn[i] = -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fake_loop(&f);
	}
	close(f.listener);
	close(f.log);
	return pid;
}

static inline void fake_stop(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status), "the fake broker ended with %d", WEXITSTATUS(status));
}

/* What was asked so far. Caller frees. */
static inline char *fake_log(const char *dir)
{
	char path[128], *text = NULL;
	size_t len = 0;

	snprintf(path, sizeof(path), "%s/log", dir);
	ck_assert_int_eq(io_read_file(AT_FDCWD, path, 4 * 1024 * 1024, &text, &len), 0);
	return text;
}
