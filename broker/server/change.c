/* SPDX-License-Identifier: Apache-2.0 */
#include "server/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/times.h"
#include "server/audit_pump.h"
#include "server/feed.h"

struct settling {
	struct broker *b;
	struct call *call;
	json_t *reply;
	uint64_t position;        /* of the feed: what is shown when this is */
	struct uptake_item *item; /* what has to be opened before it is answered */
	size_t items;
	int64_t deadline_ns;
	struct uptake *uptake;
};

static int stands(struct err *e, int r)
{
	return err_prefix(e, r,
	                  "the change was made, but its audit record could not be written (it is "
	                  "kept in memory; see status)");
}

int change_add(struct broker *b, struct call *call, const char *event, json_t *fields,
               struct err *e)
{
	int r = fields ? 0 : -ENOMEM;

	if (r == 0) {
		call_describe(call, fields);
		if (vault_state(b->vault) == VAULT_UNSEALED)
			audit_set_epoch(b->audit, vault_epoch(b->vault));
		r = audit_add(b->audit, event, fields);
	}
	if (r == 0)
		return 0;
	err_errno(e, r, "the audit log takes no more lines");
	return stands(e, r);
}

int change_flush(struct broker *b, struct err *e)
{
	int r = audit_pump_flush(b->audit_pump, e);

	return r < 0 ? stands(e, r) : 0;
}

int change_record(struct broker *b, struct call *call, const char *event, json_t *fields,
                  struct err *e)
{
	int r = change_add(b, call, event, fields, e);

	if (r == 0)
		r = change_flush(b, e);
	if (r < 0) /* it stands all the same: containers show it */
		feed_show(b->feed);
	return r;
}

static void settling_free(struct settling *s)
{
	json_decref(s->reply);
	call_unref(s->call);
	free(s->item);
	free(s);
}

static json_t *name_list(const char *const *names, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

/* The last answer; nothing of ours may be called by what it sets off. */
static void answer(struct settling *s)
{
	call_on_gone(s->call, NULL, NULL);
	call_reply(s->call, TAKE_PTR(s->reply));
	settling_free(s);
}

static void adopted(void *arg, const char *const *names, size_t count)
{
	struct settling *s = arg;

	json_object_set_new(s->reply, "unadopted", name_list(names, count));
	answer(s);
}

static void on_gone(void *arg)
{
	struct settling *s = arg;

	if (s->uptake)
		containers_forget_uptake(s->b->containers, s->uptake);
	settling_free(s);
}

static void await_adoption(struct settling *s)
{
	struct err e;
	int r;

	if (call_gone(s->call)) {
		settling_free(s);
		return;
	}
	call_on_gone(s->call, on_gone, s);
	r = containers_await_uptake(s->b->containers, s->item, s->items, s->deadline_ns, adopted, s,
	                            &s->uptake);
	if (r < 0) {
		call_on_gone(s->call, NULL, NULL);
		err_errno(&e, r, "the change was made, but it cannot be waited for");
		call_fail(s->call, r, &e);
		settling_free(s);
	}
}

static void settled(void *arg, const char *const *lagging, size_t count)
{
	struct settling *s = arg;

	feed_shown(s->b->feed, s->position);
	json_object_set_new(s->reply, "lagging", name_list(lagging, count));
	if (s->items > 0)
		await_adoption(s);
	else
		answer(s);
}

static struct settling *settling_new(struct broker *b, struct call *call, json_t *reply)
{
	struct settling *s = calloc(1, sizeof(*s));

	if (!s || !reply) {
		free(s);
		json_decref(reply);
		return NULL;
	}
	s->b = b;
	s->call = call_ref(call);
	s->reply = reply;
	s->position = feed_position(b->feed);
	return s;
}

int change_settle_adopted(struct broker *b, struct call *call, json_t *reply,
                          const struct uptake_item *items, size_t n, int64_t wait_ms, struct err *e)
{
	struct settling *s = settling_new(b, call, reply);
	int r = s ? 0 : -ENOMEM;

	if (r == 0 && wait_ms > 0) {
		s->deadline_ns = times_boottime() + wait_ms * (NS_PER_S / 1000);
		s->item = calloc(n + 1, sizeof(*s->item));
		if (s->item)
			memcpy(s->item, items, n * sizeof(*items));
		s->items = s->item ? n : 0;
		r = s->item ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = containers_refresh(b->containers, settled, s);
	if (r == 0)
		return 0;
	if (s)
		settling_free(s);
	feed_show(b->feed);
	return err_errno(e, r,
	                 "the change was made, but the containers could not be brought up to date");
}

int change_settle(struct broker *b, struct call *call, json_t *reply, struct err *e)
{
	return change_settle_adopted(b, call, reply, NULL, 0, 0, e);
}
