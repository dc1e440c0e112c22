/* SPDX-License-Identifier: Apache-2.0 */
#include "server/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "server/bury.h"
#include "server/turn.h"

#define READ_MAX ((size_t)256 * 1024) /* one turn of the loop for one client */
#define PATIENCE_US ((uint64_t)SERVER_PATIENCE_S * 1000 * 1000)

static void output_free(struct output *o)
{
	json_text_free(o->text);
	for (size_t i = 0; i < o->nfds; i++)
		fd_close(o->fds[i]);
	free(o->fds);
	free(o);
}

static void close_fds(struct connection *c)
{
	bury(c->server->b->event, c->fds, c->nfds);
	c->server->fds_total -= c->nfds;
	c->nfds = 0;
}

void connection_free(struct connection *c)
{
	if (!c)
		return;
	while (c->out) {
		struct output *o = c->out;

		c->out = o->next;
		output_free(o);
	}
	close_fds(c);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->again);
	sd_event_source_disable_unref(c->patience);
	varlink_buffer_free(c->in);
	peer_clear(&c->peer);
	bury_connection(c->server->b->event, c->fd);
	free(c);
}

void connection_on_hangup(struct connection *c, void (*hangup)(void *arg), void *arg)
{
	void (*before)(void *arg) = c->hangup;
	void *before_arg = c->hangup_arg;

	c->hangup = hangup;
	c->hangup_arg = arg;
	if (before)
		before(before_arg);
}

void connection_end(struct connection *c)
{
	struct call *call = TAKE_PTR(c->call);

	if (c->ended)
		return;
	c->ended = true;
	c->io = sd_event_source_disable_unref(c->io);
	c->again = sd_event_source_disable_unref(c->again);
	c->patience = sd_event_source_disable_unref(c->patience);
	bury_connection(c->server->b->event, c->fd);
	c->fd = -1;
	c->server->input_total -= c->in_len;
	c->in_len = 0;
	close_fds(c);
	server_forget(c->server, c);
	if (call)
		call_abandon(call);
	connection_on_hangup(c, NULL, NULL);
}

/* What the loop is to tell us about this socket now; the end of both directions it tells always. */
static void update_events(struct connection *c)
{
	uint32_t events = 0;

	if (c->ended)
		return;
	if (!c->call && !c->eof && !c->closing)
		events |= EPOLLIN;
	if (c->out)
		events |= EPOLLOUT;
	if (sd_event_source_set_io_events(c->io, events) < 0)
		connection_end(c);
}

/* A half message may take SERVER_PATIENCE_S from its first byte, however fast the next ones come.
 */
static void update_patience(struct connection *c)
{
	bool waits = !c->ended && !c->call && !c->closing && c->in_len > 0;
	int enabled = SD_EVENT_OFF, r;

	if (c->ended)
		return;
	sd_event_source_get_enabled(c->patience, &enabled);
	if (waits == (enabled != SD_EVENT_OFF))
		return;
	r = sd_event_source_set_time_relative(c->patience, PATIENCE_US);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->patience,
		                                waits ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	if (r < 0)
		connection_end(c);
}

/* Send what the socket takes. */
static void flush(struct connection *c)
{
	while (!c->ended && c->out) {
		struct output *o = c->out;
		size_t nfds = o->sent == 0 ? o->nfds : 0;
		ssize_t n = io_send(c->fd, o->text + o->sent, o->len - o->sent, o->fds, nfds,
		                    MSG_DONTWAIT);

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0) {
			connection_end(c);
			return;
		}
		o->sent += (size_t)n;
		c->out_len -= (size_t)n;
		if (o->sent < o->len)
			continue;
		c->out = o->next;
		if (!c->out)
			c->out_last = NULL;
		output_free(o);
	}
}

/* Nothing is asked and nothing is left to say. */
static void end_if_done(struct connection *c)
{
	if (!c->ended && !c->call && !c->out && (c->closing || c->eof))
		connection_end(c);
}

/* Hand on whole messages, one at a time. */
static void pump(struct connection *c)
{
	const char *text;
	size_t len;

	while (!c->ended && !c->closing && !c->call &&
	       varlink_buffer_next(c->in, &text, &len) == 1) {
		c->in_len -= len + 1;
		c->server->input_total -= len + 1;
		call_dispatch(c, text, len);
	}
	update_patience(c);
	update_events(c);
	end_if_done(c);
}

/* 1: something came; 0: not now, or the connection has ended. */
static int read_some(struct connection *c)
{
	size_t size, nfds = ARRAY_LEN(c->fds) - c->nfds;
	char *room;
	ssize_t n;
	int r = varlink_buffer_room(c->in, &room, &size);

	if (r == -EMSGSIZE) {
		connection_give_up(c, "Invalid", "a message is longer than 4 MiB");
		return 0;
	}
	if (r < 0) {
		connection_give_up(c, "Busy", "the broker has no memory for this message");
		return 0;
	}
	n = io_recv(c->fd, room, size < READ_MAX ? size : READ_MAX, c->fds + c->nfds, &nfds,
	            MSG_DONTWAIT);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n == -EMSGSIZE) {
		connection_give_up(c, "Invalid", "more descriptors than a message may have");
		return 0;
	}
	if (n < 0) {
		connection_end(c);
		return 0;
	}
	c->nfds += nfds;
	c->server->fds_total += nfds;
	c->in_len += (size_t)n;
	c->server->input_total += (size_t)n;
	c->eof = n == 0;
	if (n > 0)
		varlink_buffer_filled(c->in, (size_t)n);
	if (c->server->input_total > SERVER_INPUT_TOTAL || c->server->fds_total > SERVER_FDS_TOTAL)
		connection_give_up(c, "Busy", "too much is on its way to the broker; try again");
	return 1;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct connection *c = arg;
	bool had_output = c->out != NULL;

	if (revents & EPOLLOUT)
		flush(c);
	if (!c->ended && (revents & EPOLLIN) && !c->call)
		read_some(c);
	else if (!c->ended && (revents & (EPOLLHUP | EPOLLERR)))
		connection_end(c);
	if (!c->ended && had_output && !c->out && c->call)
		call_output_drained(c->call);
	if (!c->ended)
		pump(c);
	return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *arg)
{
	struct connection *c = arg;

	if (!c->out && c->call)
		call_output_drained(c->call);
	if (!c->ended)
		pump(c);
	return 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *arg)
{
	connection_end(arg);
	return 0;
}

int connection_send(struct connection *c, char *text, int *fds, size_t nfds)
{
	struct output *o = calloc(1, sizeof(*o));

	if (!o || !text || c->ended || c->out_len + strlen(text) > SERVER_OUTPUT_MAX) {
		bool fits = o && text;

		json_text_free(text);
		for (size_t i = 0; i < nfds; i++)
			fd_close(fds[i]);
		free(fds);
		free(o);
		connection_end(c);
		return fits ? -EPIPE : -ENOMEM;
	}
	o->text = text;
	o->len = strlen(text) + 1;
	o->fds = fds;
	o->nfds = nfds;
	c->out_len += o->len;
	if (c->out_last)
		c->out_last->next = o;
	else
		c->out = o;
	c->out_last = o;
	flush(c);
	update_events(c);
	/* A stream goes on from the loop, never from within its own sending. */
	if (!c->ended && !c->out)
		turn_arm(c->again);
	return c->ended ? -EPIPE : 0;
}

void connection_idle(struct connection *c)
{
	if (c->ended)
		return;
	update_events(c);
	if (!c->ended)
		turn_arm(c->again);
}

void connection_give_up(struct connection *c, const char *error, const char *message)
{
	SCOPED(json_ptr) json_t *parameters = errors_parameters(error, "", message);
	char name[64];

	c->closing = true;
	snprintf(name, sizeof(name), "io.coffer.operator.%s", error);
	connection_send(c, varlink_error_text(name, parameters), NULL, 0);
	end_if_done(c);
}

static int add_sources(struct connection *c, struct err *e)
{
	sd_event *event = c->server->b->event;
	int r = sd_event_add_io(event, &c->io, c->fd, EPOLLIN, on_io, c);

	if (r >= 0)
		r = sd_event_source_set_priority(c->io, PRIORITY_ANSWERS);
	if (r >= 0)
		r = turn_new(event, PRIORITY_ANSWERS, on_again, c, &c->again);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &c->patience, CLOCK_BOOTTIME, PATIENCE_US, 0,
		                               on_patience, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->patience, SD_EVENT_OFF);
	return r < 0 ? err_errno(e, r, "cannot watch a connection") : 0;
}

int connection_new(struct server *s, int fd, struct peer *peer, bool root, struct err *e)
{
	struct connection *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		fd_close(fd);
		peer_clear(peer);
		return err_set(e, -ENOMEM, "out of memory for a connection");
	}
	c->server = s;
	c->fd = fd;
	c->peer = *peer;
	c->root = root;
	peer->pidfd = -1;
	c->in = varlink_buffer_new(SERVER_MESSAGE_MAX);
	r = c->in ? add_sources(c, e) : err_set(e, -ENOMEM, "out of memory for a connection");
	if (r < 0) {
		connection_free(c);
		return r;
	}
	c->next = s->first;
	if (s->first)
		s->first->prev = c;
	else
		s->last = c;
	s->first = c;
	s->connections++;
	return 0;
}
