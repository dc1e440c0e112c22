/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/reaction.h"
#include "policy/on_rotate.h"

static json_t *describe(const char *grant, const char *on_rotate, const struct reaction *r)
{
	char time[TIMES_TEXT_MAX];
	const char *result = r && r->result.text[0] ? r->result.text : "ok";

	return json_pack(
		"{s:s, s:s, s:o, s:o, s:b}", "grant", grant, "on_rotate", on_rotate, "last",
		r && r->last_ns ? json_string(times_format(r->last_ns, time)) : json_null(),
		"result", r && r->last_ns ? json_string(result) : json_null(), "pending",
		r && (r->due || r->running));
}

static bool is_listed(const json_t *list, const char *grant)
{
	json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry)
		if (strcmp(json_string_value(json_object_get(entry, "grant")), grant) == 0)
			return true;
	return false;
}

json_t *reaction_describe(const struct container *c)
{
	json_t *list = json_array();
	const char *seen = "";

	for (const struct reaction *r = c->reactions; r; r = r->next)
		json_array_append_new(list, describe(r->grant, r->on_rotate, r));
	for (size_t i = 0; i < c->tree.count; i++) {
		const struct node *n = &c->tree.node[i];
		const struct grant *g;

		if (n->kind != NODE_FILE || !n->linked || strcmp(n->grant, seen) == 0)
			continue;
		seen = n->grant; /* files of one grant mostly stand together */
		g = policy_find(c->set->b->policy, n->grant);
		if (g && g->on_rotate && !is_listed(list, g->id))
			json_array_append_new(list, describe(g->id, g->on_rotate, NULL));
	}
	return list;
}

json_t *reaction_to_json(const struct container *c)
{
	json_t *list = json_array();

	for (const struct reaction *r = c->reactions; r; r = r->next) {
		const char *paths = r->paths ? r->paths : r->running_paths;

		/* Of both, the folder stands for all. */
		if (r->paths && r->running_paths)
			paths = c->folder;
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:b, s:s, s:I, s:s}", "grant", r->grant,
		                        "on_rotate", r->on_rotate, "due", r->due || r->running,
		                        "paths", paths ? paths : "", "last", (json_int_t)r->last_ns,
		                        "result", r->result.text));
	}
	return list;
}

static int restore_one(struct container *c, const json_t *object, struct err *e)
{
	const char *grant = NULL, *on_rotate = NULL, *paths = NULL, *text = NULL;
	struct on_rotate checked;
	struct reaction *r = NULL;
	int result = json_get_string(object, "grant", true, &grant, e);

	if (result >= 0)
		result = json_get_string(object, "on_rotate", true, &on_rotate, e);
	if (result >= 0)
		result = json_get_string(object, "paths", true, &paths, e);
	if (result >= 0)
		result = json_get_string(object, "result", true, &text, e);
	if (result >= 0)
		result = on_rotate_parse(on_rotate, &checked, e);
	if (result < 0)
		return result;
	if (strlen(paths) <= REACTION_PATHS_MAX && strlen(grant) == POLICY_ID_LEN)
		r = reaction_get(c, grant, on_rotate);
	if (!r)
		return err_set(e, -EINVAL, "what is due after a rotation does not fit");
	result = json_get_bool(object, "due", true, &r->due, e);
	if (result >= 0)
		result = json_get_int(object, "last", true, 0, INT64_MAX, &r->last_ns, e);
	if (paths[0] && !r->paths)
		r->paths = strdup(paths);
	err_set(&r->result, 0, "%s", text);
	return result;
}

int reaction_restore(struct container *c, const json_t *object, struct err *e)
{
	json_t *list = NULL, *entry;
	size_t i;
	int result = json_get_array(object, "reactions", false, REACTIONS_MAX, &list, e);

	if (result < 0 || !list)
		return result;
	json_array_foreach (list, i, entry) {
		/* Another build's may be of a kind that this one does not know: no mount is to
		 * hang on that. */
		if (restore_one(c, entry, e) < 0)
			log_warn("what was due after a rotation is not taken over: %s", e->text);
	}
	return 0;
}
