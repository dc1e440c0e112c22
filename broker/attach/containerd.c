/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd's metadata. Its JSON documents of images are in containerd_image.c.
 */
#include "attach/containerd.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "attach/oci.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "policy/image.h"

#define CONTAINER_EXTENSION "io.cri-containerd.container.metadata"
#define SANDBOX_EXTENSION "io.cri-containerd.sandbox.metadata"

/* A text of the database as a string. 1, or 0 if it has a NUL or is too long. */
static int take(struct bolt_bytes bytes, char *ret, size_t size)
{
	if (bytes.len >= size || memchr(bytes.at, '\0', bytes.len))
		return 0;
	memcpy(ret, bytes.at, bytes.len);
	ret[bytes.len] = '\0';
	return 1;
}

/* The value at `path`, or "" if there is none of use. 0 or -errno. */
static int get_text(const struct bolt *db, const char *const *path, char *ret, size_t size,
                    struct err *e)
{
	struct bolt_bytes bytes = { 0 };
	int r = bolt_get(db, path, &bytes, e);

	ret[0] = '\0';
	if (r > 0)
		(void)take(bytes, ret, size);
	return r < 0 ? r : 0;
}

void containerd_container_clear(struct containerd_container *c)
{
	json_decref(c->labels);
	c->labels = NULL;
}

static void container_ptr(struct containerd_container *c)
{
	containerd_container_clear(c);
}

static int take_label(void *arg, struct bolt_bytes key, struct bolt_bytes value,
                      const struct bolt_bucket *bucket)
{
	char name[OCI_ATTRIBUTE_MAX + 1], text[OCI_ATTRIBUTE_MAX + 1];

	/* What is too long to match a grant is no loss, and neither is what is no UTF-8. */
	if (!bucket && json_object_size(arg) < ATTACH_ATTRIBUTES_MAX &&
	    take(key, name, sizeof(name)) && take(value, text, sizeof(text)))
		(void)json_object_set_new(arg, name, json_string(text));
	return 0;
}

/* A protobuf varint. False at its end, or above 32 bits. */
static bool varint(const unsigned char **at, const unsigned char *end, uint32_t *ret)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 35 && *at < end; shift += 7) {
		unsigned char byte = *(*at)++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		*ret = (uint32_t)value;
		return value <= UINT32_MAX;
	}
	return false;
}

/* google.protobuf.Any: 1 (text) the type's URL, 2 (bytes) the value. Nothing else can be in it. */
static bool any_value(struct bolt_bytes any, struct bolt_bytes *ret)
{
	const unsigned char *at = any.at, *end = any.at + any.len;
	bool found = false;

	while (at < end) {
		uint32_t tag = 0, len = 0;

		if (!varint(&at, end, &tag) || (tag != 0x0a && tag != 0x12) ||
		    !varint(&at, end, &len) || len > (size_t)(end - at))
			return false;
		if (tag == 0x12)
			*ret = (struct bolt_bytes){ at, len };
		found |= tag == 0x12;
		at += len;
	}
	return found;
}

/* The CRI plugin's metadata of a container or sandbox. 1 and an object to decref, 0 or -errno. */
static int get_extension(const struct bolt *db, const char *const *path, json_t **ret,
                         struct err *e)
{
	struct bolt_bytes any = { 0 }, value = { 0 };
	SCOPED(json_ptr) json_t *top = NULL;
	json_t *metadata = NULL;
	int r = bolt_get(db, path, &any, e);

	if (r <= 0)
		return r;
	if (!any_value(any, &value))
		return err_set(e, -EBADMSG, "%s is no protobuf Any", path[5]);
	r = json_parse_foreign((const char *)value.at, value.len, &top, e);
	if (r == 0 && !json_is_object(top))
		r = err_set(e, -EINVAL, "it must be a JSON object");
	if (r == 0)
		r = json_get_object(top, "Metadata", true, &metadata, e);
	if (r < 0)
		return err_prefix(e, r, "%s", path[5]);
	*ret = json_incref(metadata);
	return 1;
}

static int take_image_ref(const struct bolt *db, const char *namespace, const char *id,
                          struct containerd_container *c, struct err *e)
{
	const char *const path[] = { "v1",         namespace,           "containers", id,
		                     "extensions", CONTAINER_EXTENSION, NULL };
	SCOPED(json_ptr) json_t *metadata = NULL;
	const char *ref = "";
	int r = get_extension(db, path, &metadata, e);

	if (r > 0)
		r = json_get_string(metadata, "ImageRef", false, &ref, e);
	if (r >= 0 && image_digest(ref) == ref)
		memcpy(c->config, ref, strlen(ref) + 1);
	return r;
}

/* Instead of the bucket's, which has the image's among them. */
static int take_pod_labels(const struct bolt *db, const char *namespace, const char *id,
                           struct containerd_container *c, struct err *e)
{
	const char *const path[] = { "v1",         namespace,         "containers", id,
		                     "extensions", SANDBOX_EXTENSION, NULL };
	SCOPED(json_ptr) json_t *metadata = NULL;
	json_t *config = NULL, *labels = NULL;
	int r = get_extension(db, path, &metadata, e);

	if (r <= 0)
		return r;
	r = json_get_object(metadata, "Config", true, &config, e);
	if (r == 0)
		r = json_get_object(config, "labels", false, &labels, e);
	if (r < 0)
		return err_prefix(e, r, "%s", SANDBOX_EXTENSION);
	json_decref(c->labels);
	c->labels = labels ? json_incref(labels) : json_object();
	return c->labels ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int take_texts(const struct bolt *db, const char *namespace, const char *id,
                      struct containerd_container *c, struct err *e)
{
	char snapshotter[CONTAINERD_NAMESPACE_MAX + 1], key[OCI_ID_MAX + 1], parent[OCI_ID_MAX + 1];
	const char *const image[] = { "v1", namespace, "containers", id, "image", NULL };
	const char *const name[] = { "v1", namespace, "containers", id, "snapshotter", NULL };
	const char *const snapshot[] = { "v1", namespace, "containers", id, "snapshotKey", NULL };
	const char *const below[] = {
		"v1", namespace, "snapshots", snapshotter, key, "parent", NULL
	};
	int r;

	if ((r = get_text(db, image, c->image, sizeof(c->image), e)) < 0 ||
	    (r = get_text(db, name, snapshotter, sizeof(snapshotter), e)) < 0 ||
	    (r = get_text(db, snapshot, key, sizeof(key), e)) < 0 ||
	    (r = get_text(db, below, parent, sizeof(parent), e)) < 0)
		return r;
	if (image_digest(parent) == parent)
		memcpy(c->parent, parent, strlen(parent) + 1);
	return 0;
}

/* Walks down `path`. 1, 0 or -errno. */
static int go_down(const struct bolt *db, const char *const *path, struct bolt_bucket *ret,
                   struct err *e)
{
	struct bolt_bucket at = bolt_root(db);
	int r = 1;

	for (; *path && r > 0; path++)
		r = bolt_bucket(&at, *path, strlen(*path), &at, e);
	*ret = at;
	return r;
}

int containerd_container(const struct bolt *db, const char *namespace, const char *id,
                         struct containerd_container *ret, struct err *e)
{
	SCOPED(container_ptr) struct containerd_container c = { .labels = json_object() };
	const char *const path[] = { "v1", namespace, "containers", id, NULL };
	struct bolt_bucket container, labels;
	int r;

	if (!c.labels)
		return err_set(e, -ENOMEM, "out of memory");
	r = go_down(db, path, &container, e);
	if (r <= 0)
		return r;
	r = bolt_bucket(&container, "labels", strlen("labels"), &labels, e);
	if (r > 0)
		r = bolt_each(&labels, take_label, c.labels, e);
	if (r < 0 || (r = take_texts(db, namespace, id, &c, e)) < 0 ||
	    (r = take_image_ref(db, namespace, id, &c, e)) < 0 ||
	    (r = take_pod_labels(db, namespace, id, &c, e)) < 0)
		return r;
	*ret = c;
	c.labels = NULL;
	return 1;
}

int containerd_image(const struct bolt *db, const char *namespace, const char *name,
                     char ret[CONTAINERD_DIGEST_LEN + 1], struct err *e)
{
	const char *const path[] = { "v1", namespace, "images", name, "target", "digest", NULL };
	char digest[CONTAINERD_DIGEST_LEN + 1];
	int r = get_text(db, path, digest, sizeof(digest), e);

	if (r < 0 || image_digest(digest) != digest || !digest[0])
		return r < 0 ? r : 0;
	memcpy(ret, digest, sizeof(digest));
	return 1;
}
