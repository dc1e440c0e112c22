/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expiry.c - a version's time is up: what shows it is brought up to date.
 */
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/container.h"

/* the vault's clock; how far a clock set back can win after a crash */
#define MARK_EVERY_NS (3600 * NS_PER_S)
#define ACCURACY_USEC 1000  /* the event loop's own is a quarter of a second */
#define OVERDUE_USEC 250000 /* still shown: a change is under way, or what blocks it is */

static int on_time(sd_event_source *source, uint64_t usec, void *arg)
{
	struct containers *set = arg;

	struct err why;

	if (vault_state(set->b->vault) == VAULT_UNSEALED &&
	    vault_mark_time(set->b->vault, &why) < 0)
		log_warn("cannot save the time; after a restart a clock set back may win: %s",
		         why.text);
	containers_refresh(set, NULL, NULL);
	return 0;
}

/* The earliest time of what the container shows, or `next` if that is earlier. */
static int64_t earliest(const struct container *c, int64_t next)
{
	for (size_t i = 0; i < c->tree.count; i++) {
		const struct node *n = &c->tree.node[i];

		if (n->kind == NODE_FILE && !n->denied && n->expires_ns && n->expires_ns < next)
			next = n->expires_ns;
	}
	return next;
}

static void arm(struct containers *set, int64_t next)
{
	int64_t now = vault_now(set->b->vault);
	uint64_t usec = next > now ? (uint64_t)(next - now) / 1000 + 1 : OVERDUE_USEC;

	set->expiry_due_ns = next;
	set->expiry_timer = sd_event_source_disable_unref(set->expiry_timer);
	if (sd_event_add_time_relative(set->b->event, &set->expiry_timer, CLOCK_BOOTTIME, usec,
	                               ACCURACY_USEC, on_time, set) < 0)
		log_warn("cannot arm the timer for expiry");
}

void expiry_arm(struct containers *set)
{
	int64_t next = vault_now(set->b->vault) + MARK_EVERY_NS;

	for (const struct container *c = set->first; c; c = c->next)
		next = c->gone ? next : earliest(c, next);
	arm(set, next);
}

void expiry_shown(struct container *c)
{
	int64_t due = c->set->expiry_timer ? c->set->expiry_due_ns : INT64_MAX;
	int64_t next = earliest(c, due);

	if (next < due)
		arm(c->set, next);
}
