/* SPDX-License-Identifier: Apache-2.0 */
#include "runc_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"

#define FOLDER_VARIABLE "COFFER_RUNTIME_DIR="

static const char *const stages[] = { "createRuntime", "poststop" };

/* A text that json_parse_foreign took: so quotes and brackets pair, and objects are well-formed. */
struct text {
	char *bytes; /* owned */
	size_t len;
};

/* Where a value stands. */
struct span {
	size_t from, end;
};

static void text_clear(struct text *t)
{
	free(t->bytes);
	*t = (struct text){ 0 };
}

/* ---- finding a place ---- */

static size_t skip_space(const struct text *t, size_t i)
{
	while (i < t->len && strchr(" \t\r\n", t->bytes[i]))
		i++;
	return i;
}

static size_t skip_string(const struct text *t, size_t i)
{
	for (i++; i < t->len && t->bytes[i] != '"'; i++)
		if (t->bytes[i] == '\\')
			i++;
	return i < t->len ? i + 1 : t->len;
}

static size_t skip_value(const struct text *t, size_t i)
{
	size_t depth = 0;

	do {
		char c = i < t->len ? t->bytes[i] : '\0';

		if (c == '"') {
			i = skip_string(t, i);
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		else if (depth == 0)
			return i + strcspn(t->bytes + i, ",]} \t\r\n");
		i++;
	} while (depth > 0 && i < t->len);
	return i;
}

/* The value of a member of the object that begins at `object`; false: it has none of that name. */
static bool find_member(const struct text *t, size_t object, const char *key, struct span *ret)
{
	size_t i = skip_space(t, object + 1), key_len = strlen(key);

	while (i < t->len && t->bytes[i] == '"') {
		size_t name = i + 1, name_end = skip_string(t, i) - 1;
		struct span value;

		value.from = skip_space(t, skip_space(t, name_end + 1) + 1); /* behind the ':' */
		value.end = skip_value(t, value.from);
		if (name_end - name == key_len && memcmp(t->bytes + name, key, key_len) == 0) {
			*ret = value;
			return true;
		}
		i = skip_space(t, value.end);
		if (i < t->len && t->bytes[i] == ',')
			i = skip_space(t, i + 1);
	}
	return false;
}

/* ---- putting something there ---- */

/* `what` instead of what stands at `where`. */
static int splice(struct text *t, struct span where, const char *what)
{
	size_t added = strlen(what), len = t->len - (where.end - where.from) + added;
	char *bytes = malloc(len + 1);

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, t->bytes, where.from);
	memcpy(bytes + where.from, what, added);
	memcpy(bytes + where.from + added, t->bytes + where.end, t->len - where.end);
	bytes[len] = '\0';
	free(t->bytes);
	*t = (struct text){ bytes, len };
	return 0;
}

/* As the last one of the list or object that stands at `where`. */
static int append(struct text *t, struct span where, const char *what)
{
	SCOPED(free_ptr) char *more = NULL;
	bool empty = skip_space(t, where.from + 1) == where.end - 1;

	if (asprintf(&more, "%s%s", empty ? "" : ",", what) < 0) {
		more = NULL;
		return -ENOMEM;
	}
	return splice(t, (struct span){ where.end - 1, where.end - 1 }, more);
}

/* In the list of a stage, which is made where there is none. */
static int put_hook(struct text *t, const char *stage, const char *hook)
{
	const size_t top = skip_space(t, 0);
	const struct span all = { top, skip_value(t, top) };
	struct span hooks, list;
	char *more = NULL;
	int r;

	if (!find_member(t, top, "hooks", &hooks)) {
		r = asprintf(&more, "\"hooks\":{\"%s\":[%s]}", stage, hook);
		r = r < 0 ? -ENOMEM : append(t, all, more);
	} else if (t->bytes[hooks.from] != '{') {
		r = asprintf(&more, "{\"%s\":[%s]}", stage, hook);
		r = r < 0 ? -ENOMEM : splice(t, hooks, more);
	} else if (!find_member(t, hooks.from, stage, &list)) {
		r = asprintf(&more, "\"%s\":[%s]", stage, hook);
		r = r < 0 ? -ENOMEM : append(t, hooks, more);
	} else if (t->bytes[list.from] != '[') {
		r = asprintf(&more, "[%s]", hook);
		r = r < 0 ? -ENOMEM : splice(t, list, more);
	} else {
		return append(t, list, hook);
	}
	if (r != -ENOMEM)
		free(more);
	return r;
}

/* ---- what is there already ---- */

static bool same_folder(const json_t *entry, const struct runc_hook *hook)
{
	const char *folder = CLIENT_RUNTIME_DIR;
	json_t *env = json_object_get(entry, "env"), *variable;
	size_t i;

	json_array_foreach (env, i, variable) {
		const char *text = json_string_value(variable);

		if (text && strncmp(text, FOLDER_VARIABLE, strlen(FOLDER_VARIABLE)) == 0)
			folder = text + strlen(FOLDER_VARIABLE);
	}
	return strcmp(folder, hook->runtime_dir ? hook->runtime_dir : CLIENT_RUNTIME_DIR) == 0;
}

static bool has_hook(const json_t *config, const char *stage, const struct runc_hook *hook)
{
	json_t *list = json_object_get(json_object_get(config, "hooks"), stage), *entry;
	const char *own = strrchr(hook->path, '/');
	size_t i;

	json_array_foreach (list, i, entry) {
		const char *path = json_string_value(json_object_get(entry, "path"));
		const char *name = path ? strrchr(path, '/') : NULL;

		if (name && strcmp(name, own) == 0 && same_folder(entry, hook))
			return true;
	}
	return false;
}

/* The hooks are an object of lists, as far as we touch them. */
static int read_config(const struct text *t, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *config = NULL;
	json_t *hooks = NULL, *list = NULL;
	int r;

	if (t->len > RUNC_CONFIG_MAX)
		return err_set(e, -EFBIG, "it is larger than %d bytes", RUNC_CONFIG_MAX);
	r = json_parse_foreign(t->bytes, t->len, &config, e);
	if (r == 0 && !json_is_object(config))
		r = err_set(e, -EINVAL, "it is no JSON object");
	if (r == 0)
		r = json_get_object(config, "hooks", false, &hooks, e);
	for (size_t i = 0; i < ARRAY_LEN(stages) && r == 0 && hooks; i++)
		r = json_get_array(hooks, stages[i], false, SIZE_MAX, &list, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(config);
	return 0;
}

static char *hook_text(const struct runc_hook *hook)
{
	SCOPED(json_ptr) json_t *entry = json_pack("{s:s}", "path", hook->path);
	char variable[4096];
	int n;

	if (!entry || !hook->runtime_dir)
		return entry ? json_text(entry) : NULL;
	n = snprintf(variable, sizeof(variable), FOLDER_VARIABLE "%s", hook->runtime_dir);
	if (n < 0 || (size_t)n >= sizeof(variable) ||
	    json_object_set_new(entry, "env", json_pack("[s]", variable)) < 0)
		return NULL;
	return json_text(entry);
}

/* 1: something was added. */
static int add_missing(struct text *t, const json_t *config, const struct runc_hook *hook,
                       struct err *e)
{
	SCOPED(json_text_ptr) char *entry = hook_text(hook);
	int added = 0, r = 0;

	if (!entry)
		return err_set(e, -EINVAL, "the hook's path or folder is too long, or not UTF-8");
	for (size_t i = 0; i < ARRAY_LEN(stages) && r == 0; i++) {
		if (has_hook(config, stages[i], hook))
			continue;
		r = put_hook(t, stages[i], entry);
		added = 1;
	}
	return r < 0 ? err_set(e, r, "out of memory") : added;
}

int runc_config_add_hook(const char *text, size_t len, const struct runc_hook *hook, char **ret,
                         size_t *ret_len, struct err *e)
{
	SCOPED(text_clear) struct text t = { malloc(len + 1), len };
	SCOPED(json_ptr) json_t *before = NULL;
	SCOPED(json_ptr) json_t *after = NULL;
	int r;

	if (!t.bytes)
		return err_set(e, -ENOMEM, "out of memory");
	if (len > 0)
		memcpy(t.bytes, text, len);
	t.bytes[len] = '\0';
	r = read_config(&t, &before, e);
	if (r == 0)
		r = add_missing(&t, before, hook, e);
	if (r <= 0)
		return r;
	/* A name written with escapes is not found above, and would now be there twice. */
	r = read_config(&t, &after, e);
	if (r < 0)
		return err_prefix(e, r, "with the hook in it");
	for (size_t i = 0; i < ARRAY_LEN(stages); i++)
		if (!has_hook(after, stages[i], hook))
			return err_set(e, -EINVAL, "the hook cannot be put into it");
	*ret = TAKE_PTR(t.bytes);
	*ret_len = t.len;
	return 1;
}
