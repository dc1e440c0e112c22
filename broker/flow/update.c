/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.c - bringing a tree that somebody sees to what it is to be.
 *
 *	DENY every version of what goes       reads of it fail from here on
 *	STAGE each step, PREPARE              ► PREPARED
 *	an attacher renames, unlinks, makes
 *	and removes folders, drops pages      ► DONE
 *	FINISH                                ► FINISHED, and our tree says the same
 *
 * The attacher's part is repeated whole until it succeeds: each of its steps counts as done if it
 * is. Without a mount (only connections are served) there is nothing to rename, and FINISH follows
 * PREPARED at once. A worker that dies on the way is told the same change again.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/container.h"
#include "flow/report.h"

/* after an attacher that failed: what blocks it (a reader, a limit) may be gone */
#define RETRY_USEC 1000000

struct update_step {
	uint32_t kind; /* enum worker_stage_kind */
	uint64_t node; /* PUT, MKDIR: the new one; UNLINK, RMDIR: the one that goes */
};

struct update {
	uint8_t token[16];
	struct update_step step[PLAN_STEPS_MAX];
	size_t steps;
	uint64_t *denied; /* nodes whose pages are to be dropped */
	size_t denials;
	bool more;
	bool said; /* a failure of this change is in the log already */
};

int update_add_node(struct container *c, const struct step *step, bool linked, struct node **ret,
                    struct err *e)
{
	struct node like = { .linked = linked, .staged = !linked, .mode = 0755 };
	struct node *n;
	int result = 0;

	if (step->kind == STAGE_MKDIR) {
		like.kind = NODE_DIR;
		like.mtime_ns = times_now();
		facts_map_uid(&c->facts, 0, &like.uid);
		facts_map_gid(&c->facts, 0, &like.gid);
	} else {
		const struct want *w = step->want;

		like.kind = NODE_FILE;
		like.mode = w->mode;
		like.uid = w->uid;
		like.gid = w->gid;
		like.mtime_ns = w->mtime_ns;
		like.expires_ns = w->expires_ns;
		snprintf(like.grant, sizeof(like.grant), "%s", w->grant);
		result = content_get(c->set->contents, w->name, &like.content, e);
		if (result < 0)
			return result;
		like.version = like.content->version.number;
		like.size = like.content->version.size;
	}
	n = tree_add(&c->tree, &like, step->path, step->want ? step->want->name : NULL);
	if (!n) {
		content_unref(like.content);
		return err_set(e, -ENOSPC, "the container has too many files (at most %d)",
		               WORKER_NODES_MAX);
	}
	if (ret)
		*ret = n;
	return 0;
}

static void set_parent(struct container *c, struct node *n)
{
	char parent_path[NAME_LEN_MAX + 1];

	tree_parent_path(n->path, parent_path);
	for (size_t i = 0; i < c->tree.count; i++) {
		const struct node *p = &c->tree.node[i];

		if ((p->linked || p->staged) && p->kind == NODE_DIR &&
		    strcmp(p->path, parent_path) == 0)
			n->parent = p->id;
	}
}

static int stage(struct container *c, const struct update_step *s)
{
	struct wr_stage staged = { .kind = s->kind };
	struct node *n = tree_by_id(&c->tree, s->node);

	if (!n)
		return -ENOENT;
	set_parent(c, n);
	return serving_send_node(c, WR_STAGE, n, &staged);
}

/* Reads of every version that was ever at this path fail from now on. */
static int deny(struct container *c, struct update *update, const char *path, const char *reason)
{
	for (size_t i = 0; i < c->tree.count; i++) {
		struct node *n = &c->tree.node[i];
		struct wr_deny record = { n->id };
		int result;

		if (n->kind != NODE_FILE || n->staged || n->denied || strcmp(n->path, path) != 0)
			continue;
		n->denied = true;
		update->denied[update->denials++] = n->id;
		report_file(c, "withdraw", n, reason);
		result = worker_send(c->worker, WR_DENY, &record, sizeof(record), NULL, 0, NULL, 0);
		if (result < 0)
			return result;
	}
	return 0;
}

static int send_prepare(struct container *c, const struct update *update)
{
	struct wr_prepare prepare;

	for (size_t i = 0; i < update->steps; i++) {
		int result = stage(c, &update->step[i]);

		if (result < 0)
			return result;
	}
	memcpy(prepare.token, update->token, sizeof(prepare.token));
	return worker_send(c->worker, WR_PREPARE, &prepare, sizeof(prepare), NULL, 0, NULL, 0);
}

static int add_step(struct container *c, struct update *update, const struct step *step,
                    struct err *e)
{
	struct update_step *s = &update->step[update->steps];
	struct node *n = NULL;
	int result = 0;

	s->kind = step->kind;
	if (step->kind == STAGE_UNLINK || step->kind == STAGE_RMDIR) {
		s->node = step->node;
		if (step->kind == STAGE_UNLINK)
			result = deny(c, update, step->path, "no longer granted, or gone");
	} else {
		result = update_add_node(c, step, false, &n, e);
		if (result >= 0)
			s->node = n->id;
	}
	if (result >= 0)
		update->steps++;
	return result;
}

int update_begin(struct container *c, struct plan *plan, struct err *e)
{
	struct update *update = calloc(1, sizeof(*update));
	int result = update ? 0 : -ENOMEM;

	if (update) {
		update->denied = calloc(c->tree.count + 1, sizeof(*update->denied));
		update->more = plan->more;
		randombytes_buf(update->token, sizeof(update->token));
		c->update = update;
		result = update->denied ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < plan->count && result >= 0; i++)
		result = add_step(c, update, &plan->step[i], e);
	if (result >= 0)
		result = send_prepare(c, update);
	if (result < 0) {
		update_abandon(c);
		return err_prefix(e, result, "cannot change what the container sees: ");
	}
	c->flow = FLOW_PREPARING;
	return 0;
}

int update_resume(struct container *c)
{
	if (!c->update)
		return 0;
	c->flow = FLOW_PREPARING;
	return send_prepare(c, c->update);
}

void update_abandon(struct container *c)
{
	if (!c->update)
		return;
	for (size_t i = c->tree.count; i-- > 0;)
		if (c->tree.node[i].staged)
			tree_remove(&c->tree, c->tree.node[i].id);
	free(c->update->denied);
	free(c->update);
	c->update = NULL;
}

/* One step as the attacher is told it. */
static int put_step(unsigned char *payload, size_t size, size_t *len, const struct update *update,
                    uint32_t kind, const struct node *n)
{
	struct {
		uint32_t kind, reserved;
		uint64_t node;
	} fixed = { kind, 0, n->id };
	char staging[64], hex[33];
	const char *from = "", *to = "";

	if (kind == CHANGE_RENAME) {
		sodium_bin2hex(hex, sizeof(hex), update->token, sizeof(update->token));
		snprintf(staging, sizeof(staging), WORKER_STAGING_PREFIX "%s/%llu", hex,
		         (unsigned long long)n->id);
		from = staging;
		to = n->path;
	} else if (kind != CHANGE_DROP_PAGES) {
		from = n->path;
	}
	if (*len + sizeof(fixed) > size)
		return -EMSGSIZE;
	memcpy(payload + *len, &fixed, sizeof(fixed));
	*len += sizeof(fixed);
	if (record_put_text(payload, size, len, from) < 0 ||
	    record_put_text(payload, size, len, to) < 0)
		return -EMSGSIZE;
	return 0;
}

static const uint32_t change_kind_of[] = {
	[STAGE_PUT] = CHANGE_RENAME,
	[STAGE_UNLINK] = CHANGE_UNLINK,
	[STAGE_MKDIR] = CHANGE_MKDIR,
	[STAGE_RMDIR] = CHANGE_RMDIR,
};

static int put_steps(struct container *c, unsigned char *payload, size_t size, size_t *len,
                     uint32_t *count)
{
	const struct update *update = c->update;
	int result = 0;

	for (size_t i = 0; i < update->steps && result >= 0; i++) {
		const struct node *n = tree_by_id(&c->tree, update->step[i].node);

		if (!n)
			continue;
		result = put_step(payload, size, len, update, change_kind_of[update->step[i].kind],
		                  n);
		++*count;
	}
	for (size_t i = 0; i < update->denials && result >= 0 && *count < ATTACH_STEPS_MAX; i++) {
		const struct node *n = tree_by_id(&c->tree, update->denied[i]);

		if (!n)
			continue;
		result = put_step(payload, size, len, update, CHANGE_DROP_PAGES, n);
		++*count;
	}
	return result;
}

static void send_finish(struct container *c)
{
	c->flow = FLOW_FINISHING;
	if (worker_send(c->worker, WR_FINISH, NULL, 0, NULL, 0, NULL, 0) < 0)
		log_warn("cannot tell a worker to finish a update; it is told again when it is "
		         "replaced");
}

static int on_retry(sd_event_source *source, uint64_t usec, void *arg)
{
	struct container *c = arg;

	c->retry_timer = sd_event_source_disable_unref(c->retry_timer);
	if (c->flow == FLOW_CHANGING && !c->op)
		update_run(c);
	return 0;
}

static void retry_later(struct container *c, const char *why)
{
	if (c->update && !c->update->said)
		report_container(c, "change.failed", why);
	if (c->update)
		c->update->said = true;
	sd_event_source_disable_unref(c->retry_timer);
	c->retry_timer = NULL;
	sd_event_add_time_relative(c->set->b->event, &c->retry_timer, CLOCK_BOOTTIME, RETRY_USEC, 0,
	                           on_retry, c);
}

static void on_changed(void *arg, struct operation_news *news)
{
	struct container *c = arg;
	const struct ar_done *done;

	if (news->event == OPERATION_SLOW) {
		report_container(c, "change.slow",
		                 "a reader in the container keeps its folder locked");
		if (c->update)
			c->update->said = true;
		return;
	}
	c->op = NULL;
	if (news->event == OPERATION_FAILED) {
		retry_later(c, news->why.text);
		return;
	}
	done = (const struct ar_done *)news->record->payload;
	if (news->record->type != AR_DONE || news->record->len < sizeof(*done) ||
	    done->result < 0) {
		retry_later(c, "a rename or removal in the mount failed");
		return;
	}
	if (c->worker_ready)
		send_finish(c);
}

void update_run(struct container *c)
{
	static const size_t size = RECORD_PAYLOAD_MAX;
	SCOPED(free_ptr) unsigned char *payload = malloc(size);
	struct ar_change head = { 0 };
	const int fds[] = { c->clone_fd, c->fuse_fd };
	size_t len = 0;
	int result =
		payload ? put_steps(c, payload, size - sizeof(head), &len, &head.steps) : -ENOMEM;

	c->flow = FLOW_CHANGING;
	if (result >= 0) {
		const struct operation_request request = {
			.type = AR_CHANGE,
			.payload = &head,
			.len = sizeof(head),
			.tail = payload,
			.tail_len = len,
			.fds = fds,
			.nfds = ARRAY_LEN(fds),
			.limit_s = CONTAINER_CHANGE_S,
		};

		result = operation_start(c->set->b, &request, on_changed, c, &c->op);
	}
	if (result < 0)
		retry_later(c, "no attacher could be started");
}

/* Our tree says what the worker's says. */
static void commit(struct container *c)
{
	struct update *update = c->update;

	for (size_t i = 0; i < update->steps; i++) {
		struct node *n = tree_by_id(&c->tree, update->step[i].node);
		struct node *old;

		if (!n)
			continue;
		switch (update->step[i].kind) {
		case STAGE_PUT:
			old = tree_by_path(&c->tree, n->path);
			if (old)
				old->linked = false;
			n->linked = true;
			n->staged = false;
			report_file(c, "show", n, NULL);
			break;
		case STAGE_MKDIR:
			n->linked = true;
			n->staged = false;
			break;
		case STAGE_RMDIR:
		case STAGE_UNLINK:
			n->linked = false;
			break;
		}
	}
}

void update_on_worker(struct container *c, const struct record *r)
{
	const struct wr_result *result = (const struct wr_result *)r->payload;

	if (!c->update)
		return;
	if (r->type == WR_PREPARED &&
	    result->result < 0) { /* it has dropped the change as a whole */
		err_set(&c->reason, -EIO, "its worker could not take a change (%s)",
		        strerror(-result->result));
		report_container(c, "change.failed", c->reason.text);
		update_abandon(c);
		container_stuck(c);
	} else if (r->type == WR_PREPARED && c->flow == FLOW_PREPARING) {
		if (c->mount == MOUNT_UP)
			update_run(c);
		else
			send_finish(c);
	} else if (r->type == WR_FINISHED && c->flow == FLOW_FINISHING) {
		bool more = c->update->more;

		commit(c);
		update_abandon(c);
		c->dirty |= more;
		container_flow_done(c);
	}
}

void update_released(struct container *c, uint64_t node)
{
	struct node *n = tree_by_id(&c->tree, node);

	if (n && !n->linked && !n->staged)
		tree_remove(&c->tree, node);
}
