/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serving.c - the worker of a container: its shared memory, its start, the tree it is told, its
 * end.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

/* One that ends sooner than this after its start has crashed, and on what its successor gets too. */
#define CRASH_NS (NS_PER_S / 5)
#define CRASHES_MAX 10 /* in a row; then the mount is given up with an error instead of a spin */

static size_t shared_size(void)
{
	return sizeof(struct worker_shared) + ring_size();
}

static int map_shared(struct container *c, int shared_fd, int wake_fd)
{
	struct worker_shared *shared =
		mmap(NULL, shared_size(), PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);

	if (shared == MAP_FAILED) {
		fd_close(shared_fd);
		fd_close(wake_fd);
		return -errno;
	}
	c->shared = shared;
	c->shared_fd = shared_fd;
	c->wake_fd = wake_fd;
	return 0;
}

static int make_shared(struct container *c, struct err *e)
{
	SCOPED_FD int fd = memfd_create("coffer-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	SCOPED_FD int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int result;

	if (fd < 0 || wake < 0 || ftruncate(fd, (off_t)shared_size()) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_errno(e, -errno, "cannot make the memory shared with a worker");
	result = map_shared(c, TAKE_FD(fd), TAKE_FD(wake));
	if (result < 0)
		return err_errno(e, result, "cannot map the memory shared with a worker");
	c->shared->magic = WORKER_SHARED_MAGIC;
	c->shared->layout = WORKER_PROTO;
	c->ring = ring_format(c->shared->ring);
	return drain_watch(c);
}

/* What a worker gives back is checked as if it were hostile: it may not shrink under us. */
int serving_take_shared(struct container *c, int shared_fd, int wake_fd)
{
	int seals = fcntl(shared_fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(shared_fd, &st) < 0 ||
	    (size_t)st.st_size < shared_size()) {
		fd_close(shared_fd);
		fd_close(wake_fd);
		return -EBADMSG;
	}
	if (map_shared(c, shared_fd, wake_fd) < 0)
		return -ENOMEM;
	c->ring = ring_attach(c->shared->ring);
	if (!c->ring)
		return -EBADMSG;
	/* What our predecessor took and did not write comes again. */
	ring_rewind(c->ring, audit_lines_found(c->set->b->audit));
	return drain_watch(c);
}

static void drop_shared(struct container *c)
{
	c->wake_source = sd_event_source_disable_unref(c->wake_source);
	c->drain_timer = sd_event_source_disable_unref(c->drain_timer);
	if (c->shared)
		munmap(c->shared, shared_size());
	c->shared = NULL;
	c->ring = NULL;
	c->ring_corrupt = false;
	c->shared_fd = fd_close(c->shared_fd);
	c->wake_fd = fd_close(c->wake_fd);
}

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
	};
}

int serving_send_node(struct container *c, uint16_t type, const struct node *n,
                      const struct wr_stage *stage)
{
	unsigned char texts[2 * NAME_LEN_MAX + 4096];
	struct wr_stage staged = stage ? *stage : (struct wr_stage){ 0 };
	struct wr_node plain;
	size_t len = 0, nfds = n->kind == NODE_FILE && n->content ? 1 : 0;
	int fd = nfds ? n->content->memfd : -1;

	fill_wr_node(c, n, &plain);
	if (stage && stage->kind != STAGE_PUT)
		nfds = 0;
	if (record_put_text(texts, sizeof(texts), &len,
	                    n->linked || stage ? name_last_segment(n->path) : "") < 0 ||
	    record_put_text(texts, sizeof(texts), &len, n->name ? n->name : "") < 0)
		return -EMSGSIZE;
	staged.node = plain;
	if (type == WR_STAGE)
		return worker_send(c->worker, type, &staged, sizeof(staged), texts, len, &fd, nfds);
	if (!n->linked)
		plain.parent = 0; /* readable through descriptors still open, but nameless */
	return worker_send(c->worker, type, &plain, sizeof(plain), texts, len, &fd, nfds);
}

static int by_id(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Every node it must know, parents first: a child always came after its folder. Those of a change
 * come with it. */
static int send_tree(struct container *c)
{
	struct node **order = calloc(c->tree.count + 1, sizeof(struct node *));
	int result = order ? 0 : -ENOMEM;

	for (size_t i = 0; i < c->tree.count && order; i++)
		order[i] = &c->tree.node[i];
	if (order)
		qsort(order, c->tree.count, sizeof(struct node *), by_id);
	for (size_t i = 0; i < c->tree.count && result >= 0; i++) {
		order[i]->released = false; /* its predecessor's word */
		if (order[i]->staged || (order[i]->kind == NODE_FILE && !order[i]->content))
			continue; /* of what is not had the bytes are withdrawn */
		result = serving_send_node(c, WR_NODE, order[i], NULL);
		if (result >= 0 && order[i]->denied) {
			struct wr_deny deny = { order[i]->id };

			result = worker_send(c->worker, WR_DENY, &deny, sizeof(deny), NULL, 0, NULL,
			                     0);
		}
	}
	free(order);
	return result;
}

/* Its answer to HELLO: it gets its tree, what was going on when its predecessor died, and the
 * mount. */
static int on_ready(struct container *c, const struct record *r)
{
	const struct wr_ready *ready = (const struct wr_ready *)r->payload;
	struct wr_mount mount = { .resume = c->mount == MOUNT_UP };
	int result;

	if (ready->proto != WORKER_PROTO)
		return -EPROTO;
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
		result = worker_send(c->worker, WR_MOUNT, &mount, sizeof(mount), NULL, 0,
		                     &c->fuse_fd, 1);
	if (result < 0)
		return result;
	workload_serve_waiting(c);
	if (c->flow == FLOW_WORKER && c->fuse_fd >= 0 && c->mount == MOUNT_MAKING)
		c->flow = FLOW_MOUNTING;
	else if (c->flow == FLOW_WORKER || c->flow == FLOW_IDLE)
		container_flow_done(c); /* what came meanwhile */
	return 0;
}

/* A worker has ended by itself: a mount gets a successor on the same descriptor, unless they keep
 * dying. */
static void on_worker_end(struct container *c)
{
	int64_t now = times_boottime();
	struct err why;

	c->worker = NULL;
	c->worker_ready = c->asked_for_life = false;
	if (c->ring)
		ring_recover(c->ring);
	drain_now(c);
	c->crashes = now - c->worker_ns < CRASH_NS ? c->crashes + 1 : 0;
	report_container(c, "worker.ended", NULL);
	if (c->flow == FLOW_ADOPTING) {
		adopt_lost(c);
		return;
	}
	if (c->mount == MOUNT_MAKING) {
		mount_failed(c, "its worker ended while the mount was being made");
		return;
	}
	if (c->mount != MOUNT_UP) { /* only connections, which are gone with it */
		update_abandon(c);
		serving_stop(c);
		if (c->flow == FLOW_WORKER || c->flow == FLOW_PREPARING ||
		    c->flow == FLOW_FINISHING)
			container_flow_done(c); /* with the others an attacher has our question */
		return;
	}
	if (c->crashes <= CRASHES_MAX && serving_start(c, &why) == -ENOKEY)
		return; /* sealed, and the values are not had: requests wait for the unseal */
	if (c->crashes > CRASHES_MAX || !c->worker)
		mount_failed(c, "its worker ended again and again; readers get an error until "
		                "`coffer attach`");
}

static void on_worker(void *arg, struct record *r)
{
	struct container *c = arg;
	int result = 0;

	if (!r) {
		on_worker_end(c);
		return;
	}
	switch (r->type) {
	case WR_READY:
		result = c->worker_ready || c->flow == FLOW_ADOPTING ? -EBADMSG : on_ready(c, r);
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
		drain_now(c); /* its records still need the name */
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
	}
	return 0;
}

int serving_start(struct container *c, struct err *e)
{
	int result = 0;

	if (!c->shared)
		result = make_shared(c, e);
	if (result >= 0 && c->tree.count == 0)
		result = serving_new_tree(c);
	if (result >= 0 && c->mount == MOUNT_UP)
		result = load_contents(c, e);
	else if (result >= 0 && vault_state(c->set->b->vault) == VAULT_UNSEALED)
		result = fill_tree(c, e);
	c->worker_ns = times_boottime();
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
	worker_stop(c->worker);
	on_worker_end(c);
}

void serving_keep(struct container *c)
{
	if (c->worker && worker_send(c->worker, WR_KEEP, NULL, 0, NULL, 0, &c->clone_fd, 1) < 0)
		log_warn("a worker does not keep its mount for a later broker");
}

void serving_stop(struct container *c)
{
	worker_stop(c->worker);
	c->worker = NULL;
	c->worker_ready = false;
	drain_now(c);
	drop_shared(c);
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
