/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods_watch.c - the stream Watch: what there is, page by page, "ready", then what happens.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/json.h"
#include "coffer/name.h"
#include "server/feed.h"
#include "server/methods.h"
#include "server/pages.h"

#define PAGE_EVENTS 500 /* of one reply; some 50 KiB */

struct watching {
	struct broker *b;
	struct feed_reader *reader;
	struct pages *pages;
	bool listing;
	char after[NAME_LEN_MAX + 1]; /* listed up to here */
};

static const char *const kind_names[] = {
	[FEED_NOW] = "now",       [FEED_READY] = "ready",   [FEED_PUT] = "put",
	[FEED_REMOVE] = "remove", [FEED_EXPIRE] = "expire",
};

static int add_event(json_t *events, enum feed_kind kind, const char *name, uint64_t version)
{
	json_t *event = name ? json_pack("{s:s, s:s, s:I}", "event", kind_names[kind], "name", name,
	                                 "version", (json_int_t)version)
	                     : json_pack("{s:s}", "event", kind_names[kind]);

	return event && json_array_append_new(events, event) == 0 ? 0 : -ENOMEM;
}

struct page {
	struct watching *w;
	json_t *events;
	int64_t now_ns;
	bool full;
};

static int visit(void *arg, const struct vault_secret *secret)
{
	struct page *p = arg;
	const struct vault_version *v = &secret->current;

	if (strcmp(secret->name, p->w->after) <= 0 ||
	    !feed_matches(feed_pattern(p->w->reader), secret->name) ||
	    (v->expires_ns && v->expires_ns <= p->now_ns))
		return 0;
	if (json_array_size(p->events) >= PAGE_EVENTS) {
		p->full = true;
		return 1;
	}
	if (add_event(p->events, FEED_NOW, secret->name, v->number) < 0)
		return -ENOMEM;
	return 0;
}

/* The name that the list has come to is the last one of the page. */
static int note_page(struct watching *w, const struct page *p)
{
	const json_t *last = json_array_get(p->events, json_array_size(p->events) - 1);

	if (!p->full) {
		w->listing = false;
		return feed_listed(w->reader, NULL);
	}
	snprintf(w->after, sizeof(w->after), "%s",
	         json_string_value(json_object_get(last, "name")));
	return feed_listed(w->reader, w->after);
}

static int list_page(struct watching *w, json_t *events)
{
	struct page page = { .w = w, .events = events, .now_ns = vault_now(w->b->vault) };
	const char *pattern = feed_pattern(w->reader);
	int r = vault_list(w->b->vault, pattern ? pattern : "", visit, &page);

	if (r >= 0)
		r = note_page(w, &page);
	if (r == 0 && !page.full)
		r = add_event(events, FEED_READY, NULL, 0);
	return r;
}

static int take_events(struct watching *w, json_t *events, struct err *e)
{
	int r = 1;

	while (r == 1 && json_array_size(events) < PAGE_EVENTS) {
		enum feed_kind kind;
		uint64_t version;
		char *name;

		r = feed_next(w->reader, &kind, &name, &version, e);
		if (r == 1) {
			if (add_event(events, kind, name, version) < 0)
				r = err_set(e, -ENOMEM, "out of memory");
			free(name);
		}
	}
	return r < 0 ? r : 0;
}

static int next(void *arg, json_t **ret, bool *ret_last, struct err *e)
{
	struct watching *w = arg;
	json_t *events = json_array();
	int r = vault_need_unsealed(w->b->vault, e);

	if (r == 0 && w->listing) {
		r = list_page(w, events);
		if (r < 0)
			err_errno(e, r, "cannot list the secrets");
	} else if (r == 0) {
		r = take_events(w, events, e);
	}
	if (r < 0 || json_array_size(events) == 0) {
		json_decref(events);
		return r;
	}
	*ret = json_pack("{s:o}", "events", events);
	return *ret ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static void release(void *arg)
{
	struct watching *w = arg;

	feed_close(w->reader);
	free(w);
}

static void wake(void *arg)
{
	struct watching *w = arg;

	if (w->pages)
		pages_pull(w->pages);
}

/* A name, a prefix, or everything. */
static int read_pattern(struct call *call, const json_t *parameters, const char **ret,
                        struct err *e)
{
	const char *name = NULL;
	int r = json_get_string(parameters, "name", false, &name, e);

	if (r < 0)
		return r;
	*ret = name;
	if (!name)
		return 0;
	call_about(call, name);
	return name[0] && name[strlen(name) - 1] == '/' ? name_check_prefix(name, e)
	                                                : name_check(name, e);
}

int method_watch(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	const char *pattern = NULL;
	struct watching *w;
	int r = read_pattern(call, parameters, &pattern, e);

	if (r == 0 && !call_wants_more(call))
		r = err_set(e, -EINVAL, "watching needs a call with \"more\"");
	if (r == 0)
		r = vault_need_unsealed(b->vault, e);
	if (r < 0)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	*w = (struct watching){ .b = b, .listing = true };
	r = feed_open(b->feed, call_uid(call), pattern, wake, w, &w->reader, e);
	if (r < 0) {
		free(w);
		return r;
	}
	return pages_start(b, call, &(const struct pages_source){ next, release, w }, &w->pages, e);
}
