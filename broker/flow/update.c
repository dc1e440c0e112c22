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
#include "flow/reaction.h"
#include "flow/report.h"
#include "flow/update.h"

#define CANNOT_CHANGE "cannot change what the container sees"
#define ROOM_USEC 200000 /* until nodes that wait for a pass's end may be gone */

static void update_free(struct update *update)
{
	free(update->step);
	free(update->denied);
	free(update);
}

struct update *update_new(size_t steps, size_t denials)
{
	struct update *update = calloc(1, sizeof(*update));

	if (!update)
		return NULL;
	update->step = calloc(steps + 1, sizeof(*update->step));
	update->denied = calloc(denials + 1, sizeof(*update->denied));
	if (!update->step || !update->denied) {
		update_free(update);
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
		like.set = w->set;
		like.since = c->generation;
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
	if (!n->denied) /* else a change that came to nothing has said so */
		report_file(c, "withdraw", n, reason);
	n->denied = true;
	update->denied[update->denials++] = n->id;
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

static bool adds_node(const struct step *step)
{
	return step->kind == STAGE_PUT || step->kind == STAGE_MKDIR;
}

/* How many of a plan's steps the tree has room for now. */
static size_t steps_that_fit(const struct container *c, const struct plan *plan)
{
	size_t room = WORKER_NODES_MAX - c->tree.count;

	for (size_t i = 0; i < plan->count; i++)
		if (adds_node(&plan->step[i]) && room-- == 0)
			return i;
	return plan->count;
}

static int on_room(sd_event_source *source, uint64_t usec, void *arg)
{
	struct container *c = arg;

	c->retry_timer = sd_event_source_disable_unref(c->retry_timer);
	container_step(c);
	return 0;
}

/*
 * Changes that come faster than what they replace can go, and than the log is written, wait for that: so
 * a pass keeps its versions, and a set is not changed in parts. True if there is something to wait for.
 */
static bool wait_for_room(struct container *c)
{
	int64_t now = times_boottime();

	for (size_t i = 0; i < c->tree.count; i++) {
		const struct node *n = &c->tree.node[i];

		if (!tree_went_lately(n, now) && !(n->released && !n->linked))
			continue;
		sd_event_source_disable_unref(c->retry_timer);
		c->retry_timer = NULL;
		return sd_event_add_time_relative(c->set->b->event, &c->retry_timer, CLOCK_BOOTTIME,
		                                  ROOM_USEC, 0, on_room, c) >= 0;
	}
	return false;
}

/* What comes of a set comes in a generation of its own. */
static void number_change(struct container *c, const struct plan *plan, size_t steps)
{
	for (size_t i = 0; i < steps; i++)
		if (plan->step[i].kind == STAGE_PUT && plan->step[i].want->set) {
			c->generation++;
			return;
		}
}

/* A plan's removals stand in front: they need no room, and nothing that may not be had. */
static size_t removals(const struct plan *plan)
{
	size_t n = 0;

	while (n < plan->count && !adds_node(&plan->step[n]))
		n++;
	return n;
}

/*
 * Something that was to come cannot be had. What goes still goes: its names, and reads of it. False if
 * nothing does.
 */
static bool keep_removals(struct container *c, const struct plan *plan, const struct err *why)
{
	struct update *update = c->update;
	size_t steps = removals(plan);

	if (!update)
		return false;
	for (size_t i = c->tree.count; i-- > 0;)
		if (c->tree.node[i].staged)
			tree_remove(&c->tree, c->tree.node[i].id);
	update->steps = update->steps < steps ? update->steps : steps;
	update->why = *why;
	return update->steps > 0 || update->denials > 0;
}

int update_begin(struct container *c, struct plan *plan, struct err *e)
{
	size_t steps = steps_that_fit(c, plan);
	struct update *update;
	struct err why = { "" };
	int result;

	if (steps < plan->count && wait_for_room(c)) {
		steps = removals(plan);
		if (steps == 0)
			return 0;
	}
	update = update_new(plan->count, c->tree.count);
	result = update ? 0 : err_set(&why, -ENOMEM, "out of memory");
	/* What does not fit at all fails with a reason when its turn comes. */
	if (steps == 0)
		steps = plan->count;
	if (update) {
		update->more = plan->more || steps < plan->count;
		number_change(c, plan, steps);
		randombytes_buf(update->token, sizeof(update->token));
		c->update = update;
		deny_leftovers(c, update);
	}
	for (size_t i = 0; i < steps && result >= 0; i++)
		result = add_step(c, update, &plan->step[i], &why);
	if (result < 0 && keep_removals(c, plan, &why))
		result = 0;
	if (result >= 0) {
		reaction_note(c);
		/* Before the worker knows: a successor of ours must know what it may know. */
		registry_save(c);
		result = update_resume(c);
		if (is_dying(result))
			return 0; /* its end comes through the loop: told anew, or abandoned */
	}
	if (result < 0) {
		update_abandon(c);
		return why.text[0] ? err_set(e, result, CANNOT_CHANGE ": %s", why.text)
		                   : err_errno(e, result, CANNOT_CHANGE);
	}
	return 0;
}

/* Of a change that an earlier broker began we know the versions, and have to get the bytes again. */
static int load_staged(struct container *c)
{
	int result = 0;

	for (size_t i = 0; i < c->tree.count && result >= 0; i++) {
		struct node *n = &c->tree.node[i];

		if (n->staged && n->kind == NODE_FILE && !n->content)
			result = content_get(c->set->contents, n->name, n->version, &n->content,
			                     NULL);
	}
	return result;
}

/* What was to come has been removed meanwhile: what goes still goes, and then all is planned anew. */
static void forget_steps(struct container *c)
{
	for (size_t i = c->tree.count; i-- > 0;)
		if (c->tree.node[i].staged)
			tree_remove(&c->tree, c->tree.node[i].id);
	c->update->steps = c->update->made = 0;
	c->update->more = true;
	if (c->update->denials > 0)
		return;
	update_abandon(c);
	c->flow = FLOW_IDLE;
	c->dirty = true;
}

static int tell(struct container *c)
{
	int result;

	c->flow = FLOW_PREPARING;
	result = send_update(c);
	if (result >= 0 && c->update->steps == 0)
		update_proceed(c); /* nothing is staged, so nothing is prepared */
	return result;
}

int update_resume(struct container *c)
{
	int result;

	if (!c->update)
		return 0;
	result = load_staged(c);
	if (result == -ENOKEY || result == -ENOMEM)
		return result;
	if (result < 0)
		forget_steps(c);
	return c->update ? tell(c) : 0;
}

int update_resume_without(struct container *c)
{
	forget_steps(c);
	return c->update ? tell(c) : 0;
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
	update_free(c->update);
	c->update = NULL;
}

static void over(struct container *c)
{
	bool more = c->update->more;
	struct err why = c->update->why;

	if (c->withdrawing) {
		mount_gone(c);
		return;
	}
	update_commit(c);
	if (why.text[0]) {
		struct err text;

		err_set(&text, -EIO, CANNOT_CHANGE ": %s", why.text);
		container_failed(c, text.text);
		return;
	}
	if (!more)
		reaction_run(c);
	c->dirty |= more;
	container_flow_done(c);
}

int update_withdraw_all(struct container *c)
{
	struct update *update = update_new(0, c->tree.count);

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
