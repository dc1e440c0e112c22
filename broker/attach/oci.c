/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/oci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"

bool oci_id_ok(const char *id)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+-.,";
	size_t len = strlen(id);

	return len > 0 && len <= OCI_ID_MAX && strspn(id, allowed) == len && strcmp(id, ".") != 0 &&
	       strcmp(id, "..") != 0;
}

void oci_state_clear(struct oci_state *s)
{
	free(s->id);
	free(s->bundle);
	*s = (struct oci_state){ 0 };
}

/*
 * runc has no field for the bundle: it is the last of the labels, behind one label for each
 * annotation. An annotation named "bundle" looks the same but comes earlier.
 */
static int find_bundle(const json_t *config, const char **ret, struct err *e)
{
	static const char prefix[] = "bundle=";
	json_t *labels = NULL;
	const char *bundle = NULL;
	size_t i;
	json_t *label;
	int r = json_get_array(config, "labels", true, SIZE_MAX, &labels, e);

	if (r < 0)
		return r;
	json_array_foreach (labels, i, label) {
		const char *text = json_string_value(label);

		if (!text)
			return err_set(e, -EINVAL, "label %zu is no text", i);
		if (strncmp(text, prefix, strlen(prefix)) == 0)
			bundle = text + strlen(prefix);
	}
	if (!bundle || bundle[0] != '/' || strlen(bundle) >= ATTACH_TEXT_MAX)
		return err_set(e, -EINVAL, "no label \"bundle=\" with an absolute path");
	*ret = bundle;
	return 0;
}

static int set_state(const char *id, int64_t pid, int64_t start, const char *bundle,
                     struct oci_state *ret, struct err *e)
{
	struct oci_state state = { .pid = (pid_t)pid, .start = (uint64_t)start };

	if (!oci_id_ok(id))
		return err_set(e, -EINVAL,
		               "the id is empty, too long or has characters that runc refuses");
	state.id = strdup(id);
	state.bundle = strdup(bundle);
	if (!state.id || !state.bundle) {
		oci_state_clear(&state);
		return err_set(e, -ENOMEM, "out of memory");
	}
	*ret = state;
	return 0;
}

int oci_state_parse(const char *text, size_t len, struct oci_state *ret, struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	json_t *config = NULL;
	const char *id = NULL, *bundle = NULL;
	int64_t pid = 0, start = 0;
	int r = json_parse_foreign(text, len, &top, e);

	if (r < 0)
		return r;
	if (!json_is_object(top))
		return err_set(e, -EINVAL, "a container's state must be a JSON object");
	if ((r = json_get_string(top, "id", true, &id, e)) < 0 ||
	    (r = json_get_int(top, "init_process_pid", true, 2, INT32_MAX, &pid, e)) < 0 ||
	    (r = json_get_int(top, "init_process_start", true, 1, INT64_MAX, &start, e)) < 0 ||
	    (r = json_get_object(top, "config", true, &config, e)) < 0 ||
	    (r = find_bundle(config, &bundle, e)) < 0)
		return r;
	return set_state(id, pid, start, bundle, ret, e);
}

int oci_status_parse(const char *text, size_t len, const char *id, struct oci_state *ret,
                     struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	const char *bundle = NULL;
	int64_t pid = 0, start = 0;
	int r = json_parse_foreign(text, len, &top, e);

	if (r < 0)
		return r;
	if (!json_is_object(top))
		return err_set(e, -EINVAL, "a container's status must be a JSON object");
	if ((r = json_get_string(top, "bundle", true, &bundle, e)) < 0 ||
	    (r = json_get_int(top, "pid", true, 2, INT32_MAX, &pid, e)) < 0 ||
	    (r = json_get_int(top, "process-start-time", true, 1, INT64_MAX, &start, e)) < 0)
		return r;
	if (bundle[0] != '/' || strlen(bundle) >= ATTACH_TEXT_MAX)
		return err_set(e, -EINVAL, "its bundle is no absolute path");
	return set_state(id, pid, start, bundle, ret, e);
}

void oci_config_clear(struct oci_config *c)
{
	for (size_t i = 0; i < c->annotations; i++) {
		free(c->annotation[i].key);
		free(c->annotation[i].value);
	}
	free(c->annotation);
	free(c->root);
	free(c->mount_label);
	*c = (struct oci_config){ 0 };
}

static void oci_config_ptr(struct oci_config *c)
{
	oci_config_clear(c);
}

static int take_user(const json_t *top, struct oci_config *c, struct err *e)
{
	json_t *process = NULL, *user = NULL;
	int64_t uid = 0, gid = 0;
	int r = json_get_object(top, "process", false, &process, e);

	if (r == 0 && process)
		r = json_get_object(process, "user", false, &user, e);
	if (r == 0 && user)
		r = json_get_int(user, "uid", false, 0, UINT32_MAX - 1, &uid, e);
	if (r == 0 && user)
		r = json_get_int(user, "gid", false, 0, UINT32_MAX - 1, &gid, e);
	if (r < 0)
		return r;
	c->uid = (uint32_t)uid;
	c->gid = (uint32_t)gid;
	return 0;
}

static int take_texts(const json_t *top, struct oci_config *c, struct err *e)
{
	json_t *root = NULL, *linux_part = NULL;
	const char *path = NULL, *label = "";
	int r = json_get_object(top, "root", true, &root, e);

	if (r == 0)
		r = json_get_string(root, "path", true, &path, e);
	if (r == 0)
		r = json_get_object(top, "linux", false, &linux_part, e);
	if (r == 0 && linux_part)
		r = json_get_string(linux_part, "mountLabel", false, &label, e);
	if (r < 0)
		return r;
	if (!path || !*path || strlen(path) >= ATTACH_TEXT_MAX)
		return err_set(e, -EINVAL, "root.path is empty or longer than %d bytes",
		               ATTACH_TEXT_MAX - 1);
	if (strlen(label) >= OCI_ATTRIBUTE_MAX)
		return err_set(e, -EINVAL, "linux.mountLabel is longer than %d bytes",
		               OCI_ATTRIBUTE_MAX - 1);
	c->root = strdup(path);
	c->mount_label = strdup(label);
	return c->root && c->mount_label ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int take_annotations(const json_t *top, struct oci_config *c, struct err *e)
{
	json_t *annotations = NULL, *value;
	const char *key;
	int r = json_get_object(top, "annotations", false, &annotations, e);

	if (r < 0 || !annotations)
		return r;
	c->annotation = calloc(ATTACH_ATTRIBUTES_MAX, sizeof(*c->annotation));
	if (!c->annotation)
		return err_set(e, -ENOMEM, "out of memory");
	json_object_foreach (annotations, key, value) {
		const char *text = json_string_value(value);
		SCOPED(free_ptr) char *own_key = NULL;
		SCOPED(free_ptr) char *own_value = NULL;

		if (!text)
			return err_set(e, -EINVAL, "annotations: every value must be text");
		if (strlen(key) > OCI_ATTRIBUTE_MAX || strlen(text) > OCI_ATTRIBUTE_MAX ||
		    c->annotations == ATTACH_ATTRIBUTES_MAX)
			continue;
		own_key = strdup(key);
		own_value = strdup(text);
		if (!own_key || !own_value)
			return err_set(e, -ENOMEM, "out of memory");
		c->annotation[c->annotations++] =
			(struct oci_annotation){ TAKE_PTR(own_key), TAKE_PTR(own_value) };
	}
	return 0;
}

int oci_config_parse(const char *text, size_t len, struct oci_config *ret, struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	SCOPED(oci_config_ptr) struct oci_config c = { 0 };
	int r = json_parse_foreign(text, len, &top, e);

	if (r < 0)
		return r;
	if (!json_is_object(top))
		return err_set(e, -EINVAL, "a bundle's config.json must be a JSON object");
	if ((r = take_user(top, &c, e)) < 0 || (r = take_texts(top, &c, e)) < 0 ||
	    (r = take_annotations(top, &c, e)) < 0)
		return r;
	*ret = c;
	c = (struct oci_config){ 0 };
	return 0;
}

const char *oci_annotation(const struct oci_config *c, const char *key)
{
	for (size_t i = 0; i < c->annotations; i++)
		if (strcmp(c->annotation[i].key, key) == 0)
			return c->annotation[i].value;
	return NULL;
}
