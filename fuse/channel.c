/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "coffer/cleanup.h"
#include "coffer/record.h"
#include "coffer/ring.h"
#include "coffer/times.h"
#include "serve.h"
#include "value.h"
#include "versions.h"
#include "worker.h"

int channel_open(struct channel *c, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	*c = (struct channel){ .fd = fd };
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	c->record = malloc(sizeof(*c->record));
	return c->record ? 0 : -ENOMEM;
}

void channel_close(struct channel *c)
{
	c->fd = fd_close(c->fd);
	free(TAKE_PTR(c->record));
	c->count = 0;
}

static bool is_answer(uint16_t type)
{
	return type != WR_RELEASED && type != WR_ATTACH;
}

int channel_flush(struct channel *c)
{
	while (c->count > 0) {
		const struct channel_answer *a = &c->queue[c->first];
		int r = record_send(c->fd, a->type, a->serial, a->payload, a->len, NULL, 0, NULL,
		                    0);

		if (r == -EAGAIN || r == -EINTR)
			return 0;
		if (r < 0)
			return -EPIPE;
		c->first = (c->first + 1) % CHANNEL_QUEUE_MAX;
		c->count--;
	}
	return 0;
}

int channel_send(struct channel *c, uint16_t type, uint64_t serial, const void *payload, size_t len)
{
	struct channel_answer *a;

	if (c->fd < 0)
		return -EPIPE;
	if (c->count >= CHANNEL_QUEUE_MAX - (is_answer(type) ? 0 : CHANNEL_QUEUE_ANSWERS))
		return -ENOBUFS;
	a = &c->queue[(c->first + c->count) % CHANNEL_QUEUE_MAX];
	*a = (struct channel_answer){ .serial = serial, .type = type, .len = (uint16_t)len };
	if (len > 0)
		memcpy(a->payload, payload, len);
	c->count++;
	return channel_flush(c);
}

void channel_send_released(struct worker *w)
{
	const size_t room = CHANNEL_QUEUE_MAX - CHANNEL_QUEUE_ANSWERS;
	struct wr_released released;

	while (w->channel.fd >= 0 && !w->adopting && w->channel.count < room &&
	       tree_take_released(w->tree, &released.node))
		channel_send(&w->channel, WR_RELEASED, 0, &released, sizeof(released));
	/*
	 * The next broker is told: no more than WORKER_NODES_MAX, since without a broker none are
	 * added, and their values are unmapped already. Where none can come they are dropped.
	 */
	while (w->channel.fd < 0 && w->listen_fd < 0 && tree_take_released(w->tree, &released.node))
		;
}

static int answer_result(struct worker *w, const struct record *r, uint16_t type, int result)
{
	const struct wr_result answer = { .result = result };

	return channel_send(&w->channel, type, r->serial, &answer, sizeof(answer));
}

/* The shared memory: sealed against resize, large enough, and of our layout. */
static int map_shared(struct worker *w, int fd)
{
	const size_t size = (size_t)worker_shared_size();
	int seals = fcntl(fd, F_GET_SEALS);
	struct worker_shared *shared;
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 ||
	    (size_t)st.st_size < size)
		return -EBADMSG;
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return -errno;
	w->shared = shared;
	w->shared_size = size;
	w->change.made = &shared->made;
	if (shared->magic != WORKER_SHARED_MAGIC || shared->layout != WORKER_SHARED_LAYOUT)
		return -EBADMSG;
	w->audit.ring = ring_attach(shared->ring);
	return w->audit.ring ? 0 : -EBADMSG;
}

static int on_hello(struct worker *w, struct record *r)
{
	const struct wr_hello *hello = (const struct wr_hello *)r->payload;
	const struct wr_ready ready = { .proto = WORKER_PROTO };
	size_t at = sizeof(*hello);
	int result;

	if (hello->proto != WORKER_PROTO ||
	    record_get_text(r, &at, w->container, sizeof(w->container)) < 0 ||
	    record_get_text(r, &at, w->runtime, sizeof(w->runtime)) < 0 ||
	    record_get_text(r, &at, w->folder, sizeof(w->folder)) < 0 || at != r->len)
		return -EBADMSG;
	result = map_shared(w, r->fds[0]);
	if (result < 0)
		return result;
	w->shared_fd = TAKE_FD(r->fds[0]);
	w->audit.wake = TAKE_FD(r->fds[1]);
	w->listen_fd = r->nfds > 2 ? TAKE_FD(r->fds[2]) : -1;
	w->audit.serve_when_full = hello->flags & WORKER_FULL_SERVE;
	w->callers.check_cgroup = hello->flags & WORKER_CHECK_CGROUP;
	w->statfs_files = hello->statfs_files;
	memcpy(w->instance, hello->instance, sizeof(w->instance));
	result = api_new(w, hello->connections_max, hello->calls_per_second, &w->api);
	if (result < 0)
		return result;
	return channel_send(&w->channel, WR_READY, r->serial, &ready, sizeof(ready));
}

/*
 * Add a node with the texts from `at` on and, for a file, its memfd. `name`: WORKER_NAME_MAX + 1
 * bytes.
 */
static int add_node(struct worker *w, struct record *r, const struct wr_node *node, size_t at,
                    char *name)
{
	const unsigned char *bytes = NULL;
	struct tree_node *n;
	char text[WORKER_PATH_SIZE];
	int result;

	if (record_get_text(r, &at, name, WORKER_NAME_MAX + 1) < 0 ||
	    record_get_text(r, &at, text, sizeof(text)) < 0 || at != r->len ||
	    r->nfds != (node->kind == NODE_FILE ? 1 : 0))
		return -EBADMSG;
	if (node->kind == NODE_FILE) {
		result = value_map(r->fds[0], node->size, &bytes);
		if (result < 0)
			return result;
	}
	result = tree_add(w->tree, node, name, text, bytes, &n);
	if (result < 0)
		value_unmap(bytes, node->size);
	return result;
}

static int on_node(struct worker *w, struct record *r)
{
	const struct wr_node *node = (const struct wr_node *)r->payload;
	char name[WORKER_NAME_MAX + 1];
	struct tree_node *parent, *n;
	int result;

	if (w->device || w->change.state != CHANGE_NONE)
		return -EBADMSG;
	result = add_node(w, r, node, sizeof(*node), name);
	/* Without a name: the root, or what has lost it and may still be open (worker_proto.h). */
	if (result < 0 || *name == '\0')
		return result;
	parent = tree_find(w->tree, node->parent);
	n = tree_find(w->tree, node->node);
	if (!parent)
		return -EBADMSG;
	if (node->retired) {
		versions_restore(w->tree, n, tree_lookup(parent, name));
		return 0;
	}
	if (n->set && n->since > w->generation)
		w->generation = n->since;
	return tree_link(w->tree, n, parent);
}

static int on_mount(struct worker *w, struct record *r)
{
	const struct wr_mount *mount = (const struct wr_mount *)r->payload;
	int result;

	if (w->device || (!tree_root(w->tree) && mount->resume != RESUME_REFUSE))
		return -EBADMSG;
	result = device_new(r->fds[0], w->shared, &serve_ops, serve_unknown, w, &w->device);
	if (result == 0) {
		r->fds[0] = -1;
		if (r->nfds > 1) {
			fd_close(w->callers.pid_ns);
			w->callers.pid_ns = TAKE_FD(r->fds[1]);
		}
		if (mount->resume == RESUME_REFUSE) {
			device_refuse(w->device);
		} else if (mount->resume) {
			tree_inherit(w->tree);
			change_remake(&w->change, w->tree);
			device_resume(w->device);
		} else {
			tree_forget_all(w->tree);
			ring_forget_request(w->audit.ring);
			device_start(w->device);
		}
	}
	return answer_result(w, r, WR_MOUNTED, result);
}

static int on_stage(struct worker *w, struct record *r)
{
	const struct wr_stage *stage = (const struct wr_stage *)r->payload;
	size_t at = sizeof(*stage);
	char name[WORKER_NAME_MAX + 1];
	int result;

	if (w->change.state == CHANGE_PREPARED)
		return -EBADMSG;
	if (stage->kind == STAGE_PUT || stage->kind == STAGE_MKDIR)
		result = add_node(w, r, &stage->node, at, name);
	else
		result = r->nfds == 0 ? record_get_text(r, &at, name, sizeof(name)) : -EBADMSG;
	if (result == -EBADMSG)
		return result;
	if (result == 0)
		result = change_add(&w->change, w->tree, stage, name);
	/* What can't be is told with PREPARED, and the change then falls as a whole. */
	if (result < 0 && w->change_error == 0)
		w->change_error = result;
	if (w->change.state == CHANGE_NONE)
		w->change.state = CHANGE_STAGING;
	return 0;
}

static int on_prepare(struct worker *w, struct record *r)
{
	const struct wr_prepare *prepare = (const struct wr_prepare *)r->payload;
	int result = w->change_error;
	uint64_t generation = 0;

	if (w->change.state != CHANGE_STAGING)
		return -EBADMSG;
	w->change_error = 0;
	w->change.time_ns = times_now();
	if (result < 0)
		change_drop(&w->change, w->tree);
	else
		generation = change_prepare(&w->change, w->tree, prepare->token);
	if (generation > w->generation)
		w->generation = generation;
	return answer_result(w, r, WR_PREPARED, result);
}

static int on_finish(struct worker *w, struct record *r)
{
	if (w->change.state != CHANGE_PREPARED)
		return -EBADMSG;
	memcpy(w->finished, w->change.token, sizeof(w->finished));
	return answer_result(w, r, WR_FINISHED, change_finish(&w->change, w->tree));
}

static int on_deny(struct worker *w, struct record *r)
{
	const struct wr_deny *deny = (const struct wr_deny *)r->payload;
	struct tree_node *n = tree_find(w->tree, deny->node);

	if (n)
		n->denied = true;
	return answer_result(w, r, WR_DENIED, n ? 0 : -ENOENT);
}

static int on_connection(struct worker *w, struct record *r)
{
	const struct wr_connection *connection = (const struct wr_connection *)r->payload;
	int fd = TAKE_FD(r->fds[0]), pidfd = r->nfds > 1 ? TAKE_FD(r->fds[1]) : -1;

	return api_add(w->api, connection, fd, pidfd);
}

static int on_attach_result(struct worker *w, struct record *r)
{
	const struct wr_attach *attach = (const struct wr_attach *)r->payload;
	size_t at = sizeof(*attach);
	char text[WORKER_PATH_SIZE];

	if (record_get_text(r, &at, text, sizeof(text)) < 0 || at != r->len)
		return -EBADMSG;
	return api_attach_result(w->api, attach->id, attach->result, text);
}

static int on_ping(struct worker *w, struct record *r)
{
	return channel_send(&w->channel, WR_PONG, r->serial, NULL, 0);
}

/*
 * Who names cgroups wants them compared, also if HELLO did not say so: a pid namespace may come to
 * be shared later. 0 is no cgroup, and 1 the root of the hierarchy, in which on hosts with cgroup
 * v1 every process is.
 */
static int on_callers(struct worker *w, struct record *r)
{
	const struct wr_callers *callers = (const struct wr_callers *)r->payload;

	if (callers->count > WORKER_CGROUPS_MAX)
		return -EBADMSG;
	w->callers.check_cgroup = true;
	w->callers.count = 0;
	for (uint32_t i = 0; i < callers->count; i++)
		if (callers->cgroups[i] > 1)
			w->callers.cgroups[w->callers.count++] = callers->cgroups[i];
	if (r->nfds > 0) {
		fd_close(w->callers.pid_ns);
		w->callers.pid_ns = TAKE_FD(r->fds[0]);
	}
	return 0;
}

static int on_keep(struct worker *w, struct record *r)
{
	fd_close(w->clone_fd);
	w->clone_fd = TAKE_FD(r->fds[0]);
	return 0;
}

/* All that a broker needs to go on where its predecessor was. The channel is new, so there is room. */
static int on_adopt(struct worker *w, struct record *r)
{
	const int fds[] = { w->shared_fd, w->audit.wake, w->device ? device_fd(w->device) : -1,
		            w->clone_fd };
	struct wr_escrow escrow = { .proto = WORKER_PROTO,
		                    .mounted = w->device && w->clone_fd >= 0 };

	w->adopting = false;
	if (escrow.mounted && device_refuses(w->device))
		escrow.mounted = ESCROW_REFUSES;
	if (w->change.state == CHANGE_PREPARED)
		memcpy(escrow.prepared, w->change.token, sizeof(escrow.prepared));
	memcpy(escrow.finished, w->finished, sizeof(escrow.finished));
	return record_send(w->channel.fd, WR_ESCROW, r->serial, &escrow, sizeof(escrow), NULL, 0,
	                   fds, escrow.mounted ? 4 : 2);
}

static const struct rule {
	uint16_t type;
	bool first; /* comes before HELLO has been, else after */
	bool texts; /* counted texts follow */
	size_t size;
	size_t fds_min, fds_max;
	int (*handle)(struct worker *w, struct record *r);
} rules[] = {
	{ WR_HELLO, true, true, sizeof(struct wr_hello), 2, 3, on_hello },
	{ WR_NODE, false, true, sizeof(struct wr_node), 0, 1, on_node },
	{ WR_MOUNT, false, false, sizeof(struct wr_mount), 1, 2, on_mount },
	{ WR_STAGE, false, true, sizeof(struct wr_stage), 0, 1, on_stage },
	{ WR_PREPARE, false, false, sizeof(struct wr_prepare), 0, 0, on_prepare },
	{ WR_FINISH, false, false, 0, 0, 0, on_finish },
	{ WR_DENY, false, false, sizeof(struct wr_deny), 0, 0, on_deny },
	{ WR_CONNECTION, false, false, sizeof(struct wr_connection), 1, 2, on_connection },
	{ WR_ATTACH_RESULT, false, true, sizeof(struct wr_attach), 0, 0, on_attach_result },
	{ WR_PING, false, false, 0, 0, 0, on_ping },
	{ WR_CALLERS, false, false, sizeof(struct wr_callers), 0, 1, on_callers },
	{ WR_KEEP, false, false, 0, 1, 1, on_keep },
	{ WR_ADOPT, false, false, sizeof(struct wr_adopt), 0, 0, on_adopt },
};

static const struct rule *rule_for(const struct worker *w, const struct record *r)
{
	if ((r->type == WR_ADOPT) != w->adopting)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct rule *rule = &rules[i];

		if (rule->type == r->type)
			return rule->first == !w->shared && r->nfds >= rule->fds_min &&
			                       r->nfds <= rule->fds_max &&
			                       (rule->texts ? r->len >= rule->size
			                                    : r->len == rule->size)
			               ? rule
			               : NULL;
	}
	return NULL;
}

int channel_serve(struct worker *w)
{
	struct record *r = w->channel.record;
	const struct rule *rule;
	int result = record_recv(w->channel.fd, r);

	if (result == -EAGAIN || result == -EINTR)
		return 0;
	if (result == 0 || result == -ECONNRESET)
		return -EPIPE;
	if (result < 0)
		return result;
	rule = rule_for(w, r);
	result = rule ? rule->handle(w, r) : -EBADMSG;
	record_close_fds(r);
	if (result < 0)
		return result;
	channel_send_released(w);
	return 1;
}
