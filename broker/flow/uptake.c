/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uptake.c - who waits until every reader has opened a new version (containers_await_uptake).
 *
 * Each waiter remembers one container that it still waits for. Only what that one opens or loses
 * makes it look at all of them again, so that an open costs a comparison for each waiter.
 */
#include <stdlib.h>
#include <string.h>

#include "coffer/times.h"
#include "flow/container.h"
#include "flow/opened.h"

#define ACCURACY_USEC 1000 /* the event loop's own is a quarter of a second */

struct item {
	char *name;
	uint64_t version;
};

struct uptake {
	struct uptake *next;
	struct containers *set;
	struct item *item; /* by name */
	size_t items;
	const struct container *behind; /* compared, never looked into: it may have ended */
	containers_settled done;
	void *arg;
	sd_event_source *limit, *begin;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static int to_name(const void *name, const void *item)
{
	return strcmp(name, ((const struct item *)item)->name);
}

/* It has opened an earlier version of one of the files, and not yet the one that is waited for. */
static bool is_behind(const struct uptake *u, const struct container *c)
{
	for (size_t i = 0; i < c->tree.count && !c->gone; i++) {
		const struct node *n = &c->tree.node[i];
		const struct item *item;
		uint64_t opened;

		if (n->kind != NODE_FILE || !n->linked)
			continue;
		opened = opened_of(n).version;
		item = opened ? bsearch(n->name, u->item, u->items, sizeof(*u->item), to_name)
		              : NULL;
		if (item && opened < item->version)
			return true;
	}
	return false;
}

static bool look(struct uptake *u)
{
	u->behind = NULL;
	for (const struct container *c = u->set->first; c && !u->behind; c = c->next)
		if (is_behind(u, c))
			u->behind = c;
	return u->behind != NULL;
}

static void uptake_free(struct uptake *u)
{
	for (size_t i = 0; i < u->items; i++)
		free(u->item[i].name);
	free(u->item);
	sd_event_source_disable_unref(u->limit);
	sd_event_source_disable_unref(u->begin);
	free(u);
}

static void take_off(struct uptake *u)
{
	for (struct uptake **at = &u->set->uptakes; *at; at = &(*at)->next)
		if (*at == u) {
			*at = u->next;
			return;
		}
}

static void answer(struct uptake *u)
{
	char **names = calloc(u->set->count + 1, sizeof(char *)), label[512];
	size_t count = 0;

	take_off(u);
	for (const struct container *c = u->set->first; c && names; c = c->next)
		if (is_behind(u, c)) {
			names[count] = strdup(container_label(c, label, sizeof(label)));
			count += names[count] != NULL;
		}
	u->done(u->arg, (const char *const *)names, count);
	while (count > 0)
		free(names[--count]);
	free(names);
	uptake_free(u);
}

void uptake_check(struct containers *set, const struct container *c)
{
	struct uptake **at = &set->uptakes;

	while (*at) {
		struct uptake *u = *at;

		if (u->behind == c && !look(u)) {
			answer(u);
			at = &set->uptakes; /* an answer may have changed the list */
		} else {
			at = &u->next;
		}
	}
}

static int on_limit(sd_event_source *source, uint64_t usec, void *arg)
{
	struct uptake *u = arg;

	take_off(u); /* what is drained must not answer it */
	for (struct container *c = u->set->first; c; c = c->next)
		drain_now(c);
	answer(u);
	return 0;
}

static int on_begin(sd_event_source *source, void *arg)
{
	struct uptake *u = arg;

	/* Nobody is behind yet, so none of what is drained answers. */
	for (struct container *c = u->set->first; c; c = c->next)
		drain_promptly(c);
	if (!look(u))
		answer(u);
	return 0;
}

static int copy_items(struct uptake *u, const struct uptake_item *items, size_t n)
{
	u->item = calloc(n + 1, sizeof(*u->item));
	if (!u->item)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		char *name = strdup(items[i].name);

		if (!name)
			return -ENOMEM;
		u->item[u->items++] = (struct item){ name, items[i].version };
	}
	qsort(u->item, n, sizeof(*u->item), by_name);
	return 0;
}

int containers_await_uptake(struct containers *c, const struct uptake_item *items, size_t n,
                            int64_t deadline_ns, containers_settled done, void *arg,
                            struct uptake **ret)
{
	struct uptake *u = calloc(1, sizeof(*u));
	int64_t left_ns = deadline_ns - times_boottime();
	int result;

	if (!u)
		return -ENOMEM;
	*u = (struct uptake){ .set = c, .done = done, .arg = arg };
	result = copy_items(u, items, n);
	if (result >= 0)
		result = sd_event_add_time_relative(c->b->event, &u->limit, CLOCK_BOOTTIME,
		                                    left_ns > 0 ? (uint64_t)left_ns / 1000 : 0,
		                                    ACCURACY_USEC, on_limit, u);
	if (result >= 0)
		result = sd_event_add_defer(c->b->event, &u->begin, on_begin, u);
	if (result < 0) {
		uptake_free(u);
		return result;
	}
	u->next = c->uptakes;
	c->uptakes = u;
	*ret = u;
	return 0;
}

void containers_forget_uptake(struct containers *c, struct uptake *u)
{
	take_off(u);
	uptake_free(u);
}
