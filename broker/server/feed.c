/* SPDX-License-Identifier: Apache-2.0 */
#include "server/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "coffer/name.h"
#include "coffer/times.h"
#include "flow/containers.h"

/* The wall clock may be set forward meanwhile: it is looked at now and then. */
#define LOOK_EVERY_NS (3600 * NS_PER_S)
#define ACCURACY_USEC 1000

struct entry {
	struct entry *next;
	enum feed_kind kind;
	uint64_t version, position;
	char *name;
};

struct feed_reader {
	struct feed_reader *next;
	struct feed *feed;
	uid_t uid;
	char *pattern, *listed; /* listed: up to this name; NULL and `all`: everything */
	bool all;
	struct entry *first, **last;
	size_t waiting;
	int error; /* what ends it */
	void (*wake)(void *arg);
	void *arg;
};

struct feed {
	struct broker *b;
	struct feed_reader *first;
	size_t readers;
	uint64_t position, shown;
	int64_t mark_ns; /* what expired up to here has been noted */
	int64_t due_ns;  /* the next expiry */
	sd_event_source *timer;
};

int feed_new(struct broker *b, struct feed **ret, struct err *e)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	f->b = b;
	*ret = f;
	return 0;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	sd_event_source_disable_unref(f->timer);
	free(f);
}

bool feed_matches(const char *pattern, const char *name)
{
	size_t len = pattern ? strlen(pattern) : 0;

	if (len == 0)
		return true;
	return pattern[len - 1] == '/' ? name_has_prefix(name, pattern)
	                               : strcmp(name, pattern) == 0;
}

static void entry_free(struct entry *entry)
{
	free(entry->name);
	free(entry);
}

static void stop(struct feed_reader *r, int error)
{
	r->error = error;
	r->wake(r->arg);
}

static void enqueue(struct feed_reader *r, const struct entry *like, const char *name)
{
	struct entry *entry = r->waiting < FEED_QUEUE_MAX ? calloc(1, sizeof(*entry)) : NULL;

	if (entry) {
		*entry = *like;
		entry->name = strdup(name);
	}
	if (!entry || !entry->name) {
		free(entry);
		stop(r, -EBUSY);
		return;
	}
	*r->last = entry;
	r->last = &entry->next;
	r->waiting++;
}

static void add(struct feed *f, enum feed_kind kind, const char *name, uint64_t version)
{
	const struct entry like = { .kind = kind, .version = version, .position = ++f->position };

	for (struct feed_reader *r = f->first; r; r = r->next) {
		/* What the list has not come to yet it will tell as it is by then. */
		bool listed = r->all || (r->listed && strcmp(name, r->listed) <= 0);

		if (!r->error && listed && feed_matches(r->pattern, name))
			enqueue(r, &like, name);
	}
}

/* ---- expiry ---- */

static int on_due(sd_event_source *source, uint64_t usec, void *arg);

static void arm(struct feed *f)
{
	int64_t left = f->due_ns - vault_now(f->b->vault);

	f->timer = sd_event_source_disable_unref(f->timer);
	if (f->readers == 0 || f->due_ns == INT64_MAX)
		return;
	left = left > LOOK_EVERY_NS ? LOOK_EVERY_NS : left < 0 ? 0 : left;
	if (sd_event_add_time_relative(f->b->event, &f->timer, CLOCK_BOOTTIME,
	                               (uint64_t)left / 1000 + 1, ACCURACY_USEC, on_due, f) < 0)
		log_warn("cannot arm a timer; who watches is not told of expiry");
}

struct expiring {
	struct feed *f;
	int64_t now_ns;
};

static int visit_expiring(void *arg, const struct vault_secret *secret)
{
	const struct expiring *x = arg;
	int64_t at = secret->current.expires_ns;

	if (at > x->now_ns)
		x->f->due_ns = at < x->f->due_ns ? at : x->f->due_ns;
	else if (at > x->f->mark_ns)
		add(x->f, FEED_EXPIRE, secret->name, secret->current.number);
	return 0;
}

/* Note what has expired since the last time, and find out when the next will. */
static void look(struct feed *f)
{
	struct expiring x = { f, vault_now(f->b->vault) };

	f->due_ns = INT64_MAX;
	if (vault_list(f->b->vault, "", visit_expiring, &x) == 0)
		f->mark_ns = x.now_ns;
	arm(f);
}

static int on_due(sd_event_source *source, uint64_t usec, void *arg)
{
	struct feed *f = arg;
	uint64_t before = f->position;

	look(f);
	if (f->position != before)
		feed_show(f);
	return 0;
}

void feed_note(struct feed *f, enum feed_kind kind, const char *name, uint64_t version)
{
	struct vault_secret now;
	int64_t at;

	add(f, kind, name, version);
	if (f->readers == 0 || kind != FEED_PUT || vault_find(f->b->vault, name, &now) < 0)
		return;
	at = now.current.expires_ns;
	if (at && at <= f->mark_ns) /* by the vault's clock, which no clock set back holds up */
		add(f, FEED_EXPIRE, name, version);
	else if (at && at < f->due_ns) {
		f->due_ns = at;
		arm(f);
	}
}

/* ---- what is shown ---- */

uint64_t feed_position(const struct feed *f)
{
	return f->position;
}

void feed_shown(struct feed *f, uint64_t position)
{
	if (position <= f->shown)
		return;
	f->shown = position;
	for (struct feed_reader *r = f->first; r; r = r->next)
		if (r->first)
			r->wake(r->arg);
}

struct showing {
	struct feed *f;
	uint64_t position;
};

static void on_shown(void *arg, const char *const *lagging, size_t count)
{
	struct showing *s = arg;

	feed_shown(s->f, s->position);
	free(s);
}

void feed_show(struct feed *f)
{
	struct showing *s = malloc(sizeof(*s));
	int r;

	if (s)
		*s = (struct showing){ f, f->position };
	r = containers_refresh(f->b->containers, s ? on_shown : NULL, s);
	if (!s || r < 0) {
		free(s);
		feed_shown(f, f->position);
	}
}

void feed_sealed(struct feed *f)
{
	f->timer = sd_event_source_disable_unref(f->timer);
	for (struct feed_reader *r = f->first; r; r = r->next)
		stop(r, -ENOKEY);
}

/* ---- readers ---- */

static int may_open(const struct feed *f, uid_t uid, struct err *e)
{
	size_t own = 0;

	for (const struct feed_reader *r = f->first; r; r = r->next)
		own += r->uid == uid;
	if (f->readers >= FEED_READERS_MAX || (uid != 0 && own >= FEED_UID_MAX))
		return err_set(e, -EBUSY, "too many watch already (at most %d, and %d for a uid)",
		               FEED_READERS_MAX, FEED_UID_MAX);
	return 0;
}

int feed_open(struct feed *f, uid_t uid, const char *pattern, void (*wake)(void *arg), void *arg,
              struct feed_reader **ret, struct err *e)
{
	int result = may_open(f, uid, e);
	struct feed_reader *r = result < 0 ? NULL : calloc(1, sizeof(*r));

	if (result < 0)
		return result;
	if (r && pattern)
		r->pattern = strdup(pattern);
	if (!r || (pattern && !r->pattern)) {
		free(r);
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->feed = f;
	r->uid = uid;
	r->last = &r->first;
	r->wake = wake;
	r->arg = arg;
	r->next = f->first;
	f->first = r;
	if (f->readers++ == 0) { /* nobody looked after expiry until now */
		f->mark_ns = vault_now(f->b->vault);
		look(f);
	}
	*ret = r;
	return 0;
}

void feed_close(struct feed_reader *r)
{
	if (!r)
		return;
	for (struct feed_reader **at = &r->feed->first; *at; at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			r->feed->readers--;
			break;
		}
	arm(r->feed);
	while (r->first) {
		struct entry *entry = r->first;

		r->first = entry->next;
		entry_free(entry);
	}
	free(r->pattern);
	free(r->listed);
	free(r);
}

const char *feed_pattern(const struct feed_reader *r)
{
	return r->pattern;
}

int feed_listed(struct feed_reader *r, const char *up_to)
{
	char *copy = up_to ? strdup(up_to) : NULL;

	if (up_to && !copy)
		return -ENOMEM;
	free(r->listed);
	r->listed = copy;
	r->all = !up_to;
	return 0;
}

int feed_next(struct feed_reader *r, enum feed_kind *ret_kind, char **ret_name,
              uint64_t *ret_version, struct err *e)
{
	struct entry *entry = r->first;

	if (r->error == -ENOKEY)
		return err_set(e, -ENOKEY, "the store was sealed");
	if (r->error)
		return err_set(e, r->error, "events came faster than they were read; watch again");
	if (!entry || entry->position > r->feed->shown)
		return 0;
	r->first = entry->next;
	if (!r->first)
		r->last = &r->first;
	r->waiting--;
	*ret_kind = entry->kind;
	*ret_name = TAKE_PTR(entry->name);
	*ret_version = entry->version;
	entry_free(entry);
	return 1;
}
