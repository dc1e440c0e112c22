/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/registry_json.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "flow/reaction.h"
#include "flow/update.h"

static json_t *node_to_json(const struct node *n)
{
	json_t *object = json_pack(
		"{s:I,s:I,s:i,s:i,s:I,s:I,s:b,s:b,s:b,s:b,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
		"id", (json_int_t)n->id, "parent", (json_int_t)n->parent, "kind", (int)n->kind,
		"mode", (int)n->mode, "uid", (json_int_t)n->uid, "gid", (json_int_t)n->gid,
		"linked", n->linked, "withdrawn", n->withdrawn, "staged", n->staged, "denied",
		n->denied, "path", n->path, "name", n->name ? n->name : "", "grant", n->grant,
		"version", (json_int_t)n->version, "size", (json_int_t)n->size, "mtime",
		(json_int_t)n->mtime_ns, "expires", (json_int_t)n->expires_ns, "opened",
		(json_int_t)n->opened_ns, "before_version", (json_int_t)n->before_version, "before",
		(json_int_t)n->before_ns);

	if (object && n->released)
		json_object_set_new(object, "released", json_true());
	if (object && n->set) {
		json_object_set_new(object, "set", json_integer((json_int_t)n->set));
		json_object_set_new(object, "since", json_integer((json_int_t)n->since));
		json_object_set_new(object, "lost", json_integer((json_int_t)n->lost_ns));
	}
	return object;
}

static json_t *update_to_json(const struct update *u)
{
	json_t *steps = json_array(), *denied = json_array();
	char token[2 * sizeof(u->token) + 1];

	for (size_t i = 0; i < u->steps; i++)
		json_array_append_new(steps, json_pack("{s:i,s:I}", "kind", (int)u->step[i].kind,
		                                       "node", (json_int_t)u->step[i].node));
	for (size_t i = 0; i < u->denials; i++)
		json_array_append_new(denied, json_integer((json_int_t)u->denied[i]));
	sodium_bin2hex(token, sizeof(token), u->token, sizeof(u->token));
	return json_pack("{s:s,s:b,s:o,s:o}", "token", token, "more", u->more, "steps", steps,
	                 "denied", denied);
}

json_t *registry_to_json(const struct container *c)
{
	json_t *object = json_pack("{s:s,s:i,s:I,s:s,s:s,s:b,s:b,s:b,s:I,s:I}", "instance",
	                           c->instance_text, "pid", c->facts.fixed.pid, "start_time",
	                           (json_int_t)c->facts.fixed.start_time, "id", c->facts.subject.id,
	                           "bundle", c->facts.bundle, "hook", c->hook, "explicit",
	                           c->explicit, "detached", c->mount == MOUNT_DETACHED, "dev",
	                           (json_int_t)c->dev, "since", (json_int_t)c->since_ns);
	json_t *nodes = json_array();

	if (!object || !nodes) {
		json_decref(object);
		json_decref(nodes);
		return NULL;
	}
	for (size_t i = 0; i < c->tree.count; i++)
		json_array_append_new(nodes, node_to_json(&c->tree.node[i]));
	json_object_set_new(object, "next_id", json_integer((json_int_t)c->tree.next_id));
	json_object_set_new(object, "nodes", nodes);
	json_object_set_new(object, "generation", json_integer((json_int_t)c->generation));
	json_object_set_new(object, "reactions", reaction_to_json(c));
	json_object_set_new(object, "name", json_string(c->facts.subject.name));
	json_object_set_new(object, "runtime", json_string(c->facts.subject.runtime));
	if (c->worker)
		json_object_set_new(object, "worker",
		                    json_pack("{s:i,s:I}", "pid", worker_pid(c->worker),
		                              "start_time",
		                              (json_int_t)worker_start_time(c->worker)));
	if (c->update)
		json_object_set_new(object, "update", update_to_json(c->update));
	return object;
}

int registry_request(const json_t *object, struct inspection_request *ret, struct err *e)
{
	const char *id = "", *bundle = "", *instance = NULL;
	int64_t pid = 0, start_time = 0, dev = 0;
	int result = json_get_string(object, "instance", true, &instance, e);

	if (result >= 0)
		result = json_get_string(object, "id", true, &id, e);
	if (result >= 0)
		result = json_get_string(object, "bundle", true, &bundle, e);
	if (result >= 0)
		result = json_get_int(object, "pid", true, 2, INT32_MAX, &pid, e);
	if (result >= 0)
		result = json_get_int(object, "start_time", true, 0, INT64_MAX, &start_time, e);
	if (result >= 0)
		result = json_get_int(object, "dev", false, 0, INT64_MAX, &dev, e);
	if (result >= 0)
		result = json_get_bool(object, "hook", true, &ret->hook, e);
	if (result >= 0)
		result = json_get_bool(object, "explicit", true, &ret->explicit, e);
	if (result >= 0)
		result = json_get_bool(object, "detached", true, &ret->detached, e);
	if (result < 0)
		return result;
	if (strlen(id) >= sizeof(ret->id) || strlen(bundle) >= sizeof(ret->bundle) ||
	    sodium_hex2bin(ret->instance, sizeof(ret->instance), instance, strlen(instance), NULL,
	                   NULL, NULL) != 0)
		return err_set(e, -EINVAL,
		               "its id, bundle or instance is of no form that we write");
	ret->how = ret->hook ? INSPECT_HOOK : INSPECT_PID;
	ret->pid = (pid_t)pid;
	ret->start_time = (uint64_t)start_time;
	ret->old_dev = (uint64_t)dev;
	ret->has_instance = true;
	ret->running = true;
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	snprintf(ret->bundle, sizeof(ret->bundle), "%s", bundle);
	return 0;
}

/* A row of numbers: key, where it goes, how large that is. */
static int get_numbers(const json_t *object, struct node *n, struct err *e)
{
	int64_t kind = 0, mode = 0, uid = 0, gid = 0, id = 0, parent = 0, version = 0, size = 0;
	int64_t before_version = 0;
	const struct {
		const char *key;
		int64_t max, *slot;
		bool may_lack; /* an earlier build did not write it */
	} rows[] = {
		{ "id", INT64_MAX, &id },
		{ "parent", INT64_MAX, &parent },
		{ "kind", NODE_SYMLINK, &kind },
		{ "mode", 07777, &mode },
		{ "uid", UINT32_MAX, &uid },
		{ "gid", UINT32_MAX, &gid },
		{ "version", INT64_MAX, &version },
		{ "size", INT64_MAX, &size },
		{ "mtime", INT64_MAX, &n->mtime_ns },
		{ "expires", INT64_MAX, &n->expires_ns },
		{ "opened", INT64_MAX, &n->opened_ns },
		{ "before_version", INT64_MAX, &before_version, true },
		{ "before", INT64_MAX, &n->before_ns, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int result = json_get_int(object, rows[i].key, !rows[i].may_lack, 0, rows[i].max,
		                          rows[i].slot, e);

		if (result < 0)
			return result;
	}
	n->id = (uint64_t)id;
	n->parent = (uint64_t)parent;
	n->kind = (uint32_t)kind;
	n->mode = (uint32_t)mode;
	n->uid = (uint32_t)uid;
	n->gid = (uint32_t)gid;
	n->version = (uint64_t)version;
	n->size = (uint64_t)size;
	n->before_version = (uint64_t)before_version;
	return 0;
}

/* Not there for a node without a set, nor in the registrations of a broker that knew none. */
static int get_set(const json_t *object, struct node *n, struct err *e)
{
	int64_t set = 0, since = 0;
	int result = json_get_int(object, "set", false, INT64_MIN, INT64_MAX, &set, e);

	if (result >= 0)
		result = json_get_int(object, "since", false, 0, INT64_MAX, &since, e);
	if (result >= 0)
		result = json_get_int(object, "lost", false, 0, INT64_MAX, &n->lost_ns, e);
	n->set = (uint64_t)set;
	n->since = (uint64_t)since;
	return result;
}

static int restore_node(struct container *c, const json_t *object, struct err *e)
{
	struct node like = { 0 }, *n;
	const char *path = NULL, *name = NULL, *grant = NULL;
	int result = get_numbers(object, &like, e);

	if (result >= 0)
		result = get_set(object, &like, e);
	if (result >= 0)
		result = json_get_bool(object, "linked", true, &like.linked, e);
	if (result >= 0)
		result = json_get_bool(object, "staged", true, &like.staged, e);
	if (result >= 0)
		result = json_get_bool(object, "withdrawn", true, &like.withdrawn, e);
	if (result >= 0)
		result = json_get_bool(object, "denied", true, &like.denied, e);
	if (result >= 0)
		result = json_get_bool(object, "released", false, &like.released, e);
	if (result >= 0)
		result = json_get_string(object, "path", true, &path, e);
	if (result >= 0)
		result = json_get_string(object, "name", true, &name, e);
	if (result >= 0)
		result = json_get_string(object, "grant", true, &grant, e);
	if (result < 0)
		return result;
	snprintf(like.grant, sizeof(like.grant), "%s", grant);
	n = tree_add(&c->tree, &like, path, name[0] ? name : NULL);
	if (!n)
		return err_set(e, -ENOMEM, "its tree does not fit");
	n->id = like.id;
	return 0;
}

static int restore_update(struct container *c, const json_t *object, struct err *e)
{
	json_t *steps = NULL, *denied = NULL, *entry;
	const char *token = NULL;
	struct update *u;
	size_t i;
	int result = json_get_string(object, "token", true, &token, e);

	if (result >= 0)
		result = json_get_array(object, "steps", true, PLAN_STEPS_MAX, &steps, e);
	if (result >= 0)
		result = json_get_array(object, "denied", true, WORKER_NODES_MAX, &denied, e);
	if (result < 0)
		return result;
	u = update_new(json_array_size(steps), json_array_size(denied));
	if (!u)
		return err_set(e, -ENOMEM, "out of memory");
	c->update = u;
	result = json_get_bool(object, "more", true, &u->more, e);
	if (result >= 0 &&
	    sodium_hex2bin(u->token, sizeof(u->token), token, strlen(token), NULL, NULL, NULL) != 0)
		result = err_set(e, -EINVAL, "its change has no token");
	json_array_foreach (steps, i, entry) {
		int64_t kind = 0, node = 0;

		if (result >= 0)
			result =
				json_get_int(entry, "kind", true, STAGE_PUT, STAGE_RMDIR, &kind, e);
		if (result >= 0)
			result = json_get_int(entry, "node", true, 1, INT64_MAX, &node, e);
		u->step[u->steps++] = (struct update_step){ (uint32_t)kind, (uint64_t)node };
	}
	json_array_foreach (denied, i, entry)
		u->denied[u->denials++] = (uint64_t)json_integer_value(entry);
	return result;
}

static int restore_tree(struct container *c, const json_t *object, struct err *e)
{
	json_t *nodes = NULL, *entry;
	int64_t next_id = 0, generation = 0;
	size_t i;
	int result = json_get_array(object, "nodes", true, WORKER_NODES_MAX, &nodes, e);

	if (result >= 0)
		result = json_get_int(object, "next_id", true, 0, INT64_MAX, &next_id, e);
	if (result >= 0)
		result = json_get_int(object, "generation", false, 0, INT64_MAX, &generation, e);
	if (result < 0)
		return result;
	c->tree = (struct tree){ .content_unref = content_unref };
	json_array_foreach (nodes, i, entry) {
		result = restore_node(c, entry, e);
		if (result < 0)
			return result;
	}
	c->tree.next_id = (uint64_t)next_id;
	c->generation = (uint64_t)generation;
	return 0;
}

int registry_restore(struct container *c, const json_t *object, struct err *e)
{
	json_t *update = NULL, *worker = NULL;
	int64_t pid = 0, start_time = 0;
	int result = json_get_object(object, "worker", false, &worker, e);

	/* First: whatever else there is, its worker is known. */
	if (result >= 0 && worker)
		result = json_get_int(worker, "pid", true, 0, INT32_MAX, &pid, e);
	if (result >= 0 && worker)
		result = json_get_int(worker, "start_time", true, 0, INT64_MAX, &start_time, e);
	c->left_worker = (pid_t)pid;
	c->left_worker_start = (uint64_t)start_time;
	if (result >= 0)
		result = restore_tree(c, object, e);
	if (result >= 0)
		result = reaction_restore(c, object, e);
	if (result >= 0)
		result = json_get_int(object, "since", true, 0, INT64_MAX, &c->since_ns, e);
	if (result >= 0)
		result = json_get_object(object, "update", false, &update, e);
	if (result >= 0 && update)
		result = restore_update(c, update, e);
	if (result < 0) {
		update_abandon(c);
		tree_clear(&c->tree);
	}
	return result;
}
