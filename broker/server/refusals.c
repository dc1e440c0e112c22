/* SPDX-License-Identifier: Apache-2.0 */
#include "server/refusals.h"

#include <stdlib.h>

#include "coffer/times.h"

struct refusal {
	uid_t uid;
	uint64_t cgroup_id;
	pid_t pid;      /* of the last one */
	uint64_t count; /* not recorded yet */
	struct err reason;
	bool used;
};

/* The last row is everybody's once the others are taken. */
struct refusals {
	struct broker *b;
	const char *event; /* of the audit log */
	sd_event_source *timer;
	struct refusal row[REFUSALS_MAX + 1];
};

static void record(struct refusals *r, const struct refusal *f, uint64_t count)
{
	json_t *fields = json_pack("{s:I, s:I, s:I, s:s}", "uid", (json_int_t)f->uid, "pid",
	                           (json_int_t)f->pid, "cgroup", (json_int_t)f->cgroup_id, "reason",
	                           f->reason.text);

	if (fields && count > 1)
		json_object_set_new(fields, "count", json_integer((json_int_t)count));
	/* A log that takes no more says so by itself; the peer is refused all the same. */
	(void)audit_add(r->b->audit, r->event, fields);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct refusals *r = arg;
	bool again = false;

	for (size_t i = 0; i <= REFUSALS_MAX; i++) {
		struct refusal *f = &r->row[i];

		if (!f->used)
			continue;
		if (f->count == 0) {
			f->used = false;
			continue;
		}
		record(r, f, f->count);
		f->count = 0;
		again = true;
	}
	if (!again)
		return 0;
	sd_event_source_set_time_relative(source, REFUSALS_FOLD_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

struct refusals *refusals_new(struct broker *b, const char *event)
{
	struct refusals *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->b = b;
	r->event = event;
	if (sd_event_add_time_relative(b->event, &r->timer, CLOCK_BOOTTIME, REFUSALS_FOLD_US, 0,
	                               on_timer, r) < 0 ||
	    sd_event_source_set_enabled(r->timer, SD_EVENT_OFF) < 0) {
		refusals_free(r);
		return NULL;
	}
	return r;
}

void refusals_free(struct refusals *r)
{
	if (!r)
		return;
	for (size_t i = 0; i <= REFUSALS_MAX; i++)
		if (r->row[i].used && r->row[i].count > 0)
			record(r, &r->row[i], r->row[i].count);
	sd_event_source_unref(r->timer);
	free(r);
}

static struct refusal *find(struct refusals *r, const struct peer *peer)
{
	struct refusal *unused = NULL;

	for (size_t i = 0; i < REFUSALS_MAX; i++) {
		struct refusal *f = &r->row[i];

		if (f->used && f->uid == peer->uid && f->cgroup_id == peer->cgroup_id)
			return f;
		if (!f->used && !unused)
			unused = f;
	}
	return unused ? unused : &r->row[REFUSALS_MAX];
}

void refusals_add(struct refusals *r, const struct peer *peer, const char *reason)
{
	struct refusal *f = find(r, peer);
	bool fresh = !f->used;
	int enabled = SD_EVENT_OFF;

	f->used = true;
	f->uid = peer->uid;
	f->pid = peer->pid;
	f->cgroup_id = peer->cgroup_id;
	err_set(&f->reason, 0, "%s", reason);
	if (fresh)
		record(r, f, 1);
	else
		f->count++;
	sd_event_source_get_enabled(r->timer, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	/* Without the timer nothing folds, and a count is still recorded at the end. */
	if (sd_event_source_set_time_relative(r->timer, REFUSALS_FOLD_US) >= 0)
		sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}
