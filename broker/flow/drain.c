/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.c - audit records out of the workers' rings, into the log.
 *
 * A ring's consumer sleeps until the worker's eventfd wakes it, then looks again every DRAIN_USEC
 * until nothing came, and only then sleeps again: a busy worker pays for at most 20 wake-ups a
 * second. What was taken keeps its room in the ring until the log is on disk
 * (containers_log_flushed), so that a crash of the broker loses nothing.
 */
#include <sodium.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "audit/fold.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/container.h"
#include "flow/opened.h"
#include "flow/report.h"
#include "server/audit_pump.h"
#include "server/config.h"

#define DRAIN_USEC 50000
#define WAITED_FOR_USEC 1000
#define FOLD_USEC \
	1000000 /* how long counts wait; a container above its budget has a line a second each */
#define UNWRITTEN_USEC 500000 /* while the log has not been synced (its disk may be full) */
/* Records in one go: a hostile worker may write without end. */
#define DRAIN_BATCH (2 * (RING_SLOTS + RING_FOLDS))

static int to_log(void *arg, int64_t time_ns, const char *event, json_t *fields)
{
	return audit_add_at(arg, time_ns, event, fields);
}

int drain_new(struct containers *set, struct err *e)
{
	int result =
		audit_fold_new(set->b->config->audit_budget, to_log, set->b->audit, &set->fold);

	return result < 0 ? err_errno(e, result, "cannot prepare the audit budgets") : 0;
}

static int on_fold_due(sd_event_source *source, uint64_t usec, void *arg);

/* Counts that wait keep their records' room in the rings: not for long. */
void drain_arm_fold(struct containers *set)
{
	if (!set->fold_timer && audit_fold_due(set->fold) != INT64_MAX)
		sd_event_add_time_relative(set->b->event, &set->fold_timer, CLOCK_BOOTTIME,
		                           FOLD_USEC, 0, on_fold_due, set);
}

/* The worker's word, which a successor of ours reads in the registration: no time before 1970. */
static void note_open(struct container *c, struct node *n, int64_t time_ns)
{
	if (!opened_note(&c->tree, n, time_ns > 0 ? time_ns : times_now()))
		return;
	registry_save_soon(c);
	uptake_check(c->set, c);
}

static void take(struct container *c, const struct ring_record *record)
{
	struct node *n = record->node ? tree_by_id(&c->tree, record->node) : NULL;
	const struct subject *s = &c->facts.subject;
	int result;
	const struct ring_context context = {
		.instance = c->instance_text,
		.container = s->name[0] ? s->name : s->unit,
		.runtime = s->runtime,
		.name = n && n->kind == NODE_FILE ? n->name : NULL,
		.path = n ? n->path : NULL,
	};

	if (n && n->kind == NODE_FILE && record->result == 0 &&
	    (record->event == RING_OPEN || record->event == RING_API_GET))
		note_open(c, n, record->last_ns ? record->last_ns : record->time_ns);
	result = audit_fold_add(c->set->fold, &context, record, times_now());
	c->unsafe = true;
	if (result < 0)
		log_error("an audit record of %s is lost: %s", c->instance_text, strerror(-result));
	c->counts_wait |= result == 0;
	ring_mark(c->ring, result == 0 ? RING_WAITS : audit_lines(c->set->b->audit));
}

/*
 * What is folded goes on adding up in its slot of the ring; a slot that was taken is one less for the
 * worker until the log is on disk. So folds are taken right before lines are made of them, and none
 * while earlier ones are not safe: neither a disk that stays full nor brokers that are killed one
 * after the other use the slots up, for then readers would find no room.
 */
enum drain_how {
	DRAIN_GENTLY,     /* no folds while counts wait to become lines */
	DRAIN_FOLDS,      /* though counts wait, but for those that are not safe */
	DRAIN_EVERYTHING, /* what is left in the ring would be lost with it */
};

static bool takes_folds(const struct container *c, enum drain_how how)
{
	if (how == DRAIN_EVERYTHING)
		return true;
	return !c->folds_taken && (how == DRAIN_FOLDS || !c->counts_wait);
}

/* Returns how many were taken; *ret_all, which may be NULL, whether that is all there was. */
static int drain(struct container *c, enum drain_how how, bool *ret_all)
{
	struct ring_record record;
	bool corrupt = false, folds;
	int count = 0;

	if (ret_all)
		*ret_all = true;
	if (!c->ring || !c->set->fold) /* or the broker leaves: it is the next one's */
		return 0;
	while (count < DRAIN_BATCH && ring_take_main(c->ring, &record, &corrupt) == 1) {
		take(c, &record);
		count++;
	}
	folds = takes_folds(c, how);
	while (folds && count < DRAIN_BATCH && ring_take(c->ring, &record, &corrupt) == 1) {
		take(c, &record);
		c->folds_taken = true;
		count++;
	}
	sodium_memzero(&record, sizeof(record));
	if (ret_all)
		*ret_all = folds && count < DRAIN_BATCH;
	c->ring_corrupt |= corrupt;
	if (count)
		drain_arm_fold(c->set);
	return count;
}

/* What is added up becomes lines, and its records need not come again. */
static void write_folds(struct containers *set)
{
	for (struct container *c = set->first; c; c = c->next)
		drain(c, DRAIN_FOLDS, NULL);
	if (audit_fold_flush(set->fold, times_now(), true) < 0)
		return; /* it waits on */
	set->folds++;
	for (struct container *c = set->first; c; c = c->next)
		if (c->ring && c->counts_wait) {
			ring_mark_waiting(c->ring, audit_lines(set->b->audit));
			c->counts_wait = false;
		}
}

void drain_free(struct containers *set)
{
	set->fold_timer = sd_event_source_disable_unref(set->fold_timer);
	if (set->fold)
		write_folds(set);
	audit_fold_free(set->fold);
	set->fold = NULL;
}

static int on_fold_due(sd_event_source *source, uint64_t usec, void *arg)
{
	struct containers *set = arg;

	set->fold_timer = sd_event_source_disable_unref(set->fold_timer);
	write_folds(set);
	drain_arm_fold(set);
	return 0;
}

bool drain_now(struct container *c)
{
	bool all;

	drain(c, DRAIN_FOLDS, &all);
	return all;
}

void drain_lines(struct container *c)
{
	if (!c->set->fold)
		return;
	drain(c, DRAIN_EVERYTHING, NULL);
	if (c->counts_wait)
		write_folds(c->set);
}

void drain_settle(struct container *c)
{
	struct containers *set = c->set;

	drain_lines(c);
	if (set->fold && c->unsafe && audit_dirty(set->b->audit))
		(void)audit_pump_flush(set->b->audit_pump, NULL);
}

void drain_last(struct container *c)
{
	audit_fold_forget(c->set->fold, c->instance_text, times_now());
}

void containers_log_flushed(struct containers *c)
{
	c->flushes++;
	c->folds_flushed = c->folds;
	for (struct container *at = c->first; at; at = at->next)
		if (at->ring) {
			at->unsafe = false;
			ring_release(at->ring);
			at->folds_taken &= at->counts_wait;
			if (at->releases_wait)
				update_drop_released(at);
		}
}

void drain_all(struct containers *set)
{
	/* First what was taken earlier: until it is on disk, folds that came since stay in their rings. */
	write_folds(set);
	if (audit_dirty(set->b->audit))
		(void)audit_pump_flush(set->b->audit_pump, NULL);
	write_folds(set);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg);

/* Wake-ups of many containers are joined, unless somebody waits for what they opened. */
static uint64_t accuracy(const struct containers *set)
{
	return set->uptakes ? WAITED_FOR_USEC
	                    : 0; /* 0: the event loop's own, a quarter of a second */
}

static void look_again(struct container *c, uint64_t usec)
{
	if (c->drain_timer) {
		sd_event_source_set_time_accuracy(c->drain_timer, accuracy(c->set));
		sd_event_source_set_time_relative(c->drain_timer, usec);
		sd_event_source_set_enabled(c->drain_timer, SD_EVENT_ONESHOT);
	} else if (sd_event_add_time_relative(c->set->b->event, &c->drain_timer, CLOCK_MONOTONIC,
	                                      usec, accuracy(c->set), on_timer, c) < 0) {
		log_warn("cannot arm a timer; audit records wait for the next wake-up");
	}
}

void drain_promptly(struct container *c)
{
	int enabled = SD_EVENT_OFF;

	drain(c, DRAIN_GENTLY, NULL);
	if (c->drain_timer)
		sd_event_source_get_enabled(c->drain_timer, &enabled);
	if (enabled != SD_EVENT_OFF)
		look_again(c, DRAIN_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct container *c = arg;

	int count = drain(c, DRAIN_GENTLY, NULL);

	if (c->ring_corrupt && !c->gone)
		mount_failed(c, "its worker wrote nonsense into the audit ring and was ended");
	else if (count == 0 && audit_dirty(c->set->b->audit))
		/* Sleeping gives their room back: not before they are safe. */
		look_again(c, c->set->uptakes ? DRAIN_USEC : UNWRITTEN_USEC);
	else if (count > 0 || !ring_sleep(c->ring))
		look_again(c, DRAIN_USEC);
	return 0;
}

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct container *c = arg;

	drain(c, DRAIN_GENTLY, NULL);
	look_again(c, DRAIN_USEC); /* which also looks at what is corrupt */
	return 0;
}

int drain_watch(struct container *c)
{
	/* By its edges, and never read: the worker may have made reading block. */
	int result = sd_event_add_io(c->set->b->event, &c->wake_source, c->wake_fd,
	                             EPOLLIN | EPOLLET, on_wake, c);

	if (result >= 0 && !ring_sleep(c->ring))
		look_again(c, DRAIN_USEC);
	return result;
}
