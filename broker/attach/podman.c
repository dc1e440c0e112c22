/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/podman.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- containers ---- */

int podman_container(const json_t *list, const char *id, struct podman_container *ret)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		struct podman_container c = { "", "", "", NULL };
		const char *metadata, *name;

		if (strcmp(text_of(entry, "id"), id) != 0)
			continue;
		name = json_string_value(json_array_get(json_object_get(entry, "names"), 0));
		if (name && oci_id_ok(name))
			c.name = name;
		c.image = text_of(entry, "image");
		metadata = text_of(entry, "metadata");
		if (json_parse_foreign(metadata, strlen(metadata), &c.metadata, NULL) == 0)
			c.image_name = text_of(c.metadata, "image-name");
		*ret = c;
		return 1;
	}
	return 0;
}

void podman_container_clear(struct podman_container *c)
{
	json_decref(c->metadata);
	*c = (struct podman_container){ 0 };
}

static bool has_name(const json_t *entry, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_object_get(entry, "names"), i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
			return true;
	return false;
}

const char *podman_id_of(const json_t *list, const char *name)
{
	const char *begins = NULL;
	const json_t *entry;
	size_t i, len = strlen(name), several = 0;

	if (len == 0)
		return NULL;
	json_array_foreach (list, i, entry) {
		const char *id = text_of(entry, "id");

		if (!oci_id_ok(id))
			continue;
		if (has_name(entry, name))
			return id;
		if (strncmp(id, name, len) == 0) {
			begins = id;
			several++;
		}
	}
	return several == 1 ? begins : NULL;
}

/* ---- images ---- */

static bool is_image_id(const char *id)
{
	return strlen(id) == PODMAN_IMAGE_ID_LEN &&
	       strspn(id, "0123456789abcdef") == PODMAN_IMAGE_ID_LEN;
}

const json_t *podman_image(const json_t *list, const char *id)
{
	const json_t *entry;
	size_t i;

	if (!is_image_id(id))
		return NULL;
	json_array_foreach (list, i, entry)
		if (strcmp(text_of(entry, "id"), id) == 0)
			return entry;
	return NULL;
}

bool podman_is_manifest(const char *key)
{
	return strcmp(key, "manifest") == 0 || strncmp(key, "manifest-sha256:", 16) == 0;
}

/* The configuration's file is called by the digest that it had to have. */
static bool is_own_digest(const char *key, const char *digest)
{
	return strcmp(key, digest) == 0;
}

void podman_digests(const json_t *image, struct found *f)
{
	json_t *digests = json_object_get(image, "big-data-digests");
	const char *key;
	json_t *digest;

	json_object_foreach (digests, key, digest) {
		const char *text = json_string_value(digest);

		if (text && (podman_is_manifest(key) || is_own_digest(key, text)))
			found_add_digest(f, text);
	}
}

int podman_big_data_name(const char *key, char ret[PODMAN_BIG_DATA_NAME_MAX])
{
	size_t len = strlen(key);

	if (len == 0 || 1 + sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL) >
	                        PODMAN_BIG_DATA_NAME_MAX)
		return -EINVAL;
	if (strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789") == len) {
		memcpy(ret, key, len + 1);
		return 0;
	}
	ret[0] = '=';
	sodium_bin2base64(ret + 1, PODMAN_BIG_DATA_NAME_MAX - 1, (const unsigned char *)key, len,
	                  sodium_base64_VARIANT_ORIGINAL);
	return 0;
}

/* ---- attributes ---- */

json_t *podman_labels(const json_t *config)
{
	return json_object_get(config, "labels");
}

json_t *podman_annotations(const json_t *config)
{
	return json_object_get(json_object_get(config, "spec"), "annotations");
}

static bool says_same(const json_t *image, const char *key, const char *value)
{
	const json_t *one;
	size_t i;

	json_array_foreach (image, i, one)
		if (strcmp(text_of(one, key), value) == 0 && json_object_get(one, key))
			return true;
	return false;
}

int podman_attributes(struct found *f, const json_t *own, const json_t *image)
{
	const char *key;
	json_t *value;
	int r = 0;

	for (int pass = 0; pass < 2; pass++)
		json_object_foreach ((json_t *)(uintptr_t)own, key, value) {
			const char *text = json_string_value(value);
			bool theirs = text && (!image || says_same(image, key, text));

			if (text && theirs == (pass == 1) && r == 0)
				r = found_add(f, key, text, theirs);
		}
	return r;
}
