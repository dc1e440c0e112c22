/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/workload.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/identity.h"
#include "flow/inspection.h"
#include "server/bury.h"
#include "server/config.h"
#include "server/refusals.h"

/* Between two mounts that a container asks for itself: one that unmounts again must not fill the log. */
#define ASK_AGAIN_NS NS_PER_S

/* connections taken in one turn of the loop, so that others have theirs */
#define BACKLOG_BATCH 32

/* Before a door that ran out of descriptors is opened again. */
#define REST_USEC 100000

struct workload {
	struct broker *b;
	int listen_fd;
	sd_event_source *source, *rest_timer;
	struct refusals *refusals;
	uint64_t next_id;
};

/* A connection whose container's worker is not there yet, or whose container is not known yet. */
struct waiting {
	struct waiting *next;
	struct broker *b;
	struct peer peer;
	int sock;
};

static void waiting_free(struct waiting *w)
{
	peer_clear(&w->peer);
	fd_close(w->sock); /* its worker has it too */
	free(w);
}

static void refuse(struct waiting *w, const char *why)
{
	if (w->b->workload)
		refusals_add(w->b->workload->refusals, &w->peer, why);
	bury_connection(w->b->event, TAKE_FD(w->sock));
	waiting_free(w);
}

static void hand_over(struct container *c, struct waiting *w)
{
	struct workload *door = c->set->b->workload;
	struct wr_connection record = {
		.id = ++door->next_id,
		.uid = w->peer.uid,
		.gid = w->peer.gid,
		.pid = w->peer.pid,
	};
	const int fds[] = { w->sock, w->peer.pidfd };

	if (!peer_alive(&w->peer)) {
		refuse(w, "the process that connected has ended");
		return;
	}
	if (worker_send(c->worker, WR_CONNECTION, &record, sizeof(record), NULL, 0, fds, 2) < 0)
		refuse(w, "its container's worker does not take it");
	else
		waiting_free(w);
}

void workload_serve_waiting(struct container *c)
{
	while (c->connections) {
		struct waiting *w = c->connections;

		c->connections = w->next;
		c->connections_waiting--;
		hand_over(c, w);
	}
}

void workload_drop_waiting(struct container *c)
{
	while (c->connections) {
		struct waiting *w = c->connections;

		c->connections = w->next;
		c->connections_waiting--;
		refuse(w, "its container cannot be served");
	}
}

static void give(struct container *c, struct waiting *w)
{
	if (c->worker && c->worker_ready) {
		hand_over(c, w);
		return;
	}
	if (c->throttle.refusing) {
		refuse(w, "its container's worker crashes again and again");
		return;
	}
	if (c->connections_waiting >= c->set->b->config->connections_max) {
		refuse(w, "too many connections of its container wait already");
		return;
	}
	w->next = c->connections;
	c->connections = w;
	c->connections_waiting++;
	container_step(c);
}

static void on_inspected(void *arg, struct container *c, int error, const char *why)
{
	struct waiting *w = arg;
	struct container *found = NULL;
	struct err e = { "" };
	int result;

	if (!c) {
		refuse(w, why);
		return;
	}
	result = identity_find(c->set, &w->peer, &found, &e);
	if (result != 1 || found != c)
		refuse(w, result < 0 ? e.text : "its cgroup is not the container's");
	else
		give(c, w);
}

static void place(struct workload *door, struct waiting *w)
{
	struct containers *set = door->b->containers;
	struct container *c = NULL;
	struct err e = { "" };
	int result = identity_find(set, &w->peer, &c, &e);

	if (result < 0) {
		refuse(w, e.text);
	} else if (result == 1) {
		give(c, w);
	} else if (w->peer.cgroup_root) {
		refuse(w, "it is in the root cgroup, which is no container's");
	} else {
		const struct inspection_request request = {
			.how = INSPECT_PID,
			.pid = w->peer.pid,
			.running = true,
			.peer = true,
			.done = on_inspected,
			.arg = w,
		};

		if (inspection_start(set, &request, &e) < 0)
			refuse(w, e.text);
	}
}

static int on_rested(sd_event_source *source, uint64_t usec, void *arg)
{
	struct workload *door = arg;

	sd_event_source_set_enabled(door->source, SD_EVENT_ON);
	return 0;
}

/* No descriptor is to be had: the socket would stay readable, and the loop would spin. */
static void rest(struct workload *door)
{
	door->rest_timer = sd_event_source_disable_unref(door->rest_timer);
	if (sd_event_add_time_relative(door->b->event, &door->rest_timer, CLOCK_MONOTONIC,
	                               REST_USEC, 0, on_rested, door) >= 0)
		sd_event_source_set_enabled(door->source, SD_EVENT_OFF);
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct workload *door = arg;

	for (int i = 0; i < BACKLOG_BATCH; i++) {
		int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct waiting *w;
		struct err e;

		if (sock < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
			rest(door);
		if (sock < 0)
			return 0;
		w = calloc(1, sizeof(*w));
		if (!w) {
			bury_connection(door->b->event, sock);
			return 0;
		}
		*w = (struct waiting){ .b = door->b, .sock = sock, .peer = { .pidfd = -1 } };
		if (peer_identify(sock, &w->peer, &e) < 0)
			refuse(w, e.text);
		else
			place(door, w);
	}
	return 0;
}

int workload_new(struct broker *b, int listen_fd, struct workload **ret, struct err *e)
{
	struct workload *w = calloc(1, sizeof(*w));
	int result;

	if (!w) {
		close(listen_fd);
		return err_set(e, -ENOMEM, "out of memory");
	}
	w->b = b;
	w->listen_fd = listen_fd;
	bury_refuse_descriptors(listen_fd); /* nobody here has any use for them */
	w->refusals = refusals_new(b, "workload.refused");
	if (!w->refusals) {
		workload_free(w);
		return err_set(e, -ENOMEM, "out of memory");
	}
	result = sd_event_add_io(b->event, &w->source, listen_fd, EPOLLIN, on_connection, w);
	if (result >= 0 && !containers_known(b->containers))
		result = sd_event_source_set_enabled(w->source, SD_EVENT_OFF); /* workload_open */
	if (result < 0) {
		workload_free(w);
		return err_errno(e, result, "cannot watch the workload socket");
	}
	*ret = w;
	return 0;
}

void workload_open(struct workload *w)
{
	if (w && sd_event_source_set_enabled(w->source, SD_EVENT_ON) < 0)
		log_error("the workload socket cannot be opened; restart the broker");
}

void workload_free(struct workload *w)
{
	if (!w)
		return;
	sd_event_source_disable_unref(w->source);
	sd_event_source_disable_unref(w->rest_timer);
	refusals_free(w->refusals);
	fd_close(w->listen_fd);
	free(w);
}

struct asked {
	uint64_t id;
};

static void on_attached(void *arg, struct container *c, int error, const char *why)
{
	struct asked *asked = arg;

	serving_attach_result(c, asked->id, error, error < 0 ? why : c->folder);
	free(asked);
}

void workload_attach_asked(struct container *c, uint64_t id)
{
	struct waiter *waiter;
	struct asked *asked;

	if (c->mount == MOUNT_UP) {
		serving_attach_result(c, id, 0, c->folder);
		return;
	}
	if (c->mount == MOUNT_DETACHED || c->flow == FLOW_DETACHING) {
		serving_attach_result(c, id, -EPERM,
		                      "detached by the operator, until `coffer attach`");
		return;
	}
	if (c->peer_asked_ns && times_boottime() - c->peer_asked_ns < ASK_AGAIN_NS) {
		serving_attach_result(c, id, -EBUSY, "asked again too soon; try again in a second");
		return;
	}
	waiter = calloc(1, sizeof(*waiter));
	asked = calloc(1, sizeof(*asked));
	if (!waiter || !asked) {
		free(waiter);
		free(asked);
		serving_attach_result(c, id, -ENOMEM, "out of memory");
		return;
	}
	asked->id = id;
	*waiter = (struct waiter){ .done = on_attached, .arg = asked };
	container_wait_mount(c, waiter);
	c->explicit = true;
	c->peer_asked = !c->hook;
	c->peer_asked_ns = times_boottime();
	if (c->mount != MOUNT_MAKING)
		c->mount = MOUNT_NONE;
	registry_save(c);
	container_step(c);
}
