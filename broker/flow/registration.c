/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registration.c - containers come and go.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/audit.h"
#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/adopt.h"
#include "flow/container.h"
#include "flow/reaction.h"
#include "flow/report.h"
#include "flow/workload.h"
#include "server/audit_pump.h"
#include "server/config.h"

#define ENDING_USEC 50000 /* others that end in it are written with it */

static bool is_called(const struct container *c, const char *name)
{
	const struct subject *s = &c->facts.subject;

	return strcmp(s->name, name) == 0 || strcmp(s->id, name) == 0 ||
	       (s->unit[0] && strcmp(s->unit, name) == 0);
}

struct container *container_find(struct containers *set, const char *name, bool *ambiguous)
{
	struct container *found = NULL;
	char label[512];

	*ambiguous = false;
	for (struct container *c = set->first; c; c = c->next) {
		if (c->gone)
			continue;
		if (strcmp(c->instance_text, name) == 0)
			return c;
		if (!is_called(c, name) &&
		    strcmp(container_label(c, label, sizeof(label)), name) != 0)
			continue;
		*ambiguous |= found != NULL;
		found = c;
	}
	return *ambiguous ? NULL : found;
}

struct container *container_by_cgroup(struct containers *set, bool unified, uint64_t id)
{
	for (struct container *c = set->first; c; c = c->next)
		if (!c->gone && c->facts.fixed.cgroup_id == id &&
		    (c->facts.fixed.cgroup_v2 != 0) == unified)
			return c;
	return NULL;
}

struct container *container_by_pid(struct containers *set, pid_t pid, uint64_t start_time)
{
	for (struct container *c = set->first; c; c = c->next)
		if (!c->gone && c->facts.fixed.pid == pid &&
		    c->facts.fixed.start_time == start_time)
			return c;
	return NULL;
}

const char *container_label(const struct container *c, char *buffer, size_t size)
{
	const struct subject *s = &c->facts.subject;
	const char *name = s->name[0] ? s->name : s->unit[0] ? s->unit : s->id;

	if (name[0])
		snprintf(buffer, size, "%s/%s", s->runtime[0] ? s->runtime : "process", name);
	else
		snprintf(buffer, size, "process/%d", c->facts.fixed.pid);
	return buffer;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	container_end(arg, "ended");
	return 0;
}

/* The broker's own cgroup is nobody's container. */
static bool is_own_cgroup(bool unified, uint64_t id)
{
	struct kern_cgroup own = { .fd = -1 };
	bool same =
		kern_cgroup_of(getpid(), &own, NULL) == 0 && own.id == id && own.unified == unified;

	fd_close(own.fd);
	return same;
}

/* Anybody with a cgroup of their own can be a plain process group: engines' containers keep room. */
#define PLAIN_SHARE 8

static size_t count_plain(const struct containers *set)
{
	size_t count = 0;

	for (const struct container *c = set->first; c; c = c->next)
		count += c->facts.subject.plain;
	return count;
}

static int may_register(struct containers *set, const struct facts *f, struct err *e)
{
	const struct container *other =
		container_by_cgroup(set, f->fixed.cgroup_v2, f->fixed.cgroup_id);
	char label[256];

	if (set->count >= set->b->config->containers_max)
		return err_set(e, -EBUSY,
		               "%zu containers are registered already; raise containers_max",
		               set->count);
	if ((f->fixed.flags & FACTS_PLAIN) &&
	    count_plain(set) >= set->b->config->containers_max / PLAIN_SHARE)
		return err_set(
			e, -EBUSY,
			"too many process groups that no engine knows are registered already");
	if (is_own_cgroup(f->fixed.cgroup_v2, f->fixed.cgroup_id))
		return err_set(e, -EPERM,
		               "process %d is in the broker's own cgroup; a container needs a "
		               "cgroup of its own",
		               f->fixed.pid);
	if (other && kern_pidfd_alive(other->facts.pidfd))
		return err_set(e, -EEXIST,
		               "its cgroup is already that of %s; a container needs a cgroup of "
		               "its own",
		               container_label(other, label, sizeof(label)));
	return 0;
}

/* Where pid namespaces are shared a non-zero pid proves nothing: both sides compare cgroups from
 * now on. */
static bool shares_pid_namespace(struct containers *set, const struct container *self)
{
	bool shared = self->facts.fixed.flags & FACTS_WEAK;

	for (struct container *c = set->first; c; c = c->next)
		if (c != self && !c->gone && c->facts.fixed.pid_ns == self->facts.fixed.pid_ns) {
			shared = true;
			c->facts.fixed.flags |= FACTS_SHARED_PID;
			serving_check_callers(c);
		}
	return shared;
}

void container_init(struct container *c, struct containers *set, const uint8_t *instance)
{
	c->set = set;
	c->fuse_fd = c->clone_fd = c->shared_fd = c->wake_fd = c->mounts_fd = -1;
	c->facts = (struct facts){
		.pidfd = -1, .cgroup_fd = -1, .mnt_fd = -1, .pid_fd = -1, .user_fd = -1
	};
	if (instance)
		memcpy(c->instance, instance, sizeof(c->instance));
	else
		randombytes_buf(c->instance, sizeof(c->instance));
	sodium_bin2hex(c->instance_text, sizeof(c->instance_text), c->instance,
	               sizeof(c->instance));
	snprintf(c->folder, sizeof(c->folder), "%s", c->set->b->config->mount_folder);
	c->since_ns = times_now();
}

int container_register(struct containers *set, struct facts *facts, const uint8_t *instance,
                       struct container **ret, struct err *e)
{
	struct container *old =
		container_by_cgroup(set, facts->fixed.cgroup_v2, facts->fixed.cgroup_id);
	int result = may_register(set, facts, e);
	struct container *c;
	struct facts none;

	if (result < 0)
		return result;
	if (old)
		container_end(old,
		              "ended"); /* dead, but its end has not come through the loop yet */
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	container_init(c, set, instance);
	none = c->facts;
	c->facts = *facts;
	*facts = none;
	result = sd_event_add_io(set->b->event, &c->end_source, c->facts.pidfd, EPOLLIN, on_end, c);
	if (result < 0) {
		facts_clear(&c->facts);
		free(c);
		return err_errno(e, result, "cannot watch the container");
	}
	c->next = set->first;
	set->first = c;
	set->count++;
	if (shares_pid_namespace(set, c))
		c->facts.fixed.flags |= FACTS_SHARED_PID;
	report_container(c, "register", NULL);
	*ret = c;
	return 0;
}

static void unlink_from_set(struct container *c)
{
	for (struct container **at = &c->set->first; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			c->set->count--;
			return;
		}
}

/* Everything is freed. */
static void finish(struct container *c)
{
	struct containers *set = c->set;

	unlink_from_set(c);
	serving_stop(c);
	/* The registration last: a broker after us knows by it what else there is. */
	adopt_forget(set, c->instance_text);
	registry_remove(c);
	drain_last(c);
	mount_drop(c);
	tree_clear(&c->tree);
	facts_clear(&c->facts);
	uptake_check(set, c); /* it is not in the set any more */
	free(c);
	settle_check(set);
	registry_note_loaded(set);
}

void container_end_all(struct containers *set)
{
	struct container *c;

	set->ending_timer = sd_event_source_disable_unref(set->ending_timer);
	do {
		for (c = set->first; c && !c->ending; c = c->next)
			;
		if (c)
			finish(c);
	} while (c);
}

/* Many containers end at a time, and a disk is slow: one writing is for all of them. */
static int on_ending(sd_event_source *source, uint64_t usec, void *arg)
{
	struct containers *set = arg;

	if (audit_dirty(set->b->audit)) /* if it cannot be written, it is kept in memory */
		(void)audit_pump_flush(set->b->audit_pump, NULL);
	container_end_all(set);
	return 0;
}

static bool end_later(struct container *c)
{
	struct containers *set = c->set;

	if (!c->ring || set->leaving)
		return false;
	drain_lines(c);
	return audit_dirty(set->b->audit) &&
	       (set->ending_timer ||
	        sd_event_add_time_relative(set->b->event, &set->ending_timer, CLOCK_BOOTTIME,
	                                   ENDING_USEC, 0, on_ending, set) >= 0);
}

void container_end(struct container *c, const char *why)
{
	if (c->ending)
		return;
	drain_now(c);
	report_container(c, "end", why);
	container_tell_waiters(c, -ESRCH, "the container has ended");
	workload_drop_waiting(c);
	/* Nothing of its own wakes it up any more, though it may stay for a moment. */
	c->end_source = sd_event_source_disable_unref(c->end_source);
	c->mounts_source = sd_event_source_disable_unref(c->mounts_source);
	c->adopt_timer = sd_event_source_disable_unref(c->adopt_timer);
	c->left_source = sd_event_source_disable_unref(c->left_source);
	c->retry_timer = sd_event_source_disable_unref(c->retry_timer);
	throttle_drop(c);
	operation_cancel(c->op);
	operation_cancel(c->check);
	c->op = c->check = NULL;
	c->op_is_update = false;
	reaction_drop(c);
	update_abandon(c);
	c->ending = end_later(c);
	c->gone = true;
	if (!c->ending) {
		finish(c);
		return;
	}
	settle_check(c->set); /* nobody waits for it */
	uptake_check(c->set, c);
}
