/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: accept, look who it is, keep the numbers within bounds. Everything about one connection
 * is in connection.c, everything about one call in call.c.
 */
#include "server/server.h"
#include "server/bury.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "flow/containers.h"
#include "server/config.h"
#include "server/connection.h"

#define ACCEPTS_A_TURN 16            /* then others get their turn of the loop */
#define ACCEPT_PAUSE_US (100 * 1000) /* while there are no descriptors to be had */

void server_forget(struct server *s, struct connection *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		s->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		s->last = c->prev;
	s->connections--;
	c->prev = NULL;
	c->next = s->dead;
	s->dead = c;
	if (s->reaper)
		sd_event_source_set_enabled(s->reaper, SD_EVENT_ONESHOT);
}

static void reap(struct server *s)
{
	while (s->dead) {
		struct connection *c = s->dead;

		s->dead = c->next;
		connection_free(c);
	}
}

static int on_reap(sd_event_source *source, void *arg)
{
	reap(arg);
	return 0;
}

/*
 * Room for one more: the connection that has been silent or half a message behind for longest goes,
 * so that a crowd of slow clients keeps nobody out. One whose call is being answered stays. False:
 * all are busy.
 */
static bool make_room(struct server *s)
{
	for (struct connection *c = s->last; c; c = c->prev) {
		if (c->call)
			continue;
		connection_end(c);
		return true;
	}
	return false;
}

static size_t count_of_uid(const struct server *s, uid_t uid)
{
	size_t n = 0;

	for (const struct connection *c = s->first; c; c = c->next)
		n += c->peer.uid == uid;
	return n;
}

/* 0 and whether it is root, or a negative errno with the reason why it may not come in. */
static int may_enter(struct server *s, int fd, const struct peer *peer, bool *ret_root,
                     struct err *e)
{
	int r = peer_is_home(&s->home, peer, e);

	if (r < 0)
		return r;
	if (!peer->cgroup_root && containers_hold(s->b->containers, peer))
		return err_set(e, -EACCES, "process %d is in a container's cgroup", peer->pid);
	if (peer->uid == 0) {
		*ret_root = true;
		return 0;
	}
	r = s->has_group ? peer_in_group(fd, peer, s->group) : 0;
	if (r < 0)
		return err_errno(e, r, "cannot tell the groups of process %d", peer->pid);
	if (r == 0)
		return err_set(e, -EACCES, "uid %u is neither root nor in group %s", peer->uid,
		               s->b->config->operator_group);
	if (count_of_uid(s, peer->uid) >= SERVER_UID_MAX)
		return err_set(e, -EBUSY, "uid %u has %d connections already", peer->uid,
		               SERVER_UID_MAX);
	*ret_root = false;
	return 0;
}

/* A refused peer is closed without a byte; the reason is in the audit log. */
static void welcome(struct server *s, int taken)
{
	SCOPED_FD int fd = taken;
	struct peer peer = { .pidfd = -1 };
	struct err why = { 0 };
	bool root = false;
	int r = peer_identify(fd, &peer, &why);

	if (r == 0)
		r = may_enter(s, fd, &peer, &root, &why);
	if (r == 0 && s->connections >= SERVER_CONNECTIONS_MAX && !make_room(s))
		r = err_set(&why, -EBUSY, "all %d connections are busy", SERVER_CONNECTIONS_MAX);
	if (r == 0) {
		r = connection_new(s, TAKE_FD(fd), &peer, root, &why);
		if (r < 0)
			log_error("the operator socket: %s", why.text);
		return;
	}
	/* One that hung up before it was looked at is no refusal. */
	if (r != -ESRCH || peer.pidfd >= 0)
		refusals_add(s->refusals, &peer, why.text);
	peer_clear(&peer);
	bury_connection(s->b->event, TAKE_FD(fd));
}

static int on_listen_again(sd_event_source *source, uint64_t usec, void *arg)
{
	struct server *s = arg;

	return sd_event_source_set_enabled(s->listen, SD_EVENT_ON);
}

/* Out of descriptors: a waiting client would wake the loop for ever. */
static void pause_accepting(struct server *s)
{
	bool made_room = make_room(s);

	log_warn("the operator socket cannot take a connection: out of descriptors%s",
	         made_room ? "; the longest silent one was closed" : "");
	if (sd_event_source_set_time_relative(s->listen_again, ACCEPT_PAUSE_US) >= 0 &&
	    sd_event_source_set_enabled(s->listen_again, SD_EVENT_ONESHOT) >= 0)
		sd_event_source_set_enabled(s->listen, SD_EVENT_OFF);
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t revents, void *arg)
{
	struct server *s = arg;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			welcome(s, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accepting(s);
		if (errno != ECONNABORTED && errno != EINTR)
			break;
	}
	return 0;
}

static int add_sources(struct server *s, struct err *e)
{
	sd_event *event = s->b->event;
	int r = sd_event_add_io(event, &s->listen, s->listen_fd, EPOLLIN, on_listen, s);

	if (r >= 0 && !containers_known(s->b->containers))
		r = sd_event_source_set_enabled(s->listen, SD_EVENT_OFF); /* server_open */
	if (r >= 0)
		r = sd_event_add_time_relative(event, &s->listen_again, CLOCK_BOOTTIME, 0, 0,
		                               on_listen_again, s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->listen_again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(event, &s->reaper, on_reap, s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->reaper, SD_EVENT_OFF);
	return r < 0 ? err_errno(e, r, "cannot watch the operator socket") : 0;
}

static int set_nonblocking(int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_errno(e, -errno, "cannot prepare the operator socket");
	return 0;
}

int server_new(struct broker *b, int listen_fd, struct server **ret, struct err *e)
{
	const struct group *group = getgrnam(b->config->operator_group);
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		fd_close(listen_fd);
		return err_set(e, -ENOMEM, "out of memory");
	}
	s->b = b;
	s->listen_fd = listen_fd;
	s->has_group = group != NULL;
	s->group = group ? group->gr_gid : 0;
	r = set_nonblocking(listen_fd, e);
	if (r == 0)
		r = peer_home_read(&s->home, e);
	s->refusals = r == 0 ? refusals_new(b, "denied") : NULL;
	if (r == 0)
		r = s->refusals ? add_sources(s, e) : err_set(e, -ENOMEM, "out of memory");
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void server_open(struct server *s)
{
	if (s && sd_event_source_set_enabled(s->listen, SD_EVENT_ON) < 0)
		log_error("the operator socket cannot be opened; restart the broker");
}

void server_free(struct server *s)
{
	if (!s)
		return;
	while (s->first)
		connection_end(s->first);
	reap(s);
	refusals_free(s->refusals);
	sd_event_source_disable_unref(s->listen);
	sd_event_source_disable_unref(s->listen_again);
	sd_event_source_disable_unref(s->reaper);
	fd_close(s->listen_fd);
	free(s);
}
