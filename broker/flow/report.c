/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/report.h"

#include "coffer/json.h"

static void set_text(json_t *fields, const char *key, const char *value)
{
	if (value && value[0])
		json_object_set_new(fields, key, json_string(value));
}

json_t *report_fields(const struct container *c)
{
	const struct subject *s = &c->facts.subject;
	json_t *fields = json_object();

	set_text(fields, "container", s->name[0] ? s->name : s->unit);
	set_text(fields, "runtime", s->runtime);
	set_text(fields, "id", s->id);
	set_text(fields, "instance", c->instance_text);
	json_object_set_new(fields, "pid", json_integer(c->facts.fixed.pid));
	return fields;
}

static json_t *fields_with_strength(const struct container *c)
{
	json_t *fields = report_fields(c);

	if (c->facts.subject.weak)
		json_object_set_new(fields, "weak", json_true());
	return fields;
}

void report_container(const struct container *c, const char *event, const char *reason)
{
	json_t *fields = fields_with_strength(c);

	set_text(fields, "reason", reason);
	audit_add(c->set->b->audit, event, fields);
}

void report_worker_ended(const struct container *c, bool in_hand)
{
	json_t *fields = fields_with_strength(c);

	json_object_set_new(fields, "request_in_hand", json_boolean(in_hand));
	audit_add(c->set->b->audit, "worker.ended", fields);
}

void report_file(const struct container *c, const char *event, const struct node *n,
                 const char *reason)
{
	json_t *fields = report_fields(c);

	set_text(fields, "name", n->name);
	set_text(fields, "path", n->path);
	set_text(fields, "grant", n->grant);
	json_object_set_new(fields, "version", json_integer((json_int_t)n->version));
	set_text(fields, "reason", reason);
	audit_add(c->set->b->audit, event, fields);
}

void report_refused_container(struct broker *b, const char *id, pid_t pid, const char *reason)
{
	json_t *fields = json_object();

	set_text(fields, "id", id);
	if (pid > 0)
		json_object_set_new(fields, "pid", json_integer(pid));
	set_text(fields, "reason", reason);
	audit_add(b->audit, "register.refused", fields);
}
