/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ApplyGrants: many grants at once, as a file has them. What is to be added and removed is found
 * out here, by grant_compare, and made one transaction of the vault, so that a file which is
 * compared is compared with what it changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "server/change.h"
#include "server/feed.h"
#include "server/grant_request.h"
#include "server/lifecycle.h"
#include "server/methods.h"

/* Some tenths of a second of a loop that serves nobody else meanwhile. */
#define APPLY_CHANGES_MAX 1024
#define APPLY_REPLY_MAX (SERVER_MESSAGE_MAX - 4096)

struct apply {
	struct broker *b;
	bool prune, dry_run;
	struct grant **wanted; /* in the file's order; owned */
	struct grant **sorted; /* the same by grant_compare */
	bool *there;           /* sorted[i] is in the policy already, or earlier in `sorted` */
	size_t count, kept, others;
	struct grant **add;          /* taken out of `wanted`, in the file's order */
	size_t adds, handed;         /* the first `handed` are the policy's */
	const struct grant **remove; /* of the policy */
	size_t removes;
};

static void apply_clear(struct apply *a)
{
	for (size_t i = 0; a->wanted && i < a->count; i++)
		grant_free(a->wanted[i]);
	for (size_t i = a->handed; i < a->adds; i++)
		grant_free(a->add[i]);
	free(a->wanted);
	free(a->sorted);
	free(a->there);
	free(a->add);
	free(a->remove);
}

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory for the grants");
}

static int by_content(const void *a, const void *b)
{
	const struct grant *one = *(struct grant *const *)a, *two = *(struct grant *const *)b;
	int r = grant_compare(one, two);

	return r ? r : (one->order > two->order) - (one->order < two->order);
}

static int read_grants(struct apply *a, const json_t *list, struct err *e)
{
	size_t n = json_array_size(list);
	int r = 0;

	a->wanted = calloc(n + 1, sizeof(struct grant *));
	a->sorted = calloc(n + 1, sizeof(struct grant *));
	a->add = calloc(n + 1, sizeof(struct grant *));
	a->there = calloc(n + 1, sizeof(bool));
	a->remove = calloc(policy_count(a->b->policy) + 1, sizeof(struct grant *));
	if (!a->wanted || !a->sorted || !a->add || !a->there || !a->remove)
		return no_memory(e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = grant_request_read(a->b, json_array_get(list, i), &a->wanted[i], e);
		if (r < 0)
			return err_prefix(e, r, "grant %zu", i + 1);
		a->wanted[i]->order += i;
		a->sorted[i] = a->wanted[i];
		a->count++;
	}
	qsort(a->sorted, n, sizeof(struct grant *), by_content);
	return 0;
}

static int read_request(struct apply *a, const json_t *parameters, struct err *e)
{
	json_t *list = NULL;
	int r = json_get_bool(parameters, "prune", false, &a->prune, e);

	if (r == 0)
		r = json_get_bool(parameters, "dry_run", false, &a->dry_run, e);
	if (r == 0)
		r = json_get_array(parameters, "grants", true, POLICY_GRANTS_MAX, &list, e);
	if (r == 0)
		r = a->dry_run ? vault_need_unsealed(a->b->vault, e)
		               : lifecycle_may_change(a->b, e);
	return r < 0 ? r : read_grants(a, list, e);
}

/* The first of `sorted` that says the same as g; the number of them if none does. */
static size_t find(const struct apply *a, const struct grant *g)
{
	size_t low = 0, high = a->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (grant_compare(a->sorted[middle], g) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < a->count && grant_compare(a->sorted[low], g) == 0 ? low : a->count;
}

/* Grants that say the same count as one, on either side. */
static void compare(struct apply *a)
{
	for (size_t i = 0; i < policy_count(a->b->policy); i++) {
		const struct grant *g = policy_at(a->b->policy, i);
		size_t at = find(a, g);

		if (at == a->count && a->prune)
			a->remove[a->removes++] = g;
		else if (at == a->count)
			a->others++;
		else if (!a->there[at]) {
			a->there[at] = true;
			a->kept++;
		}
	}
	for (size_t i = 0; i < a->count; i++) {
		size_t first = find(a, a->wanted[i]);

		if (!a->there[first])
			a->add[a->adds++] = TAKE_PTR(a->wanted[i]);
		a->there[first] = true;
	}
}

static int add_rows(json_t *list, const struct grant *const *grants, size_t n, bool is_new,
                    size_t *used)
{
	for (size_t i = 0; i < n; i++) {
		json_t *row = grant_to_json(grants[i]);

		if (!row)
			return -ENOMEM;
		json_object_del(row, "order");
		if (is_new) {
			json_object_del(row, "id");
			json_object_del(row, "created");
		}
		*used += json_dumpb(row, NULL, 0, JSON_COMPACT) + 1;
		if (json_array_append_new(list, row) < 0)
			return -ENOMEM;
		if (*used > APPLY_REPLY_MAX)
			return -E2BIG;
	}
	return 0;
}

/* Before anything is changed, since it may be too long to be told. */
static int make_reply(const struct apply *a, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *reply = json_object();
	json_t *added = json_array(), *removed = json_array();
	size_t used = 0;
	int r = json_object_set_new(reply, "added", added);

	r |= json_object_set_new(reply, "removed", removed);
	r |= json_object_set_new(reply, "kept", json_integer((json_int_t)a->kept));
	r |= json_object_set_new(reply, "others", json_integer((json_int_t)a->others));
	if (r == 0)
		r = add_rows(added, (const struct grant *const *)a->add, a->adds, a->dry_run,
		             &used);
	if (r == 0)
		r = add_rows(removed, a->remove, a->removes, false, &used);
	if (r == -E2BIG || a->adds + a->removes > APPLY_CHANGES_MAX)
		return err_set(e, -EINVAL,
		               "%zu grants would be added and %zu removed, more than is done at "
		               "once (%d, 4 MiB): apply a part of the file first, without --prune",
		               a->adds, a->removes, APPLY_CHANGES_MAX);
	if (r < 0)
		return no_memory(e);
	*ret = TAKE_PTR(reply);
	return 0;
}

/* Into the policy, which frees what it does not take. */
static int add_to_policy(struct apply *a, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->adds; i++) {
		a->handed++;
		r = policy_add(a->b->policy, a->add[i], e);
		if (r < 0)
			a->add[i] = NULL;
	}
	return r;
}

static int write_docs(const struct apply *a, struct err *e)
{
	struct vault_doc *put = calloc(a->adds + 1, sizeof(*put));
	const char **remove = calloc(a->removes + 1, sizeof(*remove));
	int r = put && remove ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < a->adds; i++) {
		SCOPED(json_ptr) json_t *object = grant_to_json(a->add[i]);
		char *text = object ? json_text(object) : NULL;

		if (text)
			put[i] = (struct vault_doc){ a->add[i]->id, text, strlen(text) };
		r = text ? 0 : -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < a->removes; i++)
		remove[i] = a->remove[i]->id;
	if (r < 0)
		no_memory(e);
	else
		r = vault_docs_change(
			a->b->vault,
			&(struct vault_docs){ GRANT_KIND, put, a->adds, remove, a->removes }, e);
	for (size_t i = 0; put && i < a->adds; i++)
		json_text_free((char *)(uintptr_t)put[i].bytes);
	free(put);
	free(remove);
	return r;
}

/* The documents first, as for a single grant; then nothing fails. */
static int keep(struct apply *a, struct err *e)
{
	int r = add_to_policy(a, e);

	if (r == 0)
		r = write_docs(a, e);
	for (size_t i = 0; r < 0 && i < a->handed; i++)
		if (a->add[i])
			policy_remove(a->b->policy, a->add[i]->id);
	return r;
}

static int record(struct apply *a, struct call *call, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->adds; i++)
		r = change_add(a->b, call, "grant", grant_request_record(a->add[i]), e);
	for (size_t i = 0; i < a->removes; i++) {
		const struct grant *g = a->remove[i];

		if (r == 0)
			r = change_add(a->b, call, "revoke",
			               json_pack("{s:s, s:s}", "grant", g->id, "name", g->name), e);
		policy_remove(a->b->policy, g->id);
	}
	return r == 0 ? change_flush(a->b, e) : r;
}

static int may_ask(const struct apply *a, const struct call *call, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->adds; i++)
		r = grant_request_may(a->b, call, a->add[i], e);
	return r;
}

int method_apply_grants(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	SCOPED(apply_clear) struct apply a = { .b = b };
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = read_request(&a, parameters, e);

	if (r < 0)
		return r;
	compare(&a);
	r = make_reply(&a, &reply, e);
	if (r == 0 && a.dry_run) {
		json_object_set_new(reply, "lagging", json_array());
		return call_reply(call, TAKE_PTR(reply));
	}
	if (r == 0)
		r = may_ask(&a, call, e);
	if (r == 0)
		r = keep(&a, e);
	if (r < 0)
		return r;
	r = record(&a, call, e);
	if (r < 0) /* it stands all the same: containers show it */
		feed_show(b->feed);
	return r < 0 ? r : change_settle(b, call, TAKE_PTR(reply), e);
}
