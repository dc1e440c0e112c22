/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grant_request.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/times.h"

/* One more than the youngest: of two grants for one path the older wins. */
static uint64_t next_order(const struct policy *p)
{
	size_t n = policy_count(p);

	return n == 0 ? 1 : policy_at(p, n - 1)->order + 1;
}

/* The request, with what makes it a grant: id, age, and a word for each thing that was left out. */
static json_t *complete(const struct broker *b, const json_t *request)
{
	static const char *const flags[] = { "allow_tag", "allow_weak", "allow_unverified" };
	unsigned char random[POLICY_ID_LEN / 2];
	char id[POLICY_ID_LEN + 1], created[TIMES_TEXT_MAX];
	json_t *object = json_copy((json_t *)(uintptr_t)request);

	if (!object)
		return NULL;
	do {
		randombytes_buf(random, sizeof(random));
		sodium_bin2hex(id, sizeof(id), random, sizeof(random));
	} while (policy_find(b->policy, id));
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (!json_object_get(object, flags[i]) ||
		    json_is_null(json_object_get(object, flags[i])))
			json_object_set_new(object, flags[i], json_false());
	json_object_set_new(object, "id", json_string(id));
	json_object_set_new(object, "created", json_string(times_format(times_now(), created)));
	json_object_set_new(object, "order", json_integer((json_int_t)next_order(b->policy)));
	return object;
}

int grant_request_read(const struct broker *b, const json_t *request, struct grant **ret,
                       struct err *e)
{
	static const char *const known[] = { "name",      "conditions", "path",
		                             "mode",      "uid",        "gid",
		                             "allow_tag", "allow_weak", "allow_unverified",
		                             "on_rotate", NULL };
	SCOPED(json_ptr) json_t *object = NULL;
	int r = json_is_object(request) ? json_only_keys(request, known, e)
	                                : err_set(e, -EINVAL, "a grant is a JSON object");

	if (r < 0)
		return r;
	object = complete(b, request);
	return object ? grant_from_json(object, ret, e) : err_set(e, -ENOMEM, "out of memory");
}

json_t *grant_request_record(const struct grant *g)
{
	json_t *whole = grant_to_json(g);
	json_t *fields =
		json_pack("{s:s, s:s, s:O*, s:s*}", "grant", g->id, "name", g->name, "conditions",
	                  json_object_get(whole, "conditions"), "on_rotate", g->on_rotate);

	json_decref(whole);
	return fields;
}

int grant_request_may(struct broker *b, const struct call *call, const struct grant *g,
                      struct err *e)
{
	json_t *fields;

	if (!g->on_rotate || call_uid(call) == 0)
		return 0;
	err_set(e, -EPERM,
	        "a grant with --on-rotate signals or runs a program in a container, which only "
	        "root may ask for; run it as root, or leave --on-rotate out");
	fields = json_pack("{s:s, s:s}", "name", g->name, "reason", e->text);
	call_describe(call, fields);
	(void)audit_add(b->audit, "denied", fields);
	return -EPERM;
}
