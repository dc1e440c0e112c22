/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"

/* Where a key's value goes, what it may be. A new key is one row here and one in
 * docs/configuration.md. */
enum kind { KIND_TEXT, KIND_PATH, KIND_CHOICE, KIND_U32, KIND_U64, KIND_ROOTS, KIND_WAIT };
struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	int64_t min, max;     /* numbers */
	const char *no, *yes; /* choices: the words for false and true */
};

#define AT(member) offsetof(struct config, member)

static const struct key keys[] = {
	{ "state_dir", KIND_PATH, AT(state_dir) },
	{ "runtime_dir", KIND_PATH, AT(runtime_dir) },
	{ "keyfile", KIND_PATH, AT(keyfile) },
	{ "mount_folder", KIND_PATH, AT(mount_folder) },
	{ "worker_path", KIND_PATH, AT(worker_path) },
	{ "worker_user", KIND_TEXT, AT(worker_user) },
	{ "operator_group", KIND_TEXT, AT(operator_group) },
	{ "audit_when_full", KIND_CHOICE, AT(audit_full_serve), .no = "refuse", .yes = "serve" },
	{ "on_seal", KIND_CHOICE, AT(seal_stops), .no = "serve", .yes = "stop" },
	{ "runc_roots", KIND_ROOTS, AT(runc_roots) },
	{ "engine_roots", KIND_ROOTS, AT(engine_roots) },
	{ "wait", KIND_WAIT },
	{ "connections_max", KIND_U32, AT(connections_max), 1, 1024 },
	{ "calls_per_second", KIND_U32, AT(calls_per_second), 1, 100000 },
	{ "containers_max", KIND_U32, AT(containers_max), 1, 65536 },
	{ "crash_pause_seconds", KIND_U32, AT(crash_pause_s), 1, 3600 },
	{ "audit_budget", KIND_U64, AT(audit_budget), 60, 1000000 },
};

int config_set(char **slot, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

bool config_path_is_plain(const char *path)
{
	if (path[0] != '/' || !path[1])
		return false;
	while (*path) {
		const char *segment = path + 1;
		size_t len = strcspn(segment, "/");

		if (len == 0 || (len == 1 && segment[0] == '.') ||
		    (len == 2 && segment[0] == '.' && segment[1] == '.'))
			return false;
		path = segment + len;
	}
	return true;
}

static int check_text(const char *key, const char *text, bool path, struct err *e)
{
	if (!*text || strlen(text) > CONFIG_TEXT_MAX)
		return err_set(e, -EINVAL, "\"%s\" must be 1 to %d bytes long", key,
		               CONFIG_TEXT_MAX);
	if (path && !config_path_is_plain(text))
		return err_set(e, -EINVAL,
		               "\"%s\" must be an absolute path without \".\", \"..\" or \"//\"",
		               key);
	return 0;
}

static int read_text(struct config *c, const struct key *key, const json_t *object, struct err *e)
{
	char **slot = (char **)((char *)c + key->offset);
	const char *text = NULL;
	int r = json_get_string(object, key->name, false, &text, e);

	if (r < 0 || !text)
		return r;
	r = check_text(key->name, text, key->kind == KIND_PATH, e);
	if (r < 0)
		return r;
	return config_set(slot, text);
}

static int read_choice(struct config *c, const struct key *key, const json_t *object, struct err *e)
{
	bool *slot = (bool *)((char *)c + key->offset);
	const char *text = NULL;
	int r = json_get_string(object, key->name, false, &text, e);

	if (r < 0 || !text)
		return r;
	if (strcmp(text, key->no) != 0 && strcmp(text, key->yes) != 0)
		return err_set(e, -EINVAL, "\"%s\" must be \"%s\" or \"%s\"", key->name, key->no,
		               key->yes);
	*slot = strcmp(text, key->yes) == 0;
	return 0;
}

static int read_number(struct config *c, const struct key *key, const json_t *object, struct err *e)
{
	void *slot = (char *)c + key->offset;
	int64_t number = -1;
	int r = json_get_int(object, key->name, false, key->min, key->max, &number, e);

	if (r < 0 || number < 0)
		return r;
	if (key->kind == KIND_U32)
		*(uint32_t *)slot = (uint32_t)number;
	else
		*(uint64_t *)slot = (uint64_t)number;
	return 0;
}

static int read_roots(struct config *c, const struct key *key, const json_t *object, struct err *e)
{
	char **roots = (char **)((char *)c + key->offset);
	json_t *list = NULL;
	int r = json_get_array(object, key->name, false, CONFIG_ROOTS_MAX, &list, e);

	if (r < 0 || !list)
		return r;
	for (size_t i = 0; i < CONFIG_ROOTS_MAX; i++)
		free_ptr(&roots[i]);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text)
			return err_set(e, -EINVAL, "\"%s\" must be a list of paths", key->name);
		r = check_text(key->name, text, true, e);
		if (r < 0)
			return r;
		r = config_set(&roots[i], text);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "label": "key=value", as on the command line. */
static int read_wait_label(struct config_wait *w, const json_t *entry, struct err *e)
{
	const char *label = NULL, *equals;
	int r = json_get_string(entry, "label", false, &label, e);

	if (r < 0 || !label)
		return r;
	r = check_text("label", label, false, e);
	if (r < 0)
		return r;
	equals = strchr(label, '=');
	if (!equals || equals == label)
		return err_set(e, -EINVAL, "\"label\" must look like \"key=value\"");
	w->label_key = strndup(label, (size_t)(equals - label));
	w->label_value = strdup(equals + 1);
	return w->label_key && w->label_value ? 0 : -ENOMEM;
}

static int read_wait_entry(struct config_wait *w, const json_t *entry, struct err *e)
{
	static const char *const known[] = {
		"runtime", "container", "image", "unit", "label", NULL
	};
	char **const slots[] = { &w->runtime, &w->container, &w->image, &w->unit };
	int r = json_is_object(entry) ? json_only_keys(entry, known, e)
	                              : err_set(e, -EINVAL, "each must be an object");

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(slots); i++) {
		const char *text = NULL;

		r = json_get_string(entry, known[i], false, &text, e);
		if (r == 0 && text)
			r = check_text(known[i], text, false, e);
		if (r == 0 && text)
			r = config_set(slots[i], text);
	}
	if (r == 0)
		r = read_wait_label(w, entry, e);
	/* A field that is null is none. Without any, every container would wait. */
	if (r == 0 && !w->runtime && !w->container && !w->image && !w->unit && !w->label_key)
		return err_set(e, -EINVAL, "each must have at least one condition");
	return r;
}

static int read_wait(struct config *c, const json_t *object, struct err *e)
{
	json_t *list = NULL;
	int r = json_get_array(object, "wait", false, CONFIG_WAIT_MAX, &list, e);

	if (r < 0 || !list)
		return r;
	for (size_t i = 0; i < json_array_size(list); i++) {
		c->waits = i + 1;
		r = read_wait_entry(&c->wait[i], json_array_get(list, i), e);
		if (r < 0)
			return err_prefix(e, r, "\"wait\" entry %zu", i + 1);
	}
	return 0;
}

static int read_key(struct config *c, const struct key *key, const json_t *object, struct err *e)
{
	switch (key->kind) {
	case KIND_TEXT:
	case KIND_PATH:
		return read_text(c, key, object, e);
	case KIND_CHOICE:
		return read_choice(c, key, object, e);
	case KIND_U32:
	case KIND_U64:
		return read_number(c, key, object, e);
	case KIND_ROOTS:
		return read_roots(c, key, object, e);
	case KIND_WAIT:
		return read_wait(c, object, e);
	}
	return -EINVAL;
}

static int apply(struct config *c, const char *text, size_t len, struct err *e)
{
	SCOPED(json_ptr) json_t *object = NULL;
	const char *known[ARRAY_LEN(keys) + 1] = { NULL };
	int r = json_parse(text, len, &object, e);

	if (r < 0)
		return r;
	if (!json_is_object(object))
		return err_set(e, -EINVAL, "it must hold one JSON object");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		known[i] = keys[i].name;
	r = json_only_keys(object, known, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++)
		r = read_key(c, &keys[i], object, e);
	if (r == -ENOMEM)
		return err_set(e, r, "out of memory");
	return r;
}

int config_file_read(struct config *c, const char *path, struct err *e)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	SCOPED(free_ptr) char *text = NULL;
	struct stat st;
	ssize_t len;
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open the configuration %s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at the configuration %s", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(e, -EPERM,
		               "the configuration %s must be a file that root owns and nobody "
		               "else may write; set owner and mode (chown root, chmod 0644)",
		               path);
	text = malloc(CONFIG_FILE_MAX + 1);
	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	len = io_read_all(fd, text, CONFIG_FILE_MAX + 1);
	if (len < 0)
		return err_errno(e, (int)len, "cannot read the configuration %s", path);
	if ((size_t)len > CONFIG_FILE_MAX)
		return err_set(e, -EFBIG, "the configuration %s is longer than %u bytes", path,
		               CONFIG_FILE_MAX);
	r = apply(c, text, (size_t)len, e);
	return r < 0 ? err_prefix(e, r, "the configuration %s", path) : 0;
}
