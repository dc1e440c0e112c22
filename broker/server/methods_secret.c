/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets by name: put, get, list, history, and back.
 */
#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/times.h"
#include "flow/containers.h"
#include "server/audit_pump.h"
#include "server/change.h"
#include "server/feed.h"
#include "server/lifecycle.h"
#include "server/methods.h"
#include "server/pages.h"
#include "server/put_items.h"
#include "server/secret_json.h"

#define LIST_PAGE 500                         /* entries of one reply; some 150 KiB */
#define LIST_ROOM (SERVER_MESSAGE_MAX - 4096) /* of a reply without "more" */

/* The name that a call is about, checked. */
static int read_name(struct call *call, const json_t *parameters, const char **ret, struct err *e)
{
	int r = json_get_string(parameters, "name", true, ret, e);

	if (r < 0)
		return r;
	call_about(call, *ret);
	return name_check(*ret, e);
}

static int no_such_secret(struct err *e, const char *name)
{
	return err_set(e, -ENOENT, "there is no secret %s", name);
}

/*
 * Says which of the items does not meet its condition: 1 and the call is answered, or 0. The vault
 * checks again within its transaction.
 */
static int answer_conflict(struct broker *b, struct call *call, const struct put_items *items)
{
	for (size_t i = 0; i < items->count; i++) {
		const struct vault_item *item = &items->item[i];
		struct vault_secret now = { 0 };
		uint64_t version = 0;
		char message[ERR_TEXT_MAX];

		if (!item->has_if_version)
			continue;
		if (vault_find(b->vault, item->name, &now) == 0)
			version = now.current.number;
		if (version == item->if_version)
			continue;
		snprintf(message, sizeof(message),
		         "%s is at version %llu, not %llu (0: not there); nothing was stored",
		         item->name, (unsigned long long)version,
		         (unsigned long long)item->if_version);
		call_error(call, "Conflict",
		           json_pack("{s:s, s:I, s:s}", "name", item->name, "version",
		                     (json_int_t)version, "message", message));
		return 1;
	}
	return 0;
}

static json_t *stored_json(const char *name, uint64_t version)
{
	return json_pack("{s:s, s:I}", "name", name, "version", (json_int_t)version);
}

static int put_items(struct broker *b, struct call *call, const struct put_items *items,
                     int64_t wait_ms, struct err *e)
{
	struct uptake_item stored[VAULT_ITEMS_MAX];
	uint64_t versions[VAULT_ITEMS_MAX] = { 0 };
	json_t *list;
	int r = vault_put(b->vault, items->item, items->count, versions, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < items->count; i++) {
		stored[i] = (struct uptake_item){ items->item[i].name, versions[i] };
		feed_note(b->feed, FEED_PUT, stored[i].name, versions[i]);
	}
	for (size_t i = 0; r == 0 && i < items->count; i++)
		r = change_add(b, call, "put", stored_json(stored[i].name, versions[i]), e);
	if (r == 0)
		r = change_flush(b, e);
	if (r < 0) { /* it stands all the same: containers show it */
		feed_show(b->feed);
		return r;
	}
	list = json_array();
	for (size_t i = 0; i < items->count; i++)
		json_array_append_new(list, stored_json(stored[i].name, versions[i]));
	return change_settle_adopted(b, call, json_pack("{s:o}", "stored", list), stored,
	                             items->count, wait_ms, e);
}

/* How long to wait until readers have opened what is stored: 0 if that is not asked for. */
static int read_wait(const json_t *parameters, int64_t *ret_ms, struct err *e)
{
	return json_get_int(parameters, "wait_adopted", false, 1, UPTAKE_LIMIT_MS, ret_ms, e);
}

int method_put(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	SCOPED(put_items_clear) struct put_items items = { 0 };
	int64_t wait_ms = 0;
	int r = lifecycle_may_change(b, e);

	if (r == 0)
		r = read_wait(parameters, &wait_ms, e);
	if (r == 0)
		r = put_items_read(call, parameters, &items, e);
	if (r < 0 || answer_conflict(b, call, &items))
		return r;
	if (items.count > 1)
		call_about(call, "");
	return put_items(b, call, &items, wait_ms, e);
}

/* Reading is recorded, and on disk, before one byte leaves. */
static int record_get(struct broker *b, struct call *call, const char *name, uint64_t version,
                      struct err *e)
{
	json_t *fields = stored_json(name, version);
	int r = -ENOMEM;

	if (fields) {
		call_describe(call, fields);
		r = audit_add(b->audit, "get", fields);
	}
	if (r == 0)
		r = audit_pump_flush(b->audit_pump, e);
	else
		err_errno(e, r, "the audit log takes no more lines");
	return r < 0 ? err_prefix(e, -ENOSPC,
	                          "not given out, since the audit log cannot be written")
	             : 0;
}

static int reply_memfd(struct call *call, json_t *reply, const struct secret *value, struct err *e)
{
	SCOPED_FD int fd = secret_to_memfd(value);

	if (fd < 0) {
		json_decref(reply);
		return err_errno(e, fd, "cannot make a memory file for the value");
	}
	json_object_set_new(reply, "fd", json_integer(0));
	return call_reply_fds(call, reply, &fd, 1);
}

static int reply_base64(struct call *call, json_t *reply, const struct secret *value, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *text = NULL;

	if (secret_to_base64(value, &text) < 0) {
		json_decref(reply);
		return err_set(e, -ENOMEM, "no (locked) memory for the value");
	}
	json_object_set_new(reply, "value", json_stringn((const char *)text->bytes, text->len));
	return call_reply(call, reply);
}

int method_get(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	struct vault_version version = { 0 };
	const char *name = NULL;
	int64_t number = 0;
	bool memfd = false;
	json_t *reply;
	int r = read_name(call, parameters, &name, e);

	if (r == 0)
		r = json_get_int(parameters, "version", false, 1, INT64_MAX, &number, e);
	if (r == 0)
		r = json_get_bool(parameters, "memfd", false, &memfd, e);
	if (r == 0)
		r = vault_get(b->vault, name, (uint64_t)number, false, &value, &version, e);
	if (r == 0)
		r = record_get(b, call, name, version.number, e);
	if (r < 0)
		return r;
	reply = stored_json(name, version.number);
	return memfd ? reply_memfd(call, reply, value, e) : reply_base64(call, reply, value, e);
}

/* One page of a list: names behind `after`, at most `max` of them or `room` bytes. */
struct page {
	const char *after;
	size_t max, room, used;
	int64_t now_ns;
	json_t *list;
	bool full;
};

static int add_to_page(void *arg, const struct vault_secret *secret)
{
	struct page *p = arg;
	json_t *entry;

	if (strcmp(secret->name, p->after) <= 0)
		return 0;
	entry = secret_json_current(secret, p->now_ns);
	if (!entry)
		return -ENOMEM;
	p->used += json_dumpb(entry, NULL, 0, JSON_COMPACT) + 1;
	if (json_array_size(p->list) >= p->max || p->used > p->room) {
		json_decref(entry);
		p->full = true;
		return 1;
	}
	return json_array_append_new(p->list, entry) < 0 ? -ENOMEM : 0;
}

static int make_page(struct broker *b, const char *prefix, struct page *p, struct err *e)
{
	int r;

	p->now_ns = times_now();
	p->list = json_array();
	r = vault_list(b->vault, prefix, add_to_page, p);
	if (r >= 0)
		return 0;
	json_decref(p->list);
	p->list = NULL;
	return err_errno(e, r, "cannot list");
}

/* A listing on its way out. It goes on behind the last name of each page, whatever was stored
 * meanwhile. */
struct listing {
	struct broker *b;
	char *prefix, *after;
};

static void listing_release(void *arg)
{
	struct listing *l = arg;

	free(l->prefix);
	free(l->after);
	free(l);
}

static int listing_next(void *arg, json_t **ret, bool *ret_last, struct err *e)
{
	struct listing *l = arg;
	struct page page = { .after = l->after, .max = LIST_PAGE, .room = LIST_ROOM };
	const json_t *last;
	char *after;
	int r = make_page(l->b, l->prefix, &page, e);

	if (r < 0)
		return r;
	if (page.full) {
		last = json_array_get(page.list, json_array_size(page.list) - 1);
		after = strdup(json_string_value(json_object_get(last, "name")));
		if (!after) {
			json_decref(page.list);
			return err_set(e, -ENOMEM, "out of memory");
		}
		free(l->after);
		l->after = after;
	}
	*ret = json_pack("{s:o}", "secrets", page.list);
	*ret_last = !page.full;
	return *ret ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int list_in_pages(struct broker *b, struct call *call, const char *prefix, struct err *e)
{
	struct listing *l = calloc(1, sizeof(*l));
	const struct pages_source source = { listing_next, listing_release, l };

	if (!l)
		return err_set(e, -ENOMEM, "out of memory");
	l->b = b;
	l->prefix = strdup(prefix);
	l->after = strdup("");
	if (!l->prefix || !l->after) {
		listing_release(l);
		return err_set(e, -ENOMEM, "out of memory");
	}
	return pages_start(b, call, &source, NULL, e);
}

int method_list(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct page page = { .after = "", .max = SIZE_MAX, .room = LIST_ROOM };
	const char *prefix = "";
	int r = json_get_string(parameters, "prefix", false, &prefix, e);

	if (r < 0)
		return r;
	r = vault_need_unsealed(b->vault, e);
	if (r < 0)
		return r;
	if (call_wants_more(call))
		return list_in_pages(b, call, prefix, e);
	r = make_page(b, prefix, &page, e);
	if (r < 0)
		return r;
	if (page.full) {
		json_decref(page.list);
		return err_set(e, -EBUSY,
		               "there are more secrets than one reply holds; call with \"more\"");
	}
	return call_reply(call, json_pack("{s:o}", "secrets", page.list));
}

static int add_version(void *arg, const struct vault_version *version)
{
	json_t *entry = secret_json_version(version);

	return entry && json_array_append_new(arg, entry) == 0 ? 0 : -ENOMEM;
}

int method_info(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	SCOPED(json_ptr) json_t *versions = json_array();
	struct vault_secret secret = { 0 };
	const char *name = NULL;
	json_t *current;
	int r = read_name(call, parameters, &name, e);

	if (r < 0)
		return r;
	r = vault_find(b->vault, name, &secret);
	if (r < 0)
		return r == -ENOENT ? no_such_secret(e, name)
		                    : err_errno(e, r, "cannot look up %s", name);
	current = secret_json_current(&secret, times_now());
	r = vault_history(b->vault, name, add_version, versions, e);
	if (r < 0) {
		json_decref(current);
		return r;
	}
	return call_reply(call, json_pack("{s:o, s:O}", "secret", current, "versions", versions));
}

int method_rollback(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct uptake_item stored = { 0 };
	int64_t to = 0, wait_ms = 0;
	json_t *fields;
	int r = lifecycle_may_change(b, e);

	if (r == 0)
		r = read_name(call, parameters, &stored.name, e);
	if (r == 0)
		r = json_get_int(parameters, "to", true, 1, INT64_MAX, &to, e);
	if (r == 0)
		r = read_wait(parameters, &wait_ms, e);
	if (r == 0)
		r = vault_rollback(b->vault, stored.name, (uint64_t)to, &stored.version, e);
	if (r < 0)
		return r;
	feed_note(b->feed, FEED_PUT, stored.name, stored.version);
	fields = stored_json(stored.name, stored.version);
	json_object_set_new(fields, "to", json_integer(to));
	r = change_record(b, call, "rollback", fields, e);
	if (r < 0)
		return r;
	return change_settle_adopted(
		b, call, json_pack("{s:o}", "stored", stored_json(stored.name, stored.version)),
		&stored, 1, wait_ms, e);
}

int method_remove(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct vault_secret last = { 0 };
	const char *name = NULL;
	int r = lifecycle_may_change(b, e);

	if (r == 0)
		r = read_name(call, parameters, &name, e);
	if (r == 0)
		(void)vault_find(b->vault, name, &last); /* removing says if it is not there */
	if (r == 0)
		r = vault_remove(b->vault, name, e);
	if (r == 0) {
		feed_note(b->feed, FEED_REMOVE, name, last.current.number);
		containers_withdraw(b->containers, name);
	}
	if (r == 0)
		r = change_record(b, call, "rm", json_pack("{s:s}", "name", name), e);
	return r < 0 ? r : change_settle(b, call, json_object(), e);
}
