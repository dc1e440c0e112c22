/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "fields.h"
#include "grant_text.h"
#include "output.h"

static const char *const grant_headings[] = { "ID",      "NAME",       "~CONDITIONS", "PATH",
	                                      "MODE",    "UID",        "GID",         "~ALLOWS",
	                                      "CREATED", "~ON-ROTATE", NULL };

/* Conditions that are one text each: option and field share their name. */
static const char *const text_conditions[] = { "runtime", "container", "image", "unit" };

/* Leaves to use what is weak, option and field. */
static const struct {
	const char *option, *field;
} leaves[] = {
	{ "allow-tag", "allow_tag" },
	{ "allow-weak", "allow_weak" },
	{ "allow-unverified", "allow_unverified" },
};

static int take_conditions(const struct options *o, json_t *conditions, struct err *e)
{
	json_t *labels = NULL;
	int r = labels_from_options(o, &labels, e);

	if (r < 0)
		return r;
	if (labels)
		r = set_new(conditions, "labels", labels, e);
	for (size_t i = 0; i < ARRAY_LEN(text_conditions) && r == 0; i++)
		r = set_text(conditions, text_conditions[i], options_text(o, text_conditions[i], 0),
		             e);
	if (r == 0 && json_object_size(conditions) == 0)
		r = err_set(
			e, CLIENT_USAGE,
			"a grant needs at least one of --runtime, --container, --image, --label, "
			"--unit");
	return r;
}

static int take_owner(const struct options *o, json_t *grant, struct err *e)
{
	static const char *const ids[] = { "uid", "gid" };

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		int64_t id = 0;
		int given = options_number(o, ids[i], 0, UINT32_MAX - 1, &id, e);
		int r = given < 0 ? CLIENT_USAGE : set_number(grant, ids[i], given, id, e);

		if (r < 0)
			return r;
	}
	return set_text(grant, "mode", options_text(o, "mode", 0), e);
}

static int take_request(const struct options *o, json_t *parameters, struct err *e)
{
	json_t *grant = json_object(), *conditions = json_object();
	int r = set_new(parameters, "grant", grant, e);
	int s = set_new(grant, "conditions", conditions, e);

	if (r == 0)
		r = s;
	if (r == 0)
		r = set_text(grant, "name", o->word[0], e);
	if (r == 0)
		r = take_conditions(o, conditions, e);
	if (r == 0)
		r = set_text(grant, "path", options_text(o, "as", 0), e);
	if (r == 0)
		r = take_owner(o, grant, e);
	if (r == 0)
		r = set_text(grant, "on_rotate", options_text(o, "on-rotate", 0), e);
	for (size_t i = 0; i < ARRAY_LEN(leaves) && r == 0; i++)
		r = set_true(grant, leaves[i].field, options_has(o, leaves[i].option), e);
	return r;
}

/* What a newcomer looks for in vain: nothing stored yet, or conditions that nobody meets. */
static void note_effect(const json_t *reply, const char *name)
{
	const json_t *matching = json_object_get(reply, "matching");
	char shown[NAME_LEN_MAX + 1];

	name_escape(name, strlen(name), shown, sizeof(shown));
	if (json_is_false(json_object_get(reply, "stored")))
		output_note("there is no %s %s yet: it shows when it is put",
		            name[strlen(name) - 1] == '/' ? "secret below" : "secret", shown);
	if (json_is_integer(matching) && json_integer_value(matching) == 0)
		output_note(
			"no running container that Coffer knows matches now; if one should, see: "
			"coffer explain CONTAINER");
}

int verb_grant(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = take_request(o, parameters, e);

	if (r == 0)
		r = client_call(c, "Grant", TAKE_PTR(parameters), &reply, e);
	if (r == 0)
		r = client_changed(c, reply, e);
	if (r >= 0)
		note_effect(reply, o->word[0]);
	if (r == 0) {
		output_text(stdout, field_text(reply, "id"));
		putchar('\n');
	}
	return r < 0 ? r : 0;
}

int verb_revoke(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = set_text(parameters, "id", o->word[0], e);

	if (r == 0)
		r = client_call(c, "Revoke", TAKE_PTR(parameters), &reply, e);
	if (r == 0)
		r = client_changed(c, reply, e);
	return r < 0 ? r : 0;
}

static int add_grant(struct table *table, const json_t *grant)
{
	SCOPED(free_ptr) char *conditions = grant_conditions_text(grant);
	char uid[FIELD_NUMBER_MAX], gid[FIELD_NUMBER_MAX], allows[64];
	const char *cells[] = { field_text(grant, "id"),
		                field_text(grant, "name"),
		                conditions,
		                field_text(grant, "path"),
		                field_text(grant, "mode"),
		                field_number(grant, "uid", uid),
		                field_number(grant, "gid", gid),
		                grant_leaves_text(grant, allows, sizeof(allows)),
		                field_text(grant, "created"),
		                field_text(grant, "on_rotate") };

	return conditions ? table_add(table, cells) : -ENOMEM;
}

int verb_grants(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(table_free_ptr) struct table *table = table_new(grant_headings);
	SCOPED(json_ptr) json_t *reply = NULL;
	json_t *grant = NULL;
	size_t i = 0;
	int r = client_collect(c, "Grants", NULL, "grants", &reply, e);

	(void)o;
	if (r < 0)
		return r;
	if (c->json)
		return output_json(reply, e);
	r = table ? 0 : -ENOMEM;
	json_array_foreach (json_object_get(reply, "grants"), i, grant) {
		if (r == 0)
			r = add_grant(table, grant);
	}
	if (r < 0)
		return err_errno(e, r, "cannot list");
	table_print(table, stdout, c->tty);
	return 0;
}
