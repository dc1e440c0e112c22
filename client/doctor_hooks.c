/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks that Podman and CRI-O run: JSON files in folders, which their settings (TOML) may name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "doctor.h"
#include "fields.h"

#define HOOK "coffer-hook"
#define FOLDERS_MAX 32 /* that settings name */

void doctor_each_config(struct doctor *d, const struct doctor_config *config,
                        void (*visit)(struct doctor *d, const char *path, void *arg), void *arg)
{
	char path[DOCTOR_PATH_MAX];

	for (const char *const *file = config->files; *file; file++)
		visit(d, doctor_path(d, *file, path), arg);
	doctor_each_file(d, doctor_path(d, config->folder, path), config->suffix, visit, arg);
}

struct hook_search {
	const char *engine;
	bool found;
};

static void visit_hook(struct doctor *d, const char *path, void *arg)
{
	static const struct doctor_advice stage = {
		"at other stages the mounts of the container are not there yet, or not any more",
		"take the file that came with Coffer: \"stages\": [\"createRuntime\", "
		"\"poststop\"]"
	};
	struct hook_search *search = arg;
	SCOPED(json_ptr) json_t *file = doctor_read_json(path);
	const char *program = field_text(json_object_get(file, "hook"), "path");
	json_t *stages = json_object_get(file, "stages"), *name = NULL;
	bool create = false;
	size_t i = 0;

	if (!doctor_ends_with(program, HOOK))
		return;
	search->found = true;
	doctor_program_of(d, search->engine, program);
	json_array_foreach (stages, i, name) {
		if (json_is_string(name) && strcmp(json_string_value(name), "createRuntime") == 0)
			create = true;
	}
	if (!create)
		doctor_found(d, DOCTOR_ERROR, &stage, "the hook in %s is not for createRuntime",
		             path);
}

/* --- hooks_dir = ["/a", "/b"] --- */

struct folders {
	bool named;
	size_t count;
	char *path[FOLDERS_MAX]; /* owned */
};

static void drop_first(struct folders *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(f->path[i]);
	f->count -= n;
	memmove(f->path, f->path + n, f->count * sizeof(*f->path));
}

/* A list's texts, in the place of those before; {append=true} among them keeps these as well. */
static void take_list(struct folders *f, const char *at)
{
	size_t before = f->count, len;
	bool keep = false;

	f->named = true;
	for (at++; *at && *at != ']'; at += *at != '\0') {
		if (*at == '#') {
			at += strcspn(at, "\n");
		} else if (*at == '"' || *at == '\'') {
			len = strcspn(at + 1, *at == '"' ? "\"" : "'");
			if (f->count < FOLDERS_MAX && (f->path[f->count] = strndup(at + 1, len)))
				f->count++;
			at += 1 + len;
		} else if (*at == '{') {
			len = strcspn(at, "}");
			keep |= memmem(at, len, "append", 6) && memmem(at, len, "true", 4);
			at += len;
		}
	}
	if (!keep)
		drop_first(f, before);
}

static void visit_settings(struct doctor *d, const char *path, void *arg)
{
	static const char key[] = "hooks_dir";
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;

	if (doctor_read(path, &text, &len) < 0)
		return;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, " \t\r\n");
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		line += strlen(key);
		line += strspn(line, " \t");
		if (*line != '=')
			continue;
		line += 1 + strspn(line + 1, " \t");
		if (*line == '[')
			take_list(arg, line);
	}
}

bool doctor_has_hook(struct doctor *d, const char *engine, const struct doctor_config *config)
{
	static const char *const usual[] = { "/usr/share/containers/oci/hooks.d",
		                             "/etc/containers/oci/hooks.d" };
	struct hook_search search = { .engine = engine };
	struct folders named = { 0 };
	char path[DOCTOR_PATH_MAX];

	doctor_each_config(d, config, visit_settings, &named);
	for (size_t i = 0; i < named.count; i++)
		doctor_each_file(d, doctor_path(d, named.path[i], path), ".json", visit_hook,
		                 &search);
	for (size_t i = 0; !named.named && i < ARRAY_LEN(usual); i++)
		doctor_each_file(d, doctor_path(d, usual[i], path), ".json", visit_hook, &search);
	drop_first(&named, named.count);
	return search.found;
}
