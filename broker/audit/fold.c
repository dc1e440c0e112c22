/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/fold.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "coffer/times.h"

#define BUCKETS 256                         /* of one container's groups: chains of 4 at the most */
#define FUTURE_NS (60LL * NS_PER_S)         /* a record from further ahead gets our time instead */
#define ESCAPED_MAX (4 * RING_TEXT_MAX + 4) /* every byte of the text as \xHH */

static const char *const event_names[RING_EVENT_LAST + 1] = {
	[0] = "audit.gap",
	[RING_OPEN] = "open",
	[RING_OPENDIR] = "opendir",
	[RING_LOOKUP] = "lookup",
	[RING_WRITE] = "write",
	[RING_API_GET] = "api.get",
	[RING_API_LIST] = "api.list",
	[RING_API_REFUSED] = "api.refused",
	[RING_READ] = "read",
};

/* Equal records of one window. */
struct group {
	struct group *next;        /* in its bucket */
	struct ring_record record; /* the first one; its count is in `count` */
	uint64_t count;
	int64_t first_ns, last_ns;
	bool mixed; /* stands for many groups: only event and result are its own */
	char *name, *path;
};

/* One container's budget. */
struct account {
	struct account *next;
	char *instance, *container, *runtime;
	bool gone;                 /* the container: freed once nothing waits */
	int64_t window_end;        /* 0: none is running */
	uint64_t granted, refused; /* lines written in it */
	size_t groups;
	struct group *bucket[BUCKETS];
};

struct audit_fold {
	uint64_t budget;
	audit_fold_sink sink;
	void *arg;
	struct account *accounts;
};

int audit_fold_new(uint64_t budget, audit_fold_sink sink, void *arg, struct audit_fold **ret)
{
	struct audit_fold *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->budget = budget;
	f->sink = sink;
	f->arg = arg;
	*ret = f;
	return 0;
}

static void group_free(struct group *g)
{
	free(g->name);
	free(g->path);
	free(g);
}

static void account_free(struct account *a)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		while (a->bucket[i]) {
			struct group *g = a->bucket[i];

			a->bucket[i] = g->next;
			group_free(g);
		}
	}
	free(a->instance);
	free(a->container);
	free(a->runtime);
	free(a);
}

static void account_free_ptr(struct account **a)
{
	if (*a)
		account_free(*a);
	*a = NULL;
}

static void group_free_ptr(struct group **g)
{
	if (*g)
		group_free(*g);
	*g = NULL;
}

void audit_fold_free(struct audit_fold *f)
{
	if (!f)
		return;
	while (f->accounts) {
		struct account *a = f->accounts;

		f->accounts = a->next;
		account_free(a);
	}
	free(f);
}

/* A copy of a text that may be NULL. */
static int copy_text(const char *text, char **ret)
{
	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* Found accounts move to the front: records come in runs of one container. */
static struct account *find_account(struct audit_fold *f, const struct ring_context *context)
{
	SCOPED(account_free_ptr) struct account *a = NULL;

	for (struct account **at = &f->accounts; *at; at = &(*at)->next) {
		struct account *found = *at;

		if (strcmp(found->instance, context->instance) != 0)
			continue;
		*at = found->next;
		found->next = f->accounts;
		f->accounts = found;
		return found;
	}
	a = calloc(1, sizeof(*a));
	if (!a || copy_text(context->instance, &a->instance) < 0 ||
	    copy_text(context->container, &a->container) < 0 ||
	    copy_text(context->runtime, &a->runtime) < 0)
		return NULL;
	a->next = f->accounts;
	f->accounts = a;
	return TAKE_PTR(a);
}

/* A text field, if there is a text: made safe, so that no byte of it can spoil the line. */
static void set_text(json_t *fields, const char *key, const char *text, size_t len)
{
	char escaped[4 * NAME_LEN_MAX + 4];

	if (!text || len == 0)
		return;
	json_object_set_new(fields, key,
	                    json_string(name_escape(text, len, escaped, sizeof(escaped))));
}

static void set_number(json_t *fields, const char *key, uint64_t value)
{
	if (value > INT64_MAX)
		value = INT64_MAX;
	json_object_set_new(fields, key, json_integer((json_int_t)value));
}

static void set_result(json_t *fields, int16_t result)
{
	const char *name = result ? strerrorname_np(-result) : "granted";
	char number[16];

	if (!name) {
		snprintf(number, sizeof(number), "errno %d", -result);
		name = number;
	}
	json_object_set_new(fields, "result", json_string(name));
}

/* The fields that describe one record or a group of equal ones. NULL without memory. */
static json_t *make_fields(const struct account *a, const struct group *g)
{
	const struct ring_record *r = &g->record;
	json_t *fields = json_object();
	char time[TIMES_TEXT_MAX];

	if (!fields)
		return NULL;
	set_text(fields, "container", a->container, a->container ? strlen(a->container) : 0);
	set_text(fields, "runtime", a->runtime, a->runtime ? strlen(a->runtime) : 0);
	set_text(fields, "instance", a->instance, strlen(a->instance));
	if (r->event && !g->mixed) {
		set_text(fields, "path", g->path, g->path ? strlen(g->path) : 0);
		set_text(fields, "name", g->name, g->name ? strlen(g->name) : 0);
		if (r->version)
			set_number(fields, "version", r->version);
		set_text(fields, "text", r->text, strnlen(r->text, sizeof(r->text)));
		set_number(fields, "uid", r->uid);
		set_number(fields, "pid", r->pid);
	}
	if (g->mixed)
		json_object_set_new(fields, "mixed", json_true());
	if (r->event)
		set_result(fields, r->result);
	set_number(fields, "count", g->count);
	if (g->count > 1 && r->event) {
		json_object_set_new(fields, "first", json_string(times_format(g->first_ns, time)));
		json_object_set_new(fields, "last", json_string(times_format(g->last_ns, time)));
	}
	return fields;
}

static int write_group(struct audit_fold *f, const struct account *a, const struct group *g)
{
	json_t *fields = make_fields(a, g);

	if (!fields)
		return -ENOMEM;
	return f->sink(f->arg, g->last_ns, event_names[g->record.event], fields);
}

/* Write what waits in an account. What the sink takes goes; the first refusal ends it. */
static int flush_account(struct audit_fold *f, struct account *a)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		while (a->bucket[i]) {
			struct group *g = a->bucket[i];
			int r = write_group(f, a, g);

			if (r < 0)
				return r;
			a->bucket[i] = g->next;
			a->groups--;
			group_free(g);
		}
	}
	a->window_end = 0;
	a->granted = a->refused = 0;
	return 0;
}

static bool same_group(const struct group *g, const struct ring_record *r, bool mixed)
{
	const struct ring_record *have = &g->record;

	if (g->mixed != mixed || have->event != r->event || have->result != r->result)
		return false;
	return mixed ||
	       (have->uid == r->uid && have->node == r->node && have->version == r->version);
}

static size_t bucket_of(const struct ring_record *r, bool mixed)
{
	uint64_t hash = (uint64_t)r->event * 31 + (uint16_t)r->result;

	if (!mixed)
		hash = ((hash * 31 + r->uid) * 31 + r->node) * 31 + r->version;
	return (size_t)(hash % BUCKETS);
}

static struct group *find_group(struct account *a, const struct ring_record *r, bool mixed)
{
	for (struct group *g = a->bucket[bucket_of(r, mixed)]; g; g = g->next)
		if (same_group(g, r, mixed))
			return g;
	return NULL;
}

/* Add `from` to the group of its like, which is made if it isn't there. */
static int keep(struct account *a, const struct group *from, const struct ring_context *context)
{
	struct group *g = find_group(a, &from->record, false);
	bool mixed = !g && a->groups >= FOLD_GROUPS_MAX;

	if (mixed)
		g = find_group(a, &from->record, true);
	if (!g) {
		SCOPED(group_free_ptr) struct group *fresh = calloc(1, sizeof(*fresh));
		size_t bucket = bucket_of(&from->record, mixed);

		if (!fresh)
			return -ENOMEM;
		fresh->record = from->record;
		fresh->first_ns = from->first_ns;
		fresh->mixed = mixed;
		if (!mixed && (copy_text(context->name, &fresh->name) < 0 ||
		               copy_text(context->path, &fresh->path) < 0))
			return -ENOMEM;
		g = TAKE_PTR(fresh);
		g->next = a->bucket[bucket];
		a->bucket[bucket] = g;
		a->groups++;
	}
	g->count += from->count;
	g->last_ns = from->last_ns;
	return 0;
}

/* Times of a record, made plausible: a worker may write anything there. */
static void set_times(struct group *g, int64_t now_ns)
{
	const struct ring_record *r = &g->record;

	g->first_ns = r->time_ns > 0 && r->time_ns <= now_ns + FUTURE_NS ? r->time_ns : now_ns;
	g->last_ns = r->last_ns > 0 && r->last_ns <= now_ns + FUTURE_NS ? r->last_ns : g->first_ns;
}

int audit_fold_add(struct audit_fold *f, const struct ring_context *context,
                   const struct ring_record *record, int64_t now_ns)
{
	struct account *a = find_account(f, context);
	struct group g = { .record = *record, .count = record->count };
	uint64_t *used;

	if (!a)
		return -ENOMEM;
	if (g.record.event > RING_EVENT_LAST || g.record.result > 0)
		return -EBADMSG;
	if (g.count == 0)
		g.count = 1;
	set_times(&g, now_ns);
	/*
	 * What waits becomes lines in a flush only, after which its records are marked: made here, they
	 * would come again from the ring if the broker were killed before that.
	 */
	if (now_ns >= a->window_end) {
		a->window_end = now_ns + FOLD_WINDOW_NS;
		a->granted = a->refused = 0;
	}
	used = record->result || !record->event ? &a->refused : &a->granted;
	if (*used < f->budget) {
		/* Borrowed for one line; make_fields only reads them. */
		memcpy(&g.name, &context->name, sizeof(g.name));
		memcpy(&g.path, &context->path, sizeof(g.path));
		(*used)++;
		if (write_group(f, a, &g) == 0)
			return 1;
	}
	return keep(a, &g, context);
}

/* Write what waits if its minute is over, or at once. */
static int flush_if_due(struct audit_fold *f, struct account *a, int64_t now_ns, bool at_once)
{
	struct account before = *a;
	bool over = a->window_end && now_ns >= a->window_end;
	int r;

	if (!a->window_end || (!over && !at_once))
		return 0;
	r = flush_account(f, a);
	/* Asking for the log must not give a container a fresh budget. */
	if (r == 0 && !over) {
		a->window_end = before.window_end;
		a->granted = before.granted;
		a->refused = before.refused;
	}
	return r;
}

int audit_fold_flush(struct audit_fold *f, int64_t now_ns, bool all)
{
	struct account **at = &f->accounts;

	while (*at) {
		struct account *a = *at;
		int r = flush_if_due(f, a, now_ns, all || a->gone);

		if (r < 0)
			return r;
		if (a->gone) {
			*at = a->next;
			account_free(a);
		} else {
			at = &a->next;
		}
	}
	return 0;
}

int64_t audit_fold_due(const struct audit_fold *f)
{
	int64_t due = INT64_MAX;

	for (const struct account *a = f->accounts; a; a = a->next) {
		if (a->gone)
			return 0;
		if (a->groups > 0 && a->window_end < due)
			due = a->window_end;
	}
	return due;
}

void audit_fold_forget(struct audit_fold *f, const char *instance, int64_t now_ns)
{
	for (struct account **at = &f->accounts; *at; at = &(*at)->next) {
		struct account *a = *at;

		if (strcmp(a->instance, instance) != 0)
			continue;
		a->gone = true;
		/* Should the log take nothing now, the counts stay until a flush that it takes. */
		if (flush_if_due(f, a, now_ns, true) == 0) {
			*at = a->next;
			account_free(a);
		}
		return;
	}
}
