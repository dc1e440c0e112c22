/* SPDX-License-Identifier: Apache-2.0 */
#include "hook_state.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"

#define OCI_VERSION_MAX 64
#define KEY_SHOWN_MAX 100

/* The state's word for where the container is, and what that makes of us. */
static const struct {
	const char *status;
	enum hook_stage stage;
} stages[] = {
	{ "creating", HOOK_CREATE },
	{ "created", HOOK_CREATE },
	{ "stopped", HOOK_STOP },
};

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* Whether a path has a ".." segment. */
static bool climbs(const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += len;
		path += strspn(path, "/");
	}
	return false;
}

static int read_stage(const json_t *root, enum hook_stage *ret, struct err *e)
{
	const char *version = NULL, *status = NULL;
	int r = json_get_string(root, "ociVersion", true, &version, e);

	if (r == 0 && strlen(version) > OCI_VERSION_MAX)
		r = err_set(e, -EINVAL, "ociVersion is longer than %d bytes", OCI_VERSION_MAX);
	if (r == 0)
		r = json_get_string(root, "status", true, &status, e);
	if (r != 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		if (strcmp(stages[i].status, status) == 0) {
			*ret = stages[i].stage;
			return 0;
		}
	}
	return err_set(e, -EINVAL,
	               "the status is neither creating, created nor stopped: this is a hook for "
	               "createRuntime and poststop");
}

static int read_id(const json_t *root, const char **ret, struct err *e)
{
	const char *id = NULL;
	int r = json_get_string(root, "id", true, &id, e);

	if (r < 0)
		return r;
	if (id[0] == '\0' || strlen(id) > HOOK_ID_MAX || !is_printable(id))
		return err_set(e, -EINVAL, "the id must be 1 to %d printable bytes", HOOK_ID_MAX);
	*ret = id;
	return 0;
}

static int read_bundle(const json_t *root, const char **ret, struct err *e)
{
	const char *bundle = NULL;
	int r = json_get_string(root, "bundle", true, &bundle, e);

	if (r < 0)
		return r;
	if (strlen(bundle) > HOOK_BUNDLE_MAX)
		return err_set(e, -EINVAL, "the bundle's path is longer than %d bytes",
		               HOOK_BUNDLE_MAX);
	if (bundle[0] != '/' || climbs(bundle))
		return err_set(e, -EINVAL, "the bundle's path must be absolute and without \"..\"");
	*ret = bundle;
	return 0;
}

/*
 * A process that was is 0, or left out. One that is about to be is no kernel thread and not init.
 */
static int read_pid(const json_t *root, enum hook_stage stage, pid_t *ret, struct err *e)
{
	bool create = stage == HOOK_CREATE;
	int64_t pid = 0;
	int r = json_get_int(root, "pid", create, create ? 2 : 0, HOOK_PID_MAX, &pid, e);

	if (r == 0)
		*ret = (pid_t)pid;
	return r;
}

/*
 * Values may be of any length that the whole input allows (CRI-O puts documents there). One that
 * begins by climbing out of a folder has no honest meaning, in a key or as a value.
 */
static int check_annotation(const char *key, const json_t *value, struct err *e)
{
	char shown[KEY_SHOWN_MAX];
	const char *text = json_string_value(value);

	name_escape(key, strlen(key), shown, sizeof(shown));
	if (key[0] == '\0' || strlen(key) > HOOK_ANNOTATION_KEY_MAX || !is_printable(key))
		return err_set(e, -EINVAL,
		               "an annotation's name must be 1 to %d printable bytes, not \"%s\"",
		               HOOK_ANNOTATION_KEY_MAX, shown);
	if (!text)
		return err_set(e, -EINVAL, "the annotation \"%s\" is no text", shown);
	if (climbs(key) || strcmp(text, "..") == 0 || strncmp(text, "../", 3) == 0)
		return err_set(e, -EINVAL, "the annotation \"%s\" climbs out of a folder (\"..\")",
		               shown);
	return 0;
}

static int read_annotations(const json_t *root, json_t **ret, struct err *e)
{
	json_t *annotations = NULL, *value = NULL;
	const char *key = NULL;
	int r = json_get_object(root, "annotations", false, &annotations, e);

	if (r < 0)
		return r;
	if (json_object_size(annotations) > HOOK_ANNOTATIONS_MAX)
		return err_set(e, -EINVAL, "there are more than %d annotations",
		               HOOK_ANNOTATIONS_MAX);
	json_object_foreach (annotations, key, value) {
		r = check_annotation(key, value, e);
		if (r < 0)
			return r;
	}
	*ret = annotations;
	return 0;
}

int hook_state_parse(const char *text, size_t len, struct hook_state *ret, struct err *e)
{
	SCOPED(hook_state_clear) struct hook_state s = { 0 };
	int r = 0;

	if (len > HOOK_INPUT_MAX)
		return err_set(e, -EINVAL, "the container's state has more than %d bytes",
		               HOOK_INPUT_MAX);
	r = json_parse(text, len, &s.root, e);
	if (r == 0 && !json_is_object(s.root))
		r = err_set(e, -EINVAL, "the container's state is no JSON object");
	if (r == 0)
		r = read_stage(s.root, &s.stage, e);
	if (r == 0)
		r = read_id(s.root, &s.id, e);
	if (r == 0)
		r = read_pid(s.root, s.stage, &s.pid, e);
	if (r == 0)
		r = read_bundle(s.root, &s.bundle, e);
	if (r == 0)
		r = read_annotations(s.root, &s.annotations, e);
	if (r < 0)
		return r;
	*ret = s;
	s.root = NULL;
	return 0;
}

void hook_state_clear(struct hook_state *s)
{
	json_decref(s->root);
	memset(s, 0, sizeof(*s));
}
