/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.c - the one place that decides what a container needs next.
 */
#include <stdlib.h>
#include <string.h>

#include "coffer/log.h"
#include "flow/container.h"
#include "flow/reaction.h"
#include "flow/report.h"
#include "flow/workload.h"

void container_wait_mount(struct container *c, struct waiter *waiter)
{
	waiter->next = c->waiters;
	c->waiters = waiter;
}

void container_tell_waiters(struct container *c, int error, const char *why)
{
	struct waiter *w = c->waiters;

	c->waiters = NULL;
	while (w) {
		struct waiter *next = w->next;

		w->done(w->arg, c, error, why);
		free(w);
		w = next;
	}
}

void container_note_clash(struct container *c, const char *path)
{
	struct err text;

	err_set(&text, -EEXIST,
	        "%s is the container's own already (it was there before the mount); grant the "
	        "secret under "
	        "another path with --as",
	        path);
	if (strcmp(text.text, c->reason.text) == 0)
		return; /* said already */
	c->reason = text;
	report_container(c, "clash", text.text);
}

static const char *why_unmounted(const struct container *c)
{
	if (c->reason.text[0])
		return c->reason.text;
	return c->facts.subject.host_mounts ? HOST_MOUNTS_REASON : "nothing is mounted";
}

/* It shows all it can show of this generation; who waits for a mount gets none if there is none
 * now. */
static void settled(struct container *c)
{
	c->settled = c->set->generation;
	reaction_run(c);
	expiry_shown(c);
	if (c->mount == MOUNT_UP)
		container_tell_waiters(c, 0, c->folder);
	else if (vault_state(c->set->b->vault) != VAULT_UNSEALED)
		container_tell_waiters(c, -ENOKEY,
		                       "the broker is sealed; unseal it with `coffer unseal`");
	else
		container_tell_waiters(c, -ENOENT, why_unmounted(c));
	settle_check(c->set);
	uptake_check(c->set, c);
}

static void note_failure(struct container *c, const char *why)
{
	char label[256];

	log_warn("%s: %s", container_label(c, label, sizeof(label)), why);
	report_container(c, "change.failed", why);
}

static void fail(struct container *c, const char *why)
{
	note_failure(c, why);
	err_set(&c->reason, -EIO, "%s", why);
	c->incomplete = true; /* who waits for the change is told that it is not shown */
	settled(c);
}

void container_failed(struct container *c, const char *why)
{
	c->flow = FLOW_IDLE;
	if (c->dirty) /* looked at anew anyhow */
		container_step(c);
	else
		fail(c, why);
}

/* Somebody sees its tree: make the next change, if there is one. */
static void step_tree(struct container *c, struct wants *wants)
{
	struct plan plan = { 0 };
	struct err why = { "" };
	int result = tree_plan(&c->tree, wants->want, wants->count, &plan);
	bool busy;

	if (result >= 0 && plan.clash)
		container_note_clash(c, plan.clash);
	busy = plan.count > 0 || update_has_leftovers(c);
	if (result >= 0 && busy)
		result = update_begin(c, &plan, &why);
	if (result < 0)
		fail(c, why.text[0] ? why.text : "its tree could not be brought up to date");
	else if (!busy)
		settled(c);
	plan_clear(&plan);
}

/* What it is to see cannot be had as a whole: what it may see no longer goes all the same. */
static void step_incomplete(struct container *c, const char *why)
{
	struct wants wants = { 0 };

	if (!c->incomplete)
		note_failure(c, why);
	c->incomplete = true;
	if (c->mount != MOUNT_FAILED)
		err_set(&c->reason, -EIO, "%s", why);
	if (c->worker && c->worker_ready && wants_kept(c, &wants) == 0)
		step_tree(c, &wants);
	else
		settled(c);
	wants_clear(&wants);
}

static bool wants_mount(const struct container *c, const struct wants *wants)
{
	if (c->facts.subject.host_mounts || !(c->hook || c->explicit))
		return false; /* one that only talks on the workload socket is mounted when it asks
		               */
	if (c->mount == MOUNT_FAILED)
		return c->settled < c->set->generation && (wants->count > 0 || c->explicit);
	return c->mount == MOUNT_NONE && (wants->count > 0 || c->explicit);
}

/*
 * The small things that come before, or instead of, a mount: a mount left by an earlier broker is
 * taken off, a container that starts gets its empty folder, a connection that waits gets its
 * worker. True if one was begun.
 */
static bool start_without_mount(struct container *c)
{
	struct err why;

	if (c->folder_due) {
		c->folder_due = false;
		if (mount_folder(c) >= 0)
			return true;
		container_tell_waiters(c, 0, ""); /* it starts all the same */
		return false;
	}
	if (!c->connections || c->worker)
		return false;
	if (serving_start(c, &why) >= 0)
		return true;
	workload_drop_waiting(c);
	return false;
}

/*
 * While sealed nothing is known of grants: what is shown stays until it expires, what starts gets
 * its folder. True if sealed.
 */
static bool step_sealed(struct container *c)
{
	struct wants wants = { 0 };

	if (vault_state(c->set->b->vault) == VAULT_UNSEALED)
		return false;
	if (start_without_mount(c))
		return true;
	if (c->worker && c->worker_ready && wants_unexpired(c, &wants) == 1)
		step_tree(c, &wants);
	else if (!c->must_wait)
		settled(c);
	wants_clear(&wants);
	return true;
}

void container_step(struct container *c)
{
	struct wants wants = { 0 };
	struct err why = { "" };

	if (c->gone)
		return;
	if (c->flow != FLOW_IDLE || (c->worker && !c->worker_ready)) {
		c->dirty = true; /* looked at again when the flow ends, or the successor is ready */
		return;
	}
	c->dirty = false;
	if (step_sealed(c))
		return;
	if (c->mount == MOUNT_UP)
		c->reason.text[0] = '\0'; /* what still holds is said again below */
	if (wants_make(c, &wants, &why) < 0) {
		step_incomplete(c, why.text);
		return;
	}
	c->incomplete = false;
	if (c->mount == MOUNT_UP && !c->worker) { /* it died while the values were sealed away */
		if (serving_start(c, &why) < 0)
			mount_failed(c, why.text);
	} else if (c->dev && (c->mount == MOUNT_NONE || wants_mount(c, &wants))) {
		mount_clear_old(c);
	} else if (wants_mount(c, &wants)) {
		c->folder_due = false;
		c->settled = c->set->generation; /* a failure is not tried again before the next
		                                    change */
		if (mount_begin(c, &why) < 0)
			mount_failed(c, why.text);
		else
			c->settled = 0;
	} else if (c->worker && c->worker_ready) {
		step_tree(c, &wants);
	} else if (start_without_mount(c)) {
		c->dirty = true; /* look again when that is done */
	} else {
		settled(c);
	}
	wants_clear(&wants);
}

void container_stuck(struct container *c)
{
	c->flow = FLOW_IDLE;
	if (c->dirty || c->connections)
		container_step(c);
	else
		settled(c);
}

void container_flow_done(struct container *c)
{
	if (c->mount == MOUNT_FAILED) {
		container_stuck(c);
		return;
	}
	c->flow = FLOW_IDLE;
	container_step(c);
}
