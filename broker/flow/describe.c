/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/times.h"
#include "flow/opened.h"
#include "flow/reaction.h"

static const char *const state_names[] = {
	[MOUNT_NONE] = "registered", [MOUNT_MAKING] = "attaching", [MOUNT_UP] = "attached",
	[MOUNT_LOST] = "lost",       [MOUNT_FAILED] = "failed",    [MOUNT_DETACHED] = "detached",
};

static json_t *text_or_null(const char *text)
{
	return text && text[0] ? json_string(text) : json_null();
}

static json_t *time_or_null(int64_t ns)
{
	char text[TIMES_TEXT_MAX];

	return ns ? json_string(times_format(ns, text)) : json_null();
}

static void add_number(void *arg, uint64_t number)
{
	json_array_append_new(arg, json_integer((json_int_t)number));
}

static json_t *describe_file(const struct node *n, const struct held *held)
{
	struct opened opened = opened_of(n);
	json_t *versions = json_array();

	held_each(held, n, add_number, versions);
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:s}", "path", n->path, "name", n->name,
	                 "version", (json_int_t)n->version, "opened_version",
	                 opened.version ? json_integer((json_int_t)opened.version) : json_null(),
	                 "opened", time_or_null(opened.time_ns), "held", versions, "grant",
	                 n->grant);
}

static json_t *describe_files(const struct container *c)
{
	json_t *files = json_array();
	struct held held = { 0 };

	(void)held_make(&c->tree, &held); /* without memory: none */
	for (size_t i = 0; i < c->tree.count; i++)
		if (c->tree.node[i].kind == NODE_FILE && c->tree.node[i].linked)
			json_array_append_new(files, describe_file(&c->tree.node[i], &held));
	held_clear(&held);
	return files;
}

json_t *describe_attachment(const struct container *c)
{
	const struct subject *s = &c->facts.subject;
	char text[TIMES_TEXT_MAX];
	json_t *object = json_object();
	pid_t worker = worker_pid(c->worker);

	json_object_set_new(object, "instance", json_string(c->instance_text));
	json_object_set_new(object, "container",
	                    json_string(s->name[0]   ? s->name
	                                : s->unit[0] ? s->unit
	                                             : s->id));
	json_object_set_new(object, "runtime", json_string(s->runtime));
	json_object_set_new(object, "pid", json_integer(c->facts.fixed.pid));
	json_object_set_new(
		object, "state",
		json_string(c->throttle.refusing ? "throttled" : state_names[c->mount]));
	json_object_set_new(object, "reason", text_or_null(c->reason.text));
	json_object_set_new(object, "weak", json_boolean(s->weak));
	json_object_set_new(object, "folder", json_string(c->folder));
	json_object_set_new(object, "worker", worker ? json_integer(worker) : json_null());
	json_object_set_new(object, "since", json_string(times_format(c->since_ns, text)));
	json_object_set_new(object, "files", describe_files(c));
	json_object_set_new(object, "reactions", reaction_describe(c));
	return object;
}

static void fact(json_t *facts, const char *name, const char *value, const char *source)
{
	if (value && value[0])
		json_array_append_new(facts, json_pack("{s:s, s:s, s:s}", "name", name, "value",
		                                       value, "source", source));
}

static void number_fact(json_t *facts, const char *name, uint64_t value, const char *source)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	fact(facts, name, text, source);
}

static json_t *describe_facts(const struct facts *f)
{
	const struct subject *s = &f->subject;
	const char *engine =
		s->unverified ? "a user's files (unverified)" : "the engine's root-owned state";
	json_t *facts = json_array();

	number_fact(facts, "pid", (uint64_t)f->fixed.pid, "kernel");
	number_fact(facts, "cgroup", f->fixed.cgroup_id, "kernel");
	number_fact(facts, "mount namespace", f->fixed.mnt_ns, "kernel");
	number_fact(facts, "pid namespace", f->fixed.pid_ns, "kernel");
	number_fact(facts, "user namespace", f->fixed.user_ns, "kernel");
	fact(facts, "runtime", s->runtime, engine);
	fact(facts, "container", s->name, engine);
	fact(facts, "id", s->id, engine);
	fact(facts, "image", s->image, engine);
	fact(facts, "digest", s->digest, engine);
	fact(facts, "unit", s->unit, "kernel (cgroup)");
	fact(facts, "bundle", f->bundle, engine);
	number_fact(facts, "uid", s->uid, engine);
	number_fact(facts, "gid", s->gid, engine);
	for (size_t i = 0; i < s->attributes; i++) {
		char name[ATTACH_TEXT_MAX + 16];

		snprintf(name, sizeof(name), "label %s", s->attribute[i].key);
		fact(facts, name, s->attribute[i].value,
		     s->attribute[i].from_image ? "the image" : engine);
	}
	return facts;
}

static json_t *paths_of(const struct view *view, const struct grant *g)
{
	json_t *paths = json_array();

	for (size_t i = 0; i < view->files; i++)
		if (view->file[i].grant == g)
			json_array_append_new(paths, json_string(view->file[i].path));
	return paths;
}

static json_t *describe_matches(struct containers *set, const struct facts *f,
                                const struct view *view)
{
	static const char *const strengths[] = { NULL, "weak", "strong" };
	const struct policy *p = set->b->policy;
	json_t *matches = json_array();

	for (size_t i = 0; i < policy_count(p); i++) {
		const struct grant *g = policy_at(p, i);
		enum strength strength = STRENGTH_NONE;
		struct err why = { "" };
		bool holds = policy_matches(g, &f->subject, &strength, &why);

		json_array_append_new(
			matches,
			json_pack("{s:s, s:s, s:b, s:o, s:s, s:b, s:o}", "grant", g->id, "name",
		                  g->name, "matches", holds, "strength",
		                  text_or_null(holds ? strengths[strength] : NULL), "reason",
		                  why.text, "image_label", policy_wants_image_label(g, &f->subject),
		                  "paths", paths_of(view, g)));
	}
	return matches;
}

static void note(json_t *notes, const char *text)
{
	json_array_append_new(notes, json_string(text));
}

static void note_conflicts(json_t *notes, const struct view *view)
{
	struct err text;

	for (size_t i = 0; i < view->clashes; i++) {
		const struct view_clash *clash = &view->clash[i];

		if (clash->winner == clash->loser)
			err_set(&text, 0,
			        "grant %s: %s cannot be both a file and a folder; the file is "
			        "shown",
			        clash->winner->id, clash->path);
		else
			err_set(&text, 0, "grants %s and %s both want %s; the older, %s, has it",
			        clash->winner->id, clash->loser->id, clash->path,
			        clash->winner->id);
		note(notes, text.text);
	}
	for (size_t i = 0; i < view->unfits; i++) {
		err_set(&text, 0,
		        "grant %s: %s is too long or too deep a path; choose a shorter --as",
		        view->unfit[i].grant->id, view->unfit[i].path);
		note(notes, text.text);
	}
}

/* What an engine calls a container may change while it runs. */
static void note_renamed(json_t *notes, const struct facts *f, const struct container *c)
{
	const char *was = c->facts.subject.name, *is = f->subject.name;
	struct err text;

	if (strcmp(was, is) == 0)
		return;
	err_set(&text, 0,
	        "its engine calls it %.100s now; until it is started again, grants go by %.100s, "
	        "its name when it was registered",
	        is, was);
	note(notes, text.text);
}

static json_t *describe_notes(struct containers *set, const struct facts *f,
                              const struct container *c, const struct view *view)
{
	json_t *notes = json_array();

	if (vault_state(set->b->vault) != VAULT_UNSEALED)
		note(notes,
		     "the broker is sealed, so no grant is known; unseal it with `coffer unseal`");
	if (!c)
		note(notes, "not registered: it was started without coffer-hook and has asked for "
		            "nothing; `coffer "
		            "attach` mounts its secrets");
	else if (c->reason.text[0])
		note(notes, c->reason.text);
	if (c)
		note_renamed(notes, f, c);
	if (f->subject.weak)
		note(notes, "weak: it shares the host's pid namespace, so grants need --allow-weak "
		            "to match");
	if (f->subject.plain)
		note(notes,
		     "a plain process group: no engine's state matches, so only --unit can match");
	if (f->subject.host_mounts)
		note(notes, "it shares the host's mount namespace: workload socket only, no mount");
	if (f->trouble && f->trouble[0])
		note(notes, f->trouble);
	if (f->subject.unverified)
		note(notes, "its engine's state is in a user's hands, so grants need "
		            "--allow-unverified to match");
	note_conflicts(notes, view);
	return notes;
}

static json_t *view_files(struct containers *set, const struct view *view)
{
	json_t *files = json_array();

	for (size_t i = 0; i < view->files; i++) {
		const struct view_file *file = &view->file[i];
		struct vault_secret secret;

		if (vault_find(set->b->vault, file->name, &secret) < 0)
			continue;
		json_array_append_new(files,
		                      json_pack("{s:s, s:s, s:I, s:n, s:n, s:[], s:s}", "path",
		                                file->path, "name", file->name, "version",
		                                (json_int_t)secret.current.number, "opened_version",
		                                "opened", "held", "grant", file->grant->id));
	}
	return files;
}

static int compare_path(const void *path, const void *file)
{
	return strcmp(path, ((const struct view_file *)file)->path);
}

/* Who may read each file, as seen inside; of what is shown without a grant by now: nothing. */
static void add_access(struct containers *set, const struct facts *f, const struct view *view,
                       json_t *files)
{
	json_t *object;
	size_t i;

	json_array_foreach (files, i, object) {
		const char *path = json_string_value(json_object_get(object, "path"));
		const struct view_file *file = path && view->files
		                                       ? bsearch(path, view->file, view->files,
		                                                 sizeof(*view->file), compare_path)
		                                       : NULL;
		struct vault_secret secret;
		uint32_t mode;
		char text[16];

		if (!file || vault_find(set->b->vault, file->name, &secret) < 0)
			continue;
		mode = file->has_mode ? file->mode
		                      : policy_default_mode(&f->subject, secret.current.flags &
		                                                                 VAULT_PRIVATE_KEY);
		(void)snprintf(text, sizeof(text), "%04o", mode);
		json_object_set_new(object, "mode", json_string(text));
		json_object_set_new(object, "uid", json_integer(file->uid));
		json_object_set_new(object, "gid", json_integer(file->gid));
	}
}

json_t *describe_explanation(struct containers *set, const struct facts *f, struct container *c)
{
	struct wants wants = { 0 };
	struct container probe = { .set = set, .facts = *f };
	json_t *notes, *files, *answer;
	struct err why;
	bool failed = vault_state(set->b->vault) == VAULT_UNSEALED &&
	              wants_make(c ? c : &probe, &wants, &why) < 0;

	notes = describe_notes(set, f, c, &wants.view);
	if (failed)
		note(notes, why.text);
	files = c && c->tree.count ? describe_files(c) : view_files(set, &wants.view);
	add_access(set, f, &wants.view, files);
	answer = json_pack("{s:o, s:o, s:o, s:o, s:o}", "instance",
	                   text_or_null(c ? c->instance_text : NULL), "facts", describe_facts(f),
	                   "matches", describe_matches(set, f, &wants.view), "files", files,
	                   "notes", notes);
	wants_clear(&wants);
	return answer;
}
