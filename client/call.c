/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/name.h"
#include "coffer/times.h"
#include "coffer/varlink.h"

#define OPERATOR_INTERFACE "io.coffer.operator"
#define OPERATOR_SOCKET "operator.sock"
#define ERROR_NAME_MAX 64
#define TICK_MS 100
#define PATH_SHOWN_MAX 300 /* of a path in an error's sentence */

struct call {
	int sock, timeout_ms;
	void (*tick)(void *);
	void *tick_arg;
	struct varlink_buffer *buffer;
	int fds[IO_FDS_MAX];
	size_t nfds;
	char error[ERROR_NAME_MAX];
};

/* What the broker's errors are in errno; the other way round stands in its server. */
static const struct {
	const char *name;
	int code;
} error_codes[] = {
	{ "NotFound", -ENOENT },
	{ "Exists", -EEXIST },
	{ "Conflict", -EAGAIN },
	{ "Invalid", -EINVAL },
	{ "Denied", -EPERM },
	{ "Sealed", -ENOKEY },
	{ "Uninitialised", -ENODATA },
	{ "WrongKey", -EKEYREJECTED },
	{ "RolledBack", -ESTALE },
	{ "Damaged", -EBADMSG },
	{ "NoSpace", -ENOSPC },
	{ "AttachFailed", -ECHILD },
	{ "Busy", -EBUSY },
};

static void close_fds(struct call *c)
{
	for (size_t i = 0; i < c->nfds; i++)
		fd_close(c->fds[i]);
	c->nfds = 0;
}

struct call *call_adopt(int sock, int timeout_ms)
{
	struct call *c = calloc(1, sizeof(*c));

	if (c)
		c->buffer = varlink_buffer_new(CALL_MESSAGE_MAX);
	if (!c || !c->buffer) {
		fd_close(sock);
		free(c);
		return NULL;
	}
	c->sock = sock;
	c->timeout_ms = timeout_ms;
	return c;
}

void call_free(struct call *c)
{
	if (!c)
		return;
	close_fds(c);
	fd_close(c->sock);
	varlink_buffer_free(c->buffer);
	free(c);
}

void call_free_ptr(struct call **c)
{
	call_free(*c);
	*c = NULL;
}

void call_set_timeout(struct call *c, int timeout_ms)
{
	c->timeout_ms = timeout_ms;
}

void call_set_tick(struct call *c, void (*tick)(void *), void *arg)
{
	c->tick = tick;
	c->tick_arg = arg;
}

static int open_error(int code, const char *runtime_dir, struct err *e)
{
	char shown[PATH_SHOWN_MAX];

	name_escape(runtime_dir, strlen(runtime_dir), shown, sizeof(shown));
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
	case -ECONNREFUSED:
		return err_set(
			e, code == -ENOTDIR ? -ENOENT : code,
			"cannot reach the broker at %s/" OPERATOR_SOCKET
			": %s; is cofferd running? start it, or name its folder with --runtime-dir",
			shown, code == -ECONNREFUSED ? "nobody listens" : "no such file");
	case -EACCES:
		return err_set(e, code,
		               "cannot reach the broker at %s/" OPERATOR_SOCKET
		               ": permission denied; run as root or as a member of group coffer",
		               shown);
	case -EAGAIN:
		return err_set(e, -ETIMEDOUT,
		               "the broker at %s/" OPERATOR_SOCKET
		               " does not take connections; see its log",
		               shown);
	default:
		return err_errno(e, code, "cannot reach the broker at %s/" OPERATOR_SOCKET, shown);
	}
}

/* A folder with a name longer than a socket address holds is reached through a descriptor. */
static int connect_to(int sock, const char *runtime_dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	SCOPED_FD int dir = -1;
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" OPERATOR_SOCKET,
	                 runtime_dir);

	if (n < 0)
		return -EINVAL;
	if ((size_t)n >= sizeof(address.sun_path)) {
		dir = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return -errno;
		snprintf(address.sun_path, sizeof(address.sun_path),
		         "/proc/self/fd/%d/" OPERATOR_SOCKET, dir);
	}
	while (connect(sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int check_listener(int sock, struct err *e)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_errno(e, -errno, "cannot tell who listens on the operator socket");
	if (peer.uid != 0 && peer.uid != geteuid())
		return err_set(e, -EPERM,
		               "uid %u listens on the operator socket: it is not the broker, and "
		               "gets nothing",
		               peer.uid);
	return 0;
}

int call_open(const char *runtime_dir, int timeout_ms, struct call **ret, struct err *e)
{
	SCOPED_FD int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* a limit of 0 would be none at all */
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 + 1 };
	struct call *c = NULL;
	int r = 0;

	if (sock < 0)
		return err_errno(e, -errno, "cannot make a socket");
	/*
	 * SO_SNDTIMEO bounds connect(2) too, which otherwise waits on a broker that hangs with a
	 * full backlog.
	 */
	if (timeout_ms >= 0 && setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_errno(e, -errno, "cannot set a socket's time limit");
	r = connect_to(sock, runtime_dir);
	if (r < 0)
		return open_error(r, runtime_dir, e);
	r = check_listener(sock, e);
	if (r < 0)
		return r;
	c = call_adopt(TAKE_FD(sock), timeout_ms);
	if (!c)
		return err_errno(e, -ENOMEM, "cannot talk to the broker");
	*ret = c;
	return 0;
}

/* Wait until the socket is ready or the boot-time clock says `deadline` (ns; negative: never). */
static int wait_for(const struct call *c, short events, int64_t deadline, struct err *e)
{
	for (;;) {
		struct pollfd pfd = { .fd = c->sock, .events = events };
		int64_t left = deadline < 0 ? INT_MAX : (deadline - times_boottime()) / 1000000;
		int wait = left > 0 ? (int)left : 0, r = 0;

		if (c->tick && wait > TICK_MS)
			wait = TICK_MS;
		r = poll(&pfd, 1, !c->tick && deadline < 0 ? -1 : wait);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return err_errno(e, -errno, "cannot wait for the broker");
		if (c->tick)
			c->tick(c->tick_arg);
		if (r == 0 && wait >= left)
			return err_set(e, -ETIMEDOUT,
			               "the broker did not answer within %d s; see its log, and "
			               "coffer status",
			               c->timeout_ms / 1000);
	}
}

static int64_t deadline_of(const struct call *c)
{
	return c->timeout_ms < 0 ? -1 : times_boottime() + c->timeout_ms * (NS_PER_S / 1000);
}

/* A broker that refuses us hangs up without a byte, and says why only in its log. */
static int hung_up(struct err *e)
{
	return err_set(
		e, -ECONNRESET,
		"the broker hung up without an answer: it has ended, or it does not take you (it "
		"takes root and group coffer, on the host itself); see its log");
}

int call_send(struct call *c, const struct call_request *request, struct err *e)
{
	char method[sizeof(OPERATOR_INTERFACE) + ERROR_NAME_MAX];
	SCOPED(json_text_ptr) char *text = NULL;
	int64_t deadline = deadline_of(c);
	size_t sent = 0, len = 0;

	close_fds(c);
	if (request->nfds > IO_FDS_MAX)
		return err_set(e, -E2BIG, "more than %d values at once", IO_FDS_MAX);
	snprintf(method, sizeof(method), OPERATOR_INTERFACE ".%s", request->method);
	text = varlink_call_text(method, request->parameters, request->more);
	if (!text)
		return err_errno(e, -ENOMEM, "cannot put the question together");
	len = strlen(text) + 1;
	while (sent < len) {
		ssize_t n = io_send(c->sock, text + sent, len - sent, sent ? NULL : request->fds,
		                    sent ? 0 : request->nfds, MSG_DONTWAIT);
		int r = 0;

		if (n == -EPIPE || n == -ECONNRESET)
			return hung_up(e);
		if (n < 0 && n != -EAGAIN)
			return err_errno(e, (int)n, "cannot ask the broker");
		if (n > 0)
			sent += (size_t)n;
		else
			r = wait_for(c, POLLOUT, deadline, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Read until a whole message is there. */
static int receive(struct call *c, const char **ret, size_t *ret_len, struct err *e)
{
	int64_t deadline = deadline_of(c);

	while (varlink_buffer_next(c->buffer, ret, ret_len) == 0) {
		char *room = NULL;
		size_t size = 0, nfds = IO_FDS_MAX - c->nfds;
		ssize_t n = 0;
		int r = varlink_buffer_room(c->buffer, &room, &size);

		if (r < 0)
			return err_errno(e, r, "the broker's answer is too long");
		r = wait_for(c, POLLIN, deadline, e);
		if (r < 0)
			return r;
		n = io_recv(c->sock, room, size, c->fds + c->nfds, &nfds, MSG_DONTWAIT);
		if (n == 0 || n == -ECONNRESET)
			return hung_up(e);
		if (n == -EAGAIN)
			continue;
		if (n < 0)
			return err_errno(e, (int)n, "cannot read the broker's answer");
		c->nfds += nfds;
		varlink_buffer_filled(c->buffer, (size_t)n);
	}
	return 0;
}

static int take_error(struct call *c, const char *error, const json_t *parameters, struct err *e)
{
	const char *dot = strrchr(error, '.'), *message = NULL;
	char shown[ERROR_NAME_MAX];

	snprintf(c->error, sizeof(c->error), "%s", dot ? dot + 1 : error);
	if (json_get_string(parameters, "message", false, &message, NULL) < 0 || !message)
		err_set(e, -EREMOTEIO, "the broker answered %s",
		        name_escape(c->error, strlen(c->error), shown, sizeof(shown)));
	else
		err_set(e, -EREMOTEIO, "%s", message);
	for (size_t i = 0; i < ARRAY_LEN(error_codes); i++)
		if (strcmp(error_codes[i].name, c->error) == 0)
			return error_codes[i].code;
	return -EREMOTEIO;
}

int call_next(struct call *c, json_t **ret, bool *continues, struct err *e)
{
	SCOPED(json_ptr) json_t *message = NULL;
	json_t *parameters = NULL;
	const char *text = NULL, *error = NULL;
	bool more = false;
	size_t len = 0;
	int r = receive(c, &text, &len, e);

	c->error[0] = '\0';
	if (r < 0)
		return r;
	r = json_parse(text, len, &message, e);
	if (r == 0 && !json_is_object(message))
		r = err_set(e, -EINVAL, "it is no object");
	if (r == 0)
		r = json_get_string(message, "error", false, &error, e);
	if (r == 0)
		r = json_get_object(message, "parameters", false, &parameters, e);
	if (r == 0)
		r = json_get_bool(message, "continues", false, &more, e);
	if (r < 0)
		return err_prefix(e, -EBADMSG, "the broker's answer cannot be read");
	if (error)
		return take_error(c, error, parameters, e);
	*ret = parameters ? json_incref(parameters) : json_object();
	*continues = more;
	return *ret ? 0 : err_errno(e, -ENOMEM, "cannot take the broker's answer");
}

int call_once(struct call *c, const struct call_request *request, json_t **ret, struct err *e)
{
	bool continues = false;
	int r = call_send(c, request, e);

	return r < 0 ? r : call_next(c, ret, &continues, e);
}

const char *call_error(const struct call *c)
{
	return c->error[0] ? c->error : NULL;
}

int call_take_fd(struct call *c, int64_t index)
{
	if (index < 0 || (uint64_t)index >= c->nfds)
		return -1;
	return TAKE_FD(c->fds[index]);
}
