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
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/container.h"
#include "flow/opened.h"
#include "flow/report.h"
#include "flow/update.h"

/* after an attacher that failed: what blocks it (a reader, a limit) may be gone */
#define RETRY_USEC 1000000

struct update *update_new(size_t denials)
{
	struct update *update = calloc(1, sizeof(*update));

	if (!update)
		return NULL;
	update->denied = calloc(denials + 1, sizeof(*update->denied));
	if (!update->denied) {
		free(update);
		return NULL;
	}
	return update;
}

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
		result = content_get(c->set->contents, w->name, 0, &like.content, e);
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

static void deny_node(struct container *c, struct update *update, struct node *n,
                      const char *reason)
{
	n->denied = true;
	update->denied[update->denials++] = n->id;
	report_file(c, "withdraw", n, reason);
}

/*
 * Reads of what was ever at this path are to fail from now on: of every version, or, where another
 * secret comes in its place (`except`), of what is not that secret's or was removed.
 */
static void deny(struct container *c, struct update *update, const char *path, const char *except)
{
	int64_t now = vault_now(c->set->b->vault);

	for (size_t i = 0; i < c->tree.count; i++) {
		struct node *n = &c->tree.node[i];

		if (n->kind != NODE_FILE || n->staged || (n->denied && !n->linked) ||
		    strcmp(n->path, path) != 0)
			continue;
		if (!except || n->withdrawn || strcmp(n->name, except) != 0)
			deny_node(c, update, n,
			          n->expires_ns && n->expires_ns <= now
			                  ? "expired"
			                  : "no longer granted, or gone");
	}
}

/* What has lost its name but is still held open expires too. */
static bool is_expired_leftover(const struct node *n, int64_t now_ns)
{
	return n->kind == NODE_FILE && !n->linked && !n->staged && !n->denied && n->expires_ns &&
	       n->expires_ns <= now_ns;
}

bool update_has_leftovers(const struct container *c)
{
	int64_t now = vault_now(c->set->b->vault);

	for (size_t i = 0; i < c->tree.count; i++)
		if (is_expired_leftover(&c->tree.node[i], now))
			return true;
	return false;
}

static void deny_leftovers(struct container *c, struct update *update)
{
	int64_t now = vault_now(c->set->b->vault);

	for (size_t i = 0; i < c->tree.count; i++)
		if (is_expired_leftover(&c->tree.node[i], now))
			deny_node(c, update, &c->tree.node[i], "expired");
}

static int send_denials(struct container *c, const struct update *update)
{
	for (size_t i = 0; i < update->denials; i++) {
		struct wr_deny record = { update->denied[i] };
		int result =
			worker_send(c->worker, WR_DENY, &record, sizeof(record), NULL, 0, NULL, 0);

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

/* Everything that the worker has to hear of a change; the channel keeps the order. */
static int send_update(struct container *c)
{
	int result = send_denials(c, c->update);

	return result < 0 || c->update->steps == 0 ? result : send_prepare(c, c->update);
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
			deny(c, update, step->path, NULL);
	} else {
		if (step->kind == STAGE_PUT)
			deny(c, update, step->path, step->want->name);
		result = update_add_node(c, step, false, &n, e);
		if (result >= 0)
			s->node = n->id;
	}
	if (result >= 0)
		update->steps++;
	return result;
}

/* What sending to a worker says that has ended, or is ended for not listening. */
static bool is_dying(int result)
{
	return result == -EPIPE || result == -ECONNRESET || result == -ENOBUFS;
}

int update_begin(struct container *c, struct plan *plan, struct err *e)
{
	struct update *update = update_new(c->tree.count);
	int result = update ? 0 : err_set(e, -ENOMEM, "out of memory");

	if (update) {
		update->more = plan->more;
		randombytes_buf(update->token, sizeof(update->token));
		c->update = update;
		deny_leftovers(c, update);
	}
	for (size_t i = 0; i < plan->count && result >= 0; i++)
		result = add_step(c, update, &plan->step[i], e);
	if (result >= 0) {
		/* Before the worker knows: a successor of ours must know what it may know. */
		registry_save(c);
		result = update_resume(c);
		if (is_dying(result))
			return 0; /* its end comes through the loop: told anew, or abandoned */
	}
	if (result < 0) {
		update_abandon(c);
		return e && e->text[0]
		               ? err_prefix(e, result, "cannot change what the container sees")
		               : err_errno(e, result, "cannot change what the container sees");
	}
	return 0;
}

int update_resume(struct container *c)
{
	int result;

	if (!c->update)
		return 0;
	c->flow = FLOW_PREPARING;
	result = send_update(c);
	if (result >= 0 && c->update->steps == 0)
		update_proceed(c); /* nothing is staged, so nothing is prepared */
	return result;
}

void update_abandon(struct container *c)
{
	if (!c->update)
		return;
	if (c->op_is_update) {
		operation_cancel(c->op);
		c->op = NULL;
		c->op_is_update = false;
	}
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

/* Pages first, by themselves: a name whose folder a reader keeps locked must not keep them. */
static int put_drops(struct container *c, unsigned char *payload, size_t size, size_t *len,
                     uint32_t *count)
{
	struct update *update = c->update;
	int result = 0;

	for (size_t i = update->dropped;
	     i < update->denials && result >= 0 && *count < ATTACH_STEPS_MAX; i++) {
		const struct node *n = tree_by_id(&c->tree, update->denied[i]);

		update->dropping++;
		if (!n)
			continue; /* nobody could reach it any more */
		result = put_step(payload, size, len, update, CHANGE_DROP_PAGES, n);
		++*count;
	}
	return result;
}

static int put_steps(struct container *c, unsigned char *payload, size_t size, size_t *len,
                     uint32_t *count)
{
	struct update *update = c->update;
	int result = 0;

	update->dropping = 0;
	if (update->dropped < update->denials)
		return put_drops(c, payload, size, len, count);
	for (size_t i = 0; i < update->steps && result >= 0; i++) {
		const struct node *n = tree_by_id(&c->tree, update->step[i].node);

		if (!n)
			continue;
		result = put_step(payload, size, len, update, change_kind_of[update->step[i].kind],
		                  n);
		++*count;
	}
	return result;
}

static void over(struct container *c)
{
	bool more = c->update->more;

	if (c->withdrawing) {
		mount_gone(c);
		return;
	}
	update_commit(c);
	c->dirty |= more;
	container_flow_done(c);
}

int update_withdraw_all(struct container *c)
{
	struct update *update = update_new(c->tree.count);

	update_abandon(c);
	if (!update)
		return -ENOMEM;
	randombytes_buf(update->token, sizeof(update->token));
	c->update = update;
	for (size_t i = 0; i < c->tree.count; i++)
		if (c->tree.node[i].kind == NODE_FILE) {
			c->tree.node[i].denied = true;
			update->denied[update->denials++] = c->tree.node[i].id;
		}
	return update->denials > 0 ? update_resume(c) : -ENOENT;
}

void update_finish(struct container *c)
{
	if (c->update->steps == 0) { /* only pages were dropped */
		over(c);
		return;
	}
	c->flow = FLOW_FINISHING;
	if (worker_send(c->worker, WR_FINISH, NULL, 0, NULL, 0, NULL, 0) < 0)
		log_warn("cannot tell a worker to finish a change; it is told again when it is "
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
	if (c->withdrawing) { /* what could be done is done */
		mount_gone(c);
		return;
	}
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
	c->op_is_update = false;
	if (news->event == OPERATION_FAILED && news->error == -EPIPE && c->update &&
	    !c->update->repeated) {
		c->update->repeated =
			true; /* it was killed, and the container has no part in that */
		update_run(c);
		return;
	}
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
	if (c->update->dropping > 0) {
		c->update->dropped += c->update->dropping;
		if (c->update->dropped < c->update->denials || c->update->steps > 0) {
			update_run(c);
			return;
		}
	}
	if (c->worker_ready)
		update_finish(c);
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

	assert(!c->op);
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
		c->op_is_update = result >= 0;
	}
	if (result < 0)
		retry_later(c, "no attacher could be started");
}

void update_commit(struct container *c)
{
	struct update *update = c->update;

	drain_now(c); /* what was opened before belongs to what goes */
	for (size_t i = 0; i < update->steps; i++) {
		struct node *n = tree_by_id(&c->tree, update->step[i].node);
		struct node *old;

		if (!n)
			continue;
		switch (update->step[i].kind) {
		case STAGE_PUT:
			old = tree_by_path(&c->tree, n->path);
			if (old) {
				opened_inherit(n, old);
				old->linked = false;
			}
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
	update_abandon(c);
	update_drop_released(c);
	registry_save(c);
}

void update_proceed(struct container *c)
{
	if (c->mount == MOUNT_UP && c->op)
		c->flow = FLOW_CHANGING; /* an attacher is at it since before the worker died */
	else if (c->mount == MOUNT_UP)
		update_run(c);
	else
		update_finish(c);
}

/* It has dropped the change as a whole. */
static void on_dropped(struct container *c, int error)
{
	err_set(&c->reason, -EIO, "its worker could not take a change (%s)", strerror(-error));
	report_container(c, "change.failed", c->reason.text);
	c->incomplete = true;
	update_abandon(c);
	container_stuck(c);
}

static int on_prepared(struct container *c, int result)
{
	if (c->flow == FLOW_FINISHING && result >= 0)
		return 0; /* the attacher was faster */
	if (c->flow != FLOW_PREPARING || c->update->steps == 0)
		return -EBADMSG;
	if (result < 0)
		on_dropped(c, result);
	else
		update_proceed(c);
	return 0;
}

int update_on_worker(struct container *c, const struct record *r)
{
	int result = ((const struct wr_result *)r->payload)->result;

	if (!c->update) /* the answers that mount.c did not wait for, or nonsense */
		return c->mount == MOUNT_MAKING ? 0 : -EBADMSG;
	if (r->type == WR_PREPARED)
		return on_prepared(c, result);
	if (c->flow != FLOW_FINISHING)
		return -EBADMSG;
	over(c);
	/* Its tree is not what it is to be: a successor is told the whole. */
	return result < 0 ? -EBADMSG : 0;
}
