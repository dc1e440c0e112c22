/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/times.h"
#include "policy/policy.h"

/* A text that may be absent. 0, or -1 without memory. */
static int put_text(json_t *object, const char *key, const char *text)
{
	return text ? json_object_set_new(object, key, json_string(text)) : 0;
}

static int put_bool(json_t *object, const char *key, bool value)
{
	return json_object_set_new(object, key, json_boolean(value));
}

static int put_number(json_t *object, const char *key, bool there, uint64_t number)
{
	return there ? json_object_set_new(object, key, json_integer((json_int_t)number)) : 0;
}

static json_t *labels_to_json(const struct grant *g)
{
	SCOPED(json_ptr) json_t *labels = json_object();

	for (size_t i = 0; i < g->labels; i++)
		if (put_text(labels, g->label[i].key, g->label[i].value) < 0)
			return NULL;
	return TAKE_PTR(labels);
}

static json_t *conditions_to_json(const struct grant *g)
{
	SCOPED(json_ptr) json_t *conditions = json_object();

	if (put_text(conditions, "runtime", g->runtime) < 0 ||
	    put_text(conditions, "container", g->container) < 0 ||
	    put_text(conditions, "image", g->image) < 0 ||
	    put_text(conditions, "unit", g->unit) < 0)
		return NULL;
	if (g->labels > 0 && json_object_set_new(conditions, "labels", labels_to_json(g)) < 0)
		return NULL;
	return TAKE_PTR(conditions);
}

json_t *grant_to_json(const struct grant *g)
{
	SCOPED(json_ptr) json_t *object = json_object();
	char mode[16], created[TIMES_TEXT_MAX];

	snprintf(mode, sizeof(mode), "%04o", (unsigned int)g->mode);
	if (put_text(object, "id", g->id) < 0 || put_text(object, "name", g->name) < 0 ||
	    json_object_set_new(object, "conditions", conditions_to_json(g)) < 0 ||
	    put_text(object, "path", g->path) < 0 ||
	    put_text(object, "mode", g->has_mode ? mode : NULL) < 0 ||
	    put_number(object, "uid", g->has_uid, g->uid) < 0 ||
	    put_number(object, "gid", g->has_gid, g->gid) < 0 ||
	    put_bool(object, "allow_tag", g->allow_tag) < 0 ||
	    put_bool(object, "allow_weak", g->allow_weak) < 0 ||
	    put_bool(object, "allow_unverified", g->allow_unverified) < 0 ||
	    put_text(object, "on_rotate", g->on_rotate) < 0 ||
	    put_text(object, "created", times_format(g->created_ns, created)) < 0 ||
	    put_number(object, "order", g->order > 0, g->order) < 0)
		return NULL;
	return TAKE_PTR(object);
}
