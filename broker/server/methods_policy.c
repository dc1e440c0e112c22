/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants: documents of kind "grant" in the vault, and the same in b->policy while it is open.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "flow/containers.h"
#include "server/change.h"
#include "server/grant_request.h"
#include "server/lifecycle.h"
#include "server/methods.h"
#include "server/pages.h"

#define GRANTS_PAGE 100 /* grants of one reply; the longest has some 40 KiB of labels */
#define GRANTS_ROOM (SERVER_MESSAGE_MAX - 4096)

static int read_grant(struct broker *b, const json_t *parameters, struct grant **ret, struct err *e)
{
	json_t *request = NULL;
	int r = json_get_object(parameters, "grant", true, &request, e);

	return r < 0 ? r : grant_request_read(b, request, ret, e);
}

/* The document first: a grant that is in force is one that survives a crash. */
static int keep_grant(struct broker *b, struct grant *g, struct err *e)
{
	SCOPED(json_ptr) json_t *object = grant_to_json(g);
	SCOPED(json_text_ptr) char *text = object ? json_text(object) : NULL;
	char id[POLICY_ID_LEN + 1];
	int r;

	memcpy(id, g->id, sizeof(id));
	if (!text) {
		grant_free(g);
		return err_set(e, -ENOMEM, "out of memory");
	}
	r = policy_add(b->policy, g, e);
	if (r < 0)
		return r;
	r = vault_doc_put(b->vault, GRANT_KIND, id, text, strlen(text), e);
	if (r < 0)
		policy_remove(b->policy, id);
	return r;
}

static int found(void *arg, const struct vault_secret *secret)
{
	(void)secret;
	*(bool *)arg = true;
	return 1;
}

/* With what a newcomer wants to know: whether there is anything to give, and anybody to get it. */
static json_t *grant_reply(struct broker *b, const struct grant *g)
{
	struct vault_secret secret;
	bool stored = false;

	if (g->name[strlen(g->name) - 1] == '/')
		(void)vault_list(b->vault, g->name, found, &stored);
	else
		stored = vault_find(b->vault, g->name, &secret) == 0;
	return json_pack("{s:s, s:b, s:I}", "id", g->id, "stored", stored, "matching",
	                 (json_int_t)containers_matching(b->containers, g));
}

int method_grant(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct grant *g = NULL;
	char id[POLICY_ID_LEN + 1];
	int r = lifecycle_may_change(b, e);

	if (r == 0)
		r = read_grant(b, parameters, &g, e);
	if (r == 0) {
		assert(g);
		r = grant_request_may(b, call, g, e);
	}
	if (r < 0) {
		grant_free(g);
		return r;
	}
	memcpy(id, g->id, sizeof(id));
	call_about(call, g->name);
	r = keep_grant(b, g, e);
	if (r == 0)
		r = change_record(b, call, "grant",
		                  grant_request_record(policy_find(b->policy, id)), e);
	if (r < 0)
		return r;
	return change_settle(b, call, grant_reply(b, policy_find(b->policy, id)), e);
}

int method_revoke(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	const struct grant *g;
	const char *id = "";
	json_t *fields;
	char shown[64];
	int r = lifecycle_may_change(b, e);

	if (r == 0)
		r = json_get_string(parameters, "id", true, &id, e);
	if (r < 0)
		return r;
	call_about(call, id);
	g = policy_find(b->policy, id);
	if (!g)
		return err_set(e, -ENOENT, "there is no grant %s; see coffer grants",
		               name_escape(id, strlen(id), shown, sizeof(shown)));
	r = vault_doc_remove(b->vault, GRANT_KIND, id, e);
	if (r < 0)
		return r;
	fields = json_pack("{s:s, s:s}", "grant", g->id, "name", g->name);
	policy_remove(b->policy, id);
	r = change_record(b, call, "revoke", fields, e);
	return r < 0 ? r : change_settle(b, call, json_object(), e);
}

/* Grants of one page: those younger than `*after`, at most `max` of them. */
static json_t *grants_page(struct broker *b, uint64_t *after, size_t max, bool *ret_last)
{
	json_t *list = json_array();
	size_t n = policy_count(b->policy), used = 0;

	*ret_last = true;
	for (size_t i = 0; i < n; i++) {
		const struct grant *g = policy_at(b->policy, i);
		json_t *object;

		if (g->order <= *after)
			continue;
		object = grant_to_json(g);
		json_object_del(object, "order");
		used += json_dumpb(object, NULL, 0, JSON_COMPACT) + 1;
		if (json_array_size(list) >= max || used > GRANTS_ROOM) {
			json_decref(object);
			*ret_last = false;
			break;
		}
		json_array_append_new(list, object);
		*after = g->order;
	}
	return json_pack("{s:o}", "grants", list);
}

struct grants_listing {
	struct broker *b;
	uint64_t after;
};

static int grants_next(void *arg, json_t **ret, bool *ret_last, struct err *e)
{
	struct grants_listing *l = arg;

	if (vault_state(l->b->vault) != VAULT_UNSEALED)
		return err_set(e, -ENOKEY, "the store was sealed meanwhile");
	*ret = grants_page(l->b, &l->after, GRANTS_PAGE, ret_last);
	return *ret ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int method_grants(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct grants_listing *l;
	uint64_t after = 0;
	bool last = false;
	json_t *reply;
	int r = vault_need_unsealed(b->vault, e);

	if (r < 0)
		return r;
	if (call_wants_more(call)) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return err_set(e, -ENOMEM, "out of memory");
		l->b = b;
		return pages_start(b, call, &(const struct pages_source){ grants_next, free, l },
		                   NULL, e);
	}
	reply = grants_page(b, &after, SIZE_MAX, &last);
	if (reply && last)
		return call_reply(call, reply);
	json_decref(reply);
	return err_set(e, -EBUSY, "there are more grants than one reply holds; call with \"more\"");
}
