/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api_connection.h"
#include "coffer/cleanup.h"
#include "coffer/secret.h"
#include "coffer/times.h"

#define STALL_NS (API_STALL_S * NS_PER_S)

int api_new(struct worker *w, uint32_t connections_max, uint32_t calls_per_second, struct api **ret)
{
	struct api *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->w = w;
	a->rate = calls_per_second > 0 ? calls_per_second : 1;
	a->max = connections_max < API_CONNECTIONS_MAX ? connections_max : API_CONNECTIONS_MAX;
	*ret = a;
	return 0;
}

static void connection_free(struct api_connection *c)
{
	if (!c)
		return;
	fd_close(c->fd);
	fd_close(c->pidfd);
	varlink_buffer_free(c->in);
	secret_mfree(c->out);
	free(c);
}

void api_close_all(struct api *a)
{
	while (a->count > 0)
		connection_free(a->connection[--a->count]);
}

void api_free(struct api *a)
{
	if (!a)
		return;
	api_close_all(a);
	free(a);
}

int api_audit(const struct api_connection *c, enum ring_event event, int result,
              const struct tree_node *n, const char *text)
{
	const struct audit_event e = {
		.event = event,
		.result = result,
		.node = n ? n->id : 0,
		.version = n ? n->version : 0,
		.uid = c->uid,
		.pid = c->pid,
		.text = text,
	};

	return audit_put(&c->api->w->audit, &e);
}

void api_send(struct api_connection *c, char *bytes, size_t len)
{
	secret_mfree(c->out);
	c->out = bytes;
	c->out_len = len;
	c->out_sent = 0;
	c->since = times_boottime();
}

static int send_text(struct api_connection *c, char *text)
{
	size_t len = text ? strlen(text) + 1 : 0;
	char *bytes = text ? secret_malloc(len) : NULL;

	if (bytes)
		memcpy(bytes, text, len);
	json_text_free(text);
	if (!bytes)
		return -ENOMEM;
	api_send(c, bytes, len);
	return 0;
}

int api_reply(struct api_connection *c, json_t *parameters)
{
	int r = c->oneway ? 0 : send_text(c, varlink_reply_text(parameters, false));

	json_decref(parameters);
	return r;
}

int api_error(struct api_connection *c, const char *error, json_t *parameters)
{
	int r = c->oneway ? 0 : send_text(c, varlink_error_text(error, parameters));

	json_decref(parameters);
	return r;
}

int api_refuse(struct api_connection *c, const char *error, const char *reason)
{
	char name[64] = "io.coffer.workload.";

	strncat(name, error, sizeof(name) - strlen(name) - 1);
	return api_error(c, name, json_pack("{s:s}", "reason", reason));
}

/* As much as the socket takes. 0, or -errno: the peer is gone. */
static int flush(struct api_connection *c)
{
	while (c->out) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return -errno;
		c->out_sent += (size_t)n;
		c->since = times_boottime();
		if (c->out_sent == c->out_len) {
			secret_mfree(TAKE_PTR(c->out));
			if (c->closing)
				return -EPIPE;
		}
	}
	return 0;
}

/* A bucket of one second's calls that fills evenly. */
static bool take_token(struct api_connection *c)
{
	const int64_t price = NS_PER_S / c->api->rate;
	int64_t now = times_boottime();

	c->tokens_ns += now - c->tokens_at;
	c->tokens_at = now;
	if (c->tokens_ns > NS_PER_S)
		c->tokens_ns = NS_PER_S;
	if (c->tokens_ns < price)
		return false;
	c->tokens_ns -= price;
	return true;
}

static int refuse_busy(struct api_connection *c)
{
	api_audit(c, RING_API_REFUSED, -EBUSY, NULL, "too many calls");
	return api_refuse(c, "Busy", "too many calls in one second; try again later");
}

/* Whoever holds the socket now, it speaks for who connected, and only while that process lives. */
static bool connector_lives(const struct api_connection *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	return c->pidfd < 0 || poll(&p, 1, 0) == 0;
}

/* Handle whole messages until an answer has to wait for the peer or the broker. */
static int handle(struct api_connection *c)
{
	const char *text;
	size_t len;

	while (!c->out && !c->attaching && varlink_buffer_next(c->in, &text, &len) > 0) {
		int r;

		if (!connector_lives(c)) {
			api_audit(c, RING_API_REFUSED, -ESRCH, NULL, "who connected is dead");
			return -ESRCH;
		}
		c->oneway = false;
		c->pending -= len + 1;
		c->since = times_boottime();
		r = take_token(c) ? api_call(c, text, len) : refuse_busy(c);
		if (r == 0)
			r = flush(c);
		if (r < 0)
			return r;
	}
	return 0;
}

static int too_long(struct api_connection *c)
{
	int r;

	api_audit(c, RING_API_REFUSED, -EMSGSIZE, NULL, "message too long");
	c->closing = true;
	c->oneway = false;
	r = api_refuse(c, "InvalidMessage", "a message of more than 64 KiB");
	return r < 0 ? r : flush(c);
}

static int receive(struct api_connection *c)
{
	char *room;
	size_t size;
	ssize_t n;
	int r = varlink_buffer_room(c->in, &room, &size);

	if (r == -EMSGSIZE)
		return too_long(c);
	if (r < 0)
		return r;
	n = recv(c->fd, room, size, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	if (c->pending == 0)
		c->since = times_boottime();
	varlink_buffer_filled(c->in, (size_t)n);
	c->pending += (size_t)n;
	return handle(c);
}

int api_add(struct api *a, const struct wr_connection *connection, int fd, int pidfd)
{
	struct api_connection *c = calloc(1, sizeof(*c));

	if (!c) {
		fd_close(fd);
		fd_close(pidfd);
		return -ENOMEM;
	}
	*c = (struct api_connection){
		.api = a,
		.fd = fd,
		.pidfd = pidfd,
		.id = connection->id,
		.uid = connection->uid,
		.pid = (uint32_t)connection->pid,
		.tokens_ns = NS_PER_S,
		.tokens_at = times_boottime(),
		.in = varlink_buffer_new(API_MESSAGE_MAX),
	};
	if (!c->in) {
		connection_free(c);
		return -ENOMEM;
	}
	if (a->count >= a->max) {
		api_audit(c, RING_API_REFUSED, -EBUSY, NULL, "too many connections");
		/* Into a socket buffer that is empty: no need to wait for the peer. */
		if (api_refuse(c, "Busy", "too many connections; close one first") == 0)
			(void)flush(c);
		connection_free(c);
		return 0;
	}
	a->connection[a->count++] = c;
	return 0;
}

static bool waits(const struct api_connection *c)
{
	return c->out || (c->pending > 0 && !c->attaching);
}

size_t api_poll(struct api *a, struct pollfd *fds, int *timeout_ms)
{
	int64_t now = times_boottime();

	for (size_t i = 0; i < a->count; i++) {
		const struct api_connection *c = a->connection[i];
		int64_t left_ms = (c->since + STALL_NS - now) / 1000000 + 1;

		fds[i] = (struct pollfd){ .fd = c->fd,
			                  .events = c->out         ? POLLOUT
			                            : c->attaching ? 0
			                                           : POLLIN };
		if (!waits(c))
			continue;
		if (left_ms < 0)
			left_ms = 0;
		if (*timeout_ms < 0 || left_ms < *timeout_ms)
			*timeout_ms = (int)left_ms;
	}
	return a->count;
}

static int serve_one(struct api_connection *c, short events)
{
	int r = 0;

	if (events & POLLOUT) {
		r = flush(c);
		if (r == 0)
			r = handle(c); /* what came behind the call just answered */
	} else if (events & POLLIN) {
		r = receive(c);
	} else if (events & (POLLHUP | POLLERR | POLLNVAL)) {
		r = -EPIPE;
	}
	return r;
}

void api_serve(struct api *a, const struct pollfd *fds, size_t count)
{
	int64_t now = times_boottime();

	for (size_t i = count;
	     i-- > 0;) { /* backwards: the last one takes the place of one that goes */
		struct api_connection *c = a->connection[i];
		int r = fds[i].revents ? serve_one(c, fds[i].revents) : 0;

		if (r == 0 && waits(c) && now - c->since > STALL_NS) {
			api_audit(c, RING_API_REFUSED, -ETIMEDOUT, NULL, "stalled");
			r = -ETIMEDOUT;
		}
		if (r < 0) {
			connection_free(c);
			a->connection[i] = a->connection[--a->count];
		}
	}
}

static int tell_attached(struct api_connection *c, int result, const char *text)
{
	int r;

	c->attaching = false;
	if (result == 0)
		r = api_reply(c, json_pack("{s:s}", "folder", text));
	else
		r = api_refuse(c, "AttachFailed", text);
	if (r == 0)
		r = flush(c);
	return r < 0 ? r : handle(c);
}

int api_attach_result(struct api *a, uint64_t id, int result, const char *text)
{
	if (a->attaching == 0)
		return -EBADMSG;
	a->attaching--;
	for (size_t i = 0; i < a->count; i++) {
		struct api_connection *c = a->connection[i];

		if (c->id != id || !c->attaching)
			continue;
		if (tell_attached(c, result, text) < 0) {
			connection_free(c);
			a->connection[i] = a->connection[--a->count];
		}
		break;
	}
	return 0; /* gone since it asked: nobody to tell */
}
