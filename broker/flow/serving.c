/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serving.c - the worker of a container: its start, the tree it is told, its end.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/adopt.h"
#include "flow/container.h"
#include "flow/report.h"
#include "flow/watch.h"
#include "flow/workload.h"
#include "server/config.h"

static int send_hello(struct container *c)
{
	const struct config *config = c->set->b->config;
	SCOPED_FD int listener = adopt_listen(c);
	const int fds[] = { c->shared_fd, c->wake_fd, listener };
	struct wr_hello hello = {
		.proto = WORKER_PROTO,
		.flags = config->audit_full_serve ? WORKER_FULL_SERVE : 0,
		.connections_max = config->connections_max,
		.calls_per_second = config->calls_per_second,
		.statfs_files = VIEW_FILES_MAX,
	};
	unsigned char texts[2048];
	size_t len = 0;
	const struct subject *s = &c->facts.subject;

	if (c->facts.fixed.flags & FACTS_SHARED_PID)
		hello.flags |= WORKER_CHECK_CGROUP;
	memcpy(hello.instance, c->instance, sizeof(hello.instance));
	if (record_put_text(texts, sizeof(texts), &len, s->name[0] ? s->name : s->unit) < 0 ||
	    record_put_text(texts, sizeof(texts), &len, s->runtime) < 0 ||
	    record_put_text(texts, sizeof(texts), &len, c->folder) < 0)
		return -EMSGSIZE;
	if (listener < 0)
		log_warn("a worker gets no socket for a later broker (%s)", strerror(-listener));
	return worker_send(c->worker, WR_HELLO, &hello, sizeof(hello), texts, len, fds,
	                   listener < 0 ? 2 : 3);
}

void serving_check_callers(struct container *c)
{
	struct wr_callers callers = { .count = 1, .cgroups = { c->facts.fixed.cgroup_id } };

	/* The mount speaks of callers as its pid namespace numbers them: the worker needs it to translate. */
	if (c->worker && worker_send(c->worker, WR_CALLERS, &callers, sizeof(callers), NULL, 0,
	                             &c->facts.pid_fd, 1) < 0)
		log_warn("cannot tell a worker which cgroup to serve");
}

static void fill_wr_node(struct container *c, const struct node *n, struct wr_node *ret)
{
	char parent_path[NAME_LEN_MAX + 1];
	const struct node *parent =
		n->path[0] ? tree_by_path(&c->tree, tree_parent_path(n->path, parent_path)) : NULL;

	*ret = (struct wr_node){
		.node = n->id,
		.parent = n->parent ? n->parent
		          : parent  ? parent->id
		                    : 0,
		.kind = n->kind,
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.size = n->size,
		.version = n->version,
		.mtime_ns = n->mtime_ns,
		.expires_ns = n->expires_ns,
		.set = n->set,
		.since = n->since,
		.retired = tree_is_retired(n, times_boottime()),
	};
}

int serving_send_node(struct container *c, uint16_t type, const struct node *n,
                      const struct wr_stage *stage)
{
	unsigned char texts[2 * NAME_LEN_MAX + 4096];
	struct wr_stage staged = stage ? *stage : (struct wr_stage){ 0 };
	struct wr_node plain;
	bool named;
	size_t len = 0, nfds = n->kind == NODE_FILE && n->content ? 1 : 0;
	int fd = nfds ? n->content->memfd : -1;

	fill_wr_node(c, n, &plain);
	if (stage && stage->kind != STAGE_PUT)
		nfds = 0;
	named = n->linked || stage || plain.retired;
	if (record_put_text(texts, sizeof(texts), &len, named ? name_last_segment(n->path) : "") <
	            0 ||
	    record_put_text(texts, sizeof(texts), &len, n->name ? n->name : "") < 0)
		return -EMSGSIZE;
	staged.node = plain;
	if (type == WR_STAGE)
		return worker_send(c->worker, type, &staged, sizeof(staged), texts, len, &fd, nfds);
	if (!named)
		plain.parent = 0; /* readable through descriptors still open, but nameless */
	return worker_send(c->worker, type, &plain, sizeof(plain), texts, len, &fd, nfds);
}

static int by_id(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

static int tell_node(struct container *c, struct node *n)
{
	struct wr_deny deny = { n->id };
	int result;

	if (n->staged || (n->kind == NODE_FILE && !n->content))
		return 0; /* of what is not had the bytes are withdrawn */
	if (n->released && !n->linked)
		return 0; /* nobody can ask for it, nor let go of it once more */
	n->released = false;
	result = serving_send_node(c, WR_NODE, n, NULL);
	if (result >= 0 && n->denied)
		result = worker_send(c->worker, WR_DENY, &deny, sizeof(deny), NULL, 0, NULL, 0);
	return result;
}

/*
 * Every node it must know, parents first: a child always came after its folder. Those of a change
 * come with it; what has lost its name of late comes last, backwards (worker_proto.h).
 */
static int send_tree(struct container *c)
{
	struct node **order = calloc(c->tree.count + 1, sizeof(struct node *));
	int64_t now = times_boottime();
	int result = order ? 0 : -ENOMEM;

	for (size_t i = 0; i < c->tree.count && order; i++)
		order[i] = &c->tree.node[i];
	if (order)
		qsort(order, c->tree.count, sizeof(struct node *), by_id);
	for (size_t i = 0; i < c->tree.count && result >= 0; i++)
		if (!tree_is_retired(order[i], now))
			result = tell_node(c, order[i]);
	for (size_t i = c->tree.count; i-- > 0 && result >= 0;)
		if (tree_is_retired(order[i], now))
			result = tell_node(c, order[i]);
	free(order);
	return result;
}

/* The file system, and the pid namespace in which it was made. */
int serving_send_mount(struct container *c, enum worker_resume resume)
{
	const struct wr_mount mount = { .resume = resume };
	const int fds[] = { c->fuse_fd, c->facts.pid_fd };

	return worker_send(c->worker, WR_MOUNT, &mount, sizeof(mount), NULL, 0, fds,
	                   c->facts.pid_fd >= 0 ? 2 : 1);
}

/* One that is to refuse everything needs nothing but the mount; it never counts as ready for more. */
static int tell_to_refuse(struct container *c)
{
	serving_keep(c);
	registry_save(c);
	return serving_send_mount(c, RESUME_REFUSE);
}

/* Its answer to HELLO: it gets its tree, what was going on when its predecessor died, and the
 * mount. */
static int on_ready(struct container *c, const struct record *r)
{
	const struct wr_ready *ready = (const struct wr_ready *)r->payload;
	int result;

	if (ready->proto != WORKER_PROTO)
		return -EPROTO;
	c->worker_ns = times_boottime();
	if (c->throttle.refusing)
		return tell_to_refuse(c);
	c->worker_ready = true;
	/* The next broker must know its pid before it has what outlives us: nobody else would end it. */
	registry_save(c);
	if (c->facts.fixed.flags & FACTS_SHARED_PID)
		serving_check_callers(c);
	result = send_tree(c);
	if (result >= 0)
		result = update_resume(c);
	if (result >= 0 && c->mount == MOUNT_UP)
		serving_keep(c); /* first: one without it would not outlive us */
	if (result >= 0 && c->fuse_fd >= 0)
		result = serving_send_mount(c, c->mount == MOUNT_UP ? RESUME_SERVE : RESUME_NOT);
	if (result < 0)
		return result;
	workload_serve_waiting(c);
	if (c->flow == FLOW_WORKER && c->fuse_fd >= 0 && c->mount == MOUNT_MAKING)
		c->flow = FLOW_MOUNTING;
	else if (c->flow == FLOW_WORKER || c->flow == FLOW_IDLE)
		container_flow_done(c); /* what came meanwhile */
	return 0;
}

/* The number of the request that a worker which has ended had read and not marked as answered; 0: none. */
static uint64_t request_in_hand(const struct container *c)
{
	struct fuse_in_header head = { 0 };

	if (c->shared)
		memcpy(&head, c->shared->recv, sizeof(head));
	return head.len != 0 ? head.unique : 0;
}

static void start_successor(struct container *c)
{
	struct err why;

	/* Sealed, and the values are not had: requests wait for the unseal. */
	if (serving_start(c, &why) == -ENOKEY) {
		c->flow = FLOW_IDLE;
		return;
	}
	if (!c->worker)
		mount_failed(c, "its worker ended, and no successor could be started");
}

/* A worker has ended by itself: a mount gets a successor on the same descriptor. */
static void on_worker_end(struct container *c)
{
	bool ready = c->worker_ready || c->worker_ns != 0;
	uint64_t request = request_in_hand(c);
	enum throttle_verdict verdict;
	struct err why;

	c->worker = NULL;
	c->worker_ready = c->asked_for_life = false;
	if (c->flow == FLOW_ADOPTING && !c->shared) {
		adopt_worker_ended(c);
		return;
	}
	if (shared_renew(c, &why) < 0) {
		mount_failed(c, why.text);
		return;
	}
	if (c->ring)
		ring_recover(c->ring);
	drain_promptly(c);
	if (!c->throttle.lifted)
		report_worker_ended(c, request != 0);
	if (c->mount == MOUNT_MAKING) {
		mount_failed(c, "its worker ended while the mount was being made");
		return;
	}
	if (c->mount != MOUNT_UP) { /* only connections, which are gone with it */
		c->throttle.lifted = false;
		update_abandon(c);
		serving_stop(c);
		if (c->flow == FLOW_WORKER || c->flow == FLOW_PREPARING ||
		    c->flow == FLOW_FINISHING || c->flow == FLOW_ADOPTING)
			container_flow_done(c); /* with the others an attacher has our question */
		registry_note_loaded(c->set);
		return;
	}
	adopt_replaced(c);
	verdict = throttle_on_end(c, ready, request);
	if (verdict == THROTTLE_REFUSE && c->withdrawing)
		mount_gone(c); /* nobody is left who would say no more than this */
	else if (verdict == THROTTLE_GIVE_UP)
		mount_failed(c,
		             "its worker ended again and again, also one that refuses everything; "
		             "readers get an error until `coffer attach`");
	else
		start_successor(c);
}

static void on_worker(void *arg, struct record *r)
{
	struct container *c = arg;
	int result = 0;

	if (c->ending) { /* nobody is served any more */
		if (!r)
			c->worker = NULL;
		return;
	}
	if (!r) {
		on_worker_end(c);
		return;
	}
	switch (r->type) {
	case WR_READY:
		result = c->worker_ready || c->worker_ns || c->flow == FLOW_ADOPTING
		                 ? -EBADMSG
		                 : on_ready(c, r);
		break;
	case WR_ESCROW:
		result = c->flow == FLOW_ADOPTING ? adopt_on_worker(c, r) : -EBADMSG;
		break;
	case WR_MOUNTED:
		mount_on_worker(c, r);
		break;
	case WR_PREPARED:
	case WR_FINISHED:
		result = update_on_worker(c, r);
		break;
	case WR_RELEASED:
		update_released(c, ((const struct wr_released *)r->payload)->node);
		break;
	case WR_ATTACH:
		workload_attach_asked(c, ((const struct wr_attach *)r->payload)->id);
		break;
	case WR_PONG:
		watch_sign_of_life(c);
		break;
	default: /* DENIED: the channel is ordered, so PREPARED says it all */
		break;
	}
	if (result < 0) {
		worker_stop(c->worker);
		on_worker_end(c);
	}
}

/* A tree of what it is to see now; nobody has seen it yet, so no steps are needed. */
static int fill_tree(struct container *c, struct err *e)
{
	struct wants wants = { 0 };
	bool more = true;
	int result = wants_make(c, &wants, e);

	while (result >= 0 && more) {
		struct plan plan = { 0 };

		result = tree_plan(&c->tree, wants.want, wants.count, &plan);
		for (size_t i = 0; result >= 0 && i < plan.count; i++)
			result = update_add_node(c, &plan.step[i], true, NULL, e);
		if (result >= 0 && plan.clash)
			container_note_clash(c, plan.clash);
		more = plan.more;
		plan_clear(&plan);
	}
	wants_clear(&wants);
	return result;
}

/* Folders belong to the container's root; where that is nobody's on the host, to ours. */
int serving_new_tree(struct container *c)
{
	uint32_t uid = 0, gid = 0;
	int result;

	facts_map_uid(&c->facts, 0, &uid);
	facts_map_gid(&c->facts, 0, &gid);
	result = tree_init(&c->tree, uid, gid, content_unref);
	if (result >= 0)
		c->tree.node[0].mtime_ns = times_now();
	return result;
}

/* The bytes of what it shows: had already, but for a mount that was taken over. -ENOKEY while sealed. */
static int load_contents(struct container *c, struct err *e)
{
	for (size_t i = 0; i < c->tree.count; i++) {
		struct node *n = &c->tree.node[i];
		int result;

		if (n->kind != NODE_FILE || n->content || n->denied)
			continue;
		result = content_get(c->set->contents, n->name, n->version, &n->content, e);
		if (result == -ENOKEY)
			return result;
		/* The others are served all the same. This one is shown again by a change, or that says
		 * why not. */
		n->lacking = result < 0;
		c->dirty |= n->lacking;
	}
	return 0;
}

int serving_start(struct container *c, struct err *e)
{
	int result = 0;

	if (!c->shared)
		result = shared_make(c, e);
	if (result >= 0 && c->tree.count == 0)
		result = serving_new_tree(c);
	if (result >= 0 && c->mount == MOUNT_UP && !c->throttle.refusing)
		result = load_contents(c, e);
	else if (result >= 0 && c->mount != MOUNT_UP &&
	         vault_state(c->set->b->vault) == VAULT_UNSEALED)
		result = fill_tree(c, e);
	c->worker_ns = 0;
	if (result >= 0)
		result = worker_new(c->set->b, on_worker, c, &c->worker);
	if (result >= 0)
		result = send_hello(c);
	if (result < 0) {
		worker_stop(c->worker);
		c->worker = NULL;
		return result == -ENOKEY ? result : err_errno(e, result, "cannot start a worker");
	}
	if (c->mount != MOUNT_UP)
		c->flow = FLOW_WORKER;
	return 0;
}

int serving_adopt(struct container *c, int sock)
{
	return worker_adopt(c->set->b, sock, c->left_worker, c->left_worker_start, on_worker, c,
	                    &c->worker);
}

void serving_replace(struct container *c)
{
	c->worker_ready = false;
	worker_kill(c->worker);
}

void serving_renew(struct container *c)
{
	if (worker_pid(c->worker)) {
		c->throttle.lifted = true;
		serving_replace(c);
		return;
	}
	worker_stop(c->worker); /* it does not run yet, so nothing is in its hands */
	c->worker = NULL;
	start_successor(c);
}

void serving_keep(struct container *c)
{
	if (c->worker && worker_send(c->worker, WR_KEEP, NULL, 0, NULL, 0, &c->clone_fd, 1) < 0)
		log_warn("a worker does not keep its mount for a later broker");
}

void serving_stop(struct container *c)
{
	throttle_drop(c);
	drain_settle(c); /* what the worker holds of it ends with the worker */
	worker_stop(c->worker);
	c->worker = NULL;
	c->worker_ready = false;
	/* Another build's records come along, unless its memory goes on to the next broker. */
	if (!c->set->leaving)
		shared_renew(c, NULL);
	drain_settle(c);
	shared_drop(c);
	tree_clear(&c->tree);
}

void serving_attach_result(struct container *c, uint64_t id, int result, const char *text)
{
	struct wr_attach answer = { .id = id, .result = result };
	unsigned char tail[ERR_TEXT_MAX + 2];
	size_t len = 0;

	if (c->worker && record_put_text(tail, sizeof(tail), &len, text) == 0)
		worker_send(c->worker, WR_ATTACH_RESULT, &answer, sizeof(answer), tail, len, NULL,
		            0);
}
