/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A grant from and to JSON. Every rule of a grant is checked here, so that whatever else handles
 * one may rely on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/times.h"
#include "policy/image.h"
#include "policy/on_rotate.h"
#include "policy/policy.h"

#define MODE_MAX 0777           /* set-id bits mean nothing on a secret */
#define ID_MAX (UINT32_MAX - 1) /* the highest is (uid_t)-1: no user */

static const char *const runtimes[] = { "docker", "podman",  "containerd", "crio",
	                                "runc",   "systemd", "nspawn" };

/* What systemd puts into cgroups (systemd.unit(5)); a name without any of these means a service. */
static const char *const unit_suffixes[] = { ".service", ".scope", ".slice",
	                                     ".socket",  ".mount", ".swap" };

void grant_free(struct grant *g)
{
	if (!g)
		return;
	for (size_t i = 0; g->label && i < g->labels; i++) {
		free(g->label[i].key);
		free(g->label[i].value);
	}
	free(g->label);
	free(g->name);
	free(g->runtime);
	free(g->container);
	free(g->image);
	free(g->unit);
	free(g->path);
	free(g->on_rotate);
	free(g);
}

static void grant_free_ptr(struct grant **g)
{
	grant_free(*g);
}

static int copy(const char *text, char **ret, struct err *e)
{
	char *made = strdup(text);

	if (!made)
		return err_set(e, -ENOMEM, "out of memory while reading a grant");
	*ret = made;
	return 0;
}

static int check_text(const char *field, const char *text, struct err *e)
{
	size_t len = strlen(text);

	if (len == 0)
		return err_set(e, -EINVAL, "the condition \"%s\" is empty", field);
	if (len > POLICY_TEXT_MAX)
		return err_set(e, -EINVAL, "the condition \"%s\" is longer than %d bytes", field,
		               POLICY_TEXT_MAX);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(e, -EINVAL,
			               "the condition \"%s\" contains a control character", field);
	return 0;
}

static int check_runtime(const char *runtime, struct err *e)
{
	char shown[64];

	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++)
		if (strcmp(runtime, runtimes[i]) == 0)
			return 0;
	return err_set(e, -EINVAL,
	               "the runtime \"%s\" is unknown: docker, podman, containerd, crio, runc, "
	               "systemd and nspawn are known",
	               name_escape(runtime, strlen(runtime), shown, sizeof(shown)));
}

/* A condition that is one text. Absent: *ret stays NULL. */
static int read_condition(const json_t *conditions, const char *field, char **ret, struct err *e)
{
	const char *text = NULL;
	int r = json_get_string(conditions, field, false, &text, e);

	if (r < 0 || !text)
		return r;
	r = check_text(field, text, e);
	return r < 0 ? r : copy(text, ret, e);
}

/* "web" is "web.service", as systemctl(1) has it. */
static int complete_unit(char **unit, struct err *e)
{
	size_t len = strlen(*unit);
	char *longer;

	for (size_t i = 0; i < ARRAY_LEN(unit_suffixes); i++) {
		size_t suffix = strlen(unit_suffixes[i]);

		if (len > suffix && strcmp(*unit + len - suffix, unit_suffixes[i]) == 0)
			return 0;
	}
	longer = malloc(len + sizeof(".service"));
	if (!longer)
		return err_set(e, -ENOMEM, "out of memory while reading a grant");
	memcpy(longer, *unit, len);
	memcpy(longer + len, ".service", sizeof(".service"));
	free(*unit);
	*unit = longer;
	return 0;
}

static int read_labels(const json_t *conditions, struct grant *g, struct err *e)
{
	json_t *labels = NULL, *value;
	const char *key;
	int r = json_get_object(conditions, "labels", false, &labels, e);

	if (r < 0 || !labels || json_object_size(labels) == 0)
		return r;
	if (json_object_size(labels) > POLICY_LABELS_MAX)
		return err_set(e, -EINVAL, "a grant may have at most %d label conditions",
		               POLICY_LABELS_MAX);
	g->label = calloc(json_object_size(labels), sizeof(*g->label));
	if (!g->label)
		return err_set(e, -ENOMEM, "out of memory while reading a grant");
	json_object_foreach (labels, key, value) {
		struct attribute *label = &g->label[g->labels++];

		if (!json_is_string(value))
			return err_set(e, -EINVAL, "the value of each label must be text");
		r = check_text("labels", key, e);
		if (r == 0 && json_string_length(value) > 0)
			r = check_text("labels", json_string_value(value), e);
		if (r == 0)
			r = copy(key, &label->key, e);
		if (r == 0)
			r = copy(json_string_value(value), &label->value, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_conditions(const json_t *object, struct grant *g, struct err *e)
{
	static const char *const known[] = {
		"runtime", "container", "image", "labels", "unit", NULL
	};
	json_t *conditions = NULL;
	int r = json_get_object(object, "conditions", true, &conditions, e);

	if (r == 0)
		r = json_only_keys(conditions, known, e);
	if (r == 0)
		r = read_condition(conditions, "runtime", &g->runtime, e);
	if (r == 0 && g->runtime)
		r = check_runtime(g->runtime, e);
	if (r == 0)
		r = read_condition(conditions, "container", &g->container, e);
	if (r == 0)
		r = read_condition(conditions, "image", &g->image, e);
	if (r == 0 && g->image)
		r = image_check(g->image, e);
	if (r == 0)
		r = read_condition(conditions, "unit", &g->unit, e);
	if (r == 0 && g->unit)
		r = complete_unit(&g->unit, e);
	if (r == 0)
		r = read_labels(conditions, g, e);
	if (r < 0)
		return r;
	if (!g->runtime && !g->container && !g->image && !g->unit && g->labels == 0)
		return err_set(e, -EINVAL,
		               "a grant needs at least one condition: --runtime, --container, "
		               "--image, --label or --unit");
	return 0;
}

/* "0440" or "440". */
static int read_mode(const json_t *object, struct grant *g, struct err *e)
{
	const char *text = NULL;
	size_t len;
	int r = json_get_string(object, "mode", false, &text, e);

	if (r < 0 || !text)
		return r;
	len = strlen(text);
	if (len < 3 || len > 4 || strspn(text, "01234567") != len ||
	    strtoul(text, NULL, 8) > MODE_MAX)
		return err_set(e, -EINVAL,
		               "the mode must be three octal digits, such as 0440, without set-id "
		               "bits");
	g->mode = (uint32_t)strtoul(text, NULL, 8);
	g->has_mode = true;
	return 0;
}

static int read_id(const json_t *object, const char *field, bool *ret_has, uint32_t *ret,
                   struct err *e)
{
	int64_t id = -1;
	int r = json_get_int(object, field, false, 0, ID_MAX, &id, e);

	if (r < 0 || id < 0)
		return r;
	*ret = (uint32_t)id;
	*ret_has = true;
	return 0;
}

static int read_name(const json_t *object, struct grant *g, struct err *e)
{
	const char *name = NULL;
	size_t len;
	int r = json_get_string(object, "name", true, &name, e);

	if (r < 0)
		return r;
	len = strlen(name);
	r = len > 0 && name[len - 1] == '/' ? name_check_prefix(name, e) : name_check(name, e);
	return r < 0 ? r : copy(name, &g->name, e);
}

static int read_path(const json_t *object, struct grant *g, struct err *e)
{
	const char *path = NULL;
	int r = json_get_string(object, "path", false, &path, e);

	if (r < 0 || !path)
		return r;
	r = name_check_path(path, e);
	return r < 0 ? r : copy(path, &g->path, e);
}

static int read_on_rotate(const json_t *object, struct grant *g, struct err *e)
{
	struct on_rotate parsed;
	char text[ON_ROTATE_SHOWN_MAX];
	const char *given = NULL;
	int r = json_get_string(object, "on_rotate", false, &given, e);

	if (r < 0 || !given)
		return r;
	r = on_rotate_parse(given, &parsed, e);
	return r < 0 ? r : copy(on_rotate_format(&parsed, text), &g->on_rotate, e);
}

/* What the broker gives a grant, absent from a request: who it is and how old. */
static int read_origin(const json_t *object, struct grant *g, struct err *e)
{
	const char *id = NULL, *created = NULL;
	int64_t order = 0;
	int r = json_get_string(object, "id", false, &id, e);

	if (r == 0)
		r = json_get_string(object, "created", false, &created, e);
	if (r == 0)
		r = json_get_int(object, "order", false, 1, INT64_MAX, &order, e);
	if (r == 0 && created)
		r = times_parse(created, &g->created_ns, e);
	if (r < 0)
		return r;
	g->order = (uint64_t)order;
	if (!id)
		return 0;
	if (strlen(id) != POLICY_ID_LEN || strspn(id, "0123456789abcdef") != POLICY_ID_LEN)
		return err_set(e, -EINVAL, "a grant's id is %d digits 0-9a-f", POLICY_ID_LEN);
	memcpy(g->id, id, POLICY_ID_LEN + 1);
	return 0;
}

static int read_leave(const json_t *object, struct grant *g, struct err *e)
{
	int r = json_get_bool(object, "allow_tag", false, &g->allow_tag, e);

	if (r == 0)
		r = json_get_bool(object, "allow_weak", false, &g->allow_weak, e);
	if (r == 0)
		r = json_get_bool(object, "allow_unverified", false, &g->allow_unverified, e);
	if (r < 0)
		return r;
	/* It could never match, and the operator would wonder why. */
	if (g->image && !image_digest(g->image) && !g->allow_tag)
		return err_set(e, -EINVAL,
		               "the image is given by a tag, which can be moved to another image: "
		               "give its digest (sha256:...), or say --allow-tag");
	return 0;
}

int grant_from_json(const json_t *object, struct grant **ret, struct err *e)
{
	static const char *const known[] = {
		"id",      "name",  "conditions", "path",       "mode",
		"uid",     "gid",   "allow_tag",  "allow_weak", "allow_unverified",
		"created", "order", "on_rotate",  NULL
	};
	SCOPED(grant_free_ptr) struct grant *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return err_set(e, -ENOMEM, "out of memory while reading a grant");
	if (!json_is_object(object))
		return err_set(e, -EINVAL, "a grant is a JSON object");
	r = json_only_keys(object, known, e);
	if (r == 0)
		r = read_origin(object, g, e);
	if (r == 0)
		r = read_name(object, g, e);
	if (r == 0)
		r = read_conditions(object, g, e);
	if (r == 0)
		r = read_path(object, g, e);
	if (r == 0)
		r = read_mode(object, g, e);
	if (r == 0)
		r = read_id(object, "uid", &g->has_uid, &g->uid, e);
	if (r == 0)
		r = read_id(object, "gid", &g->has_gid, &g->gid, e);
	if (r == 0)
		r = read_leave(object, g, e);
	if (r == 0)
		r = read_on_rotate(object, g, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(g);
	return 0;
}
