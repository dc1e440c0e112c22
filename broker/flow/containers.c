/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/containers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/log.h"
#include "flow/container.h"
#include "flow/fdstore.h"
#include "flow/identity.h"
#include "flow/inspection.h"
#include "flow/reaction.h"
#include "flow/runs.h"
#include "flow/settle.h"
#include "flow/watch.h"
#include "flow/workload.h"

int containers_new(struct broker *b, struct containers **ret, struct err *e)
{
	struct containers *set = calloc(1, sizeof(*set));
	int result;

	if (!set)
		return err_set(e, -ENOMEM, "out of memory");
	set->b = b;
	set->contents = contents_new(b);
	result = set->contents && fdstore_new(&set->fdstore) == 0
	                 ? drain_new(set, e)
	                 : err_set(e, -ENOMEM, "out of memory");
	if (result >= 0) /* before a line of our own is in the log */
		result = runs_begin(b->runtime_fd, audit_lines_found(b->audit), &set->runs, e);
	if (result < 0) {
		drain_free(set);
		fdstore_free(set->fdstore);
		contents_free(set->contents);
		free(set);
		return result;
	}
	*ret = set;
	b->containers = set;
	if (pending_watch(set) < 0)
		log_warn("cannot watch for late registrations; they are taken in at the next "
		         "unseal");
	registry_load(set);
	return 0;
}

/* The broker leaves: workers go on serving what they have. */
static void let_go(struct container *c)
{
	registry_save(c); /* with what was opened since */
	operation_cancel(c->op);
	operation_cancel(c->check);
	c->op = c->check = NULL;
	c->op_is_update = false;
	reaction_drop(c); /* the registration has what is due */
	container_tell_waiters(c, -ECANCELED, "the broker is going down");
	workload_drop_waiting(c);
	update_abandon(c);
	throttle_drop(c);
	worker_release(c->worker);
	c->worker = NULL;
	c->worker_ready = false;
}

static void container_drop(struct container *c)
{
	sd_event_source_disable_unref(c->adopt_timer);
	sd_event_source_disable_unref(c->left_source);
	sd_event_source_disable_unref(c->end_source);
	sd_event_source_disable_unref(c->retry_timer);
	serving_stop(c);
	mount_drop(c);
	facts_clear(&c->facts);
	free(c);
}

void containers_free(struct containers *set)
{
	if (!set)
		return;
	set->leaving = true;
	settle_drop_all(set);
	inspection_drop_all(set);
	while (set->uptakes) /* their callers have gone with the server */
		containers_forget_uptake(set, set->uptakes);
	container_end_all(set); /* their end is told */
	drain_free(set); /* while the rings can still be told which lines their records became */
	for (struct container *c = set->first; c; c = c->next)
		let_go(c);
	while (set->first) {
		struct container *next = set->first->next;

		container_drop(set->first);
		set->first = next;
	}
	watch_free(set);
	sd_event_source_disable_unref(set->pending_source);
	sd_event_source_disable_unref(set->expiry_timer);
	registry_free(set);
	contents_free(set->contents);
	fdstore_free(set->fdstore);
	runs_free(set->runs);
	set->b->containers = NULL;
	free(set);
}

size_t containers_count(const struct containers *c)
{
	return c->count;
}

size_t containers_matching(const struct containers *set, const struct grant *g)
{
	size_t count = 0;

	for (const struct container *c = set->first; c; c = c->next)
		count += !c->gone && policy_matches(g, &c->facts.subject, NULL, NULL);
	return count;
}

bool containers_hold(struct containers *c, const struct peer *peer)
{
	const struct container *found = identity_by_cgroup(c, peer);

	return found && !found->facts.subject.host_mounts && !found->facts.subject.plain;
}

/* Nothing in a step ends a container. */
static void step_all(struct containers *set)
{
	struct container *c = set->first;

	while (c) {
		struct container *next = c->next;

		container_step(c);
		c = next;
	}
}

int containers_refresh(struct containers *c, containers_settled done, void *arg)
{
	int result = 0;

	c->generation++;
	if (done)
		result = settle_add(c, done, arg);
	step_all(c);
	expiry_arm(c);
	settle_check(c);
	return result;
}

void containers_withdraw(struct containers *set, const char *name)
{
	for (struct container *c = set->first; c; c = c->next)
		for (size_t i = 0; i < c->tree.count; i++) {
			struct node *n = &c->tree.node[i];

			n->withdrawn |= n->kind == NODE_FILE && strcmp(n->name, name) == 0;
		}
}

void containers_drain(struct containers *c)
{
	drain_all(c);
}

void containers_stop_all(struct containers *c)
{
	static const char why[] =
		"the broker is sealed, and its configuration stops what it serves then";

	for (struct container *at = c->first; at; at = at->next) {
		if (at->gone)
			continue;
		if (at->mount == MOUNT_UP && !at->withdrawing) {
			err_set(&at->reason, -ENOKEY, "%s", why);
			mount_withdraw(at, MOUNT_FAILED, "attach.failed");
		} else if (at->worker && !at->withdrawing) {
			mount_failed(at, why);
		}
	}
}
