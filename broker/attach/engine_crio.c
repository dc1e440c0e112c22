/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRI-O: names are in annotations of bundles, the container's and its pod's sandbox's, which lie side by
 * side: .../overlay-containers/ID/userdata/config.json; images in containers/storage (podman.h).
 *
 * Annotations of the pod are among them, and of what else CRI-O copies is not known whose it is, so that
 * only keys of CRI-O's own are looked at (kube.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach/engine.h"
#include "attach/kube.h"
#include "attach/podman.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "policy/image.h"

#define CONTAINERS "/overlay-containers/"
#define IMAGES "overlay-images"
#define LABELS "io.kubernetes.cri-o.Labels"

/* The bundle of another container of the same store. False if ours lies elsewhere. */
static bool bundle_beside(const struct found *f, const char *id, char ret[ATTACH_TEXT_MAX])
{
	const char *at = strstr(f->bundle, CONTAINERS);
	int n = at ? snprintf(ret, ATTACH_TEXT_MAX, "%.*s%s%s/userdata", (int)(at - f->bundle),
	                      f->bundle, CONTAINERS, id)
	           : -1;

	return n >= 0 && n < ATTACH_TEXT_MAX;
}

/* Labels of a pod are longer than an attribute may be: not by way of oci_config_parse. */
static int parse_labels(const char *text, size_t len, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	json_t *annotations = NULL;
	const char *labels = "{}";
	int r = json_parse_foreign(text, len, &top, e);

	if (r == 0 && !json_is_object(top))
		r = err_set(e, -EINVAL, "config.json must be a JSON object");
	if (r == 0)
		r = json_get_object(top, "annotations", true, &annotations, e);
	if (r == 0)
		r = json_get_string(annotations, LABELS, false, &labels, e);
	if (r < 0)
		return r;
	/* CRI-O writes "null" for a pod without any. */
	r = json_parse(labels, strlen(labels), ret, e);
	return r < 0 ? err_prefix(e, r, "%s", LABELS) : 0;
}

static int read_pod_labels(const char *bundle, json_t **ret, struct err *e)
{
	struct trusted_folder folder = { .fd = -1 };
	SCOPED(free_ptr) char *text = NULL;
	SCOPED_FD int fd = -1;
	size_t len;
	int r = trusted_open(bundle, &folder, e);

	if (r < 0)
		return r;
	fd = folder.fd;
	r = trusted_read(fd, "config.json", &text, &len, &folder.by_root, e);
	if (r == 0 && !folder.by_root)
		r = err_set(e, -EPERM, "it is not root's alone and is not believed");
	return r < 0 ? r : parse_labels(text, len, ret, e);
}

static int take_pod_labels(struct found *f, const struct kube *k)
{
	SCOPED(json_ptr) json_t *labels = NULL;
	char bundle[ATTACH_TEXT_MAX];
	struct err why = { "" };
	int r = -ENOENT;

	if (bundle_beside(f, k->sandbox, bundle))
		r = read_pod_labels(bundle, &labels, &why);
	if (r == 0)
		return kube_add_labels(f, labels);
	if (r == -ENOMEM)
		return r;
	err_prefix(&why, 0, "the labels of its pod are unknown");
	if (!f->trouble.text[0])
		f->trouble = why;
	return 0;
}

/* 1, or 0 if that root knows no such image, or -errno. */
static int digests_below(const char *root, const char *id, struct found *f, struct err *e)
{
	struct trusted_folder folder = { .fd = -1 };
	SCOPED(free_ptr) char *text = NULL;
	SCOPED(json_ptr) json_t *list = NULL;
	char path[ATTACH_TEXT_MAX];
	SCOPED_FD int fd = -1;
	const json_t *image;
	size_t len;
	int r = snprintf(path, sizeof(path), "%s/" IMAGES, root);

	if (r < 0 || (size_t)r >= sizeof(path) || trusted_open(path, &folder, NULL) < 0)
		return 0; /* another engine's root */
	fd = folder.fd;
	r = trusted_read(fd, "images.json", &text, &len, &folder.by_root, e);
	if (r == 0 && !folder.by_root)
		r = err_set(e, -EPERM, "it is not root's alone and is not believed");
	if (r == 0)
		r = json_parse_foreign(text, len, &list, e);
	if (r < 0)
		return err_prefix(e, r, "images.json in %.150s", path);
	image = podman_image(list, id);
	if (!image)
		return 0;
	podman_digests(image, f);
	return 1;
}

/* The digests of its manifests, which containers/storage keeps as Podman's. 0 or -ENOMEM. */
static int take_manifests(const struct attach_config *c, const char *id, struct found *f)
{
	struct err why = { "" };
	int r = 0;

	for (size_t i = 0; i < ATTACH_ROOTS_MAX && c->engine_roots[i] && r == 0; i++)
		r = digests_below(c->engine_roots[i], id, f, &why);
	if (r < 0 && r != -ENOMEM && !f->trouble.text[0])
		f->trouble = why;
	return r == -ENOMEM ? r : 0;
}

/* ImageRef is the id of the image: its configuration's digest, for long without "sha256:". */
static int take_image(const struct attach_config *c, struct found *f)
{
	static const char *const names[] = { "io.kubernetes.cri-o.ImageName",
		                             "io.kubernetes.cri-o.Image" };
	const char *ref = oci_annotation(&f->config, "io.kubernetes.cri-o.ImageRef");
	char digest[OCI_ATTRIBUTE_MAX + sizeof("sha256:")];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *name = oci_annotation(&f->config, names[i]);

		if (!name)
			continue;
		if (!f->image[0])
			snprintf(f->image, sizeof(f->image), "%s", name);
		/* Behind a '@' stands the digest that it was pulled by. */
		if (image_digest(name))
			found_add_digest(f, image_digest(name));
	}
	if (!ref)
		return 0;
	snprintf(digest, sizeof(digest), "%s%s", strchr(ref, ':') ? "" : "sha256:", ref);
	if (!image_digest(digest))
		return 0;
	found_add_digest(f, image_digest(digest));
	return take_manifests(c, image_digest(digest) + strlen("sha256:"), f);
}

int engine_crio_describe(const struct attach_config *c, struct found *f, struct err *e)
{
	struct kube k = { 0 };
	int r = kube_of_crio(&f->config, &k, &f->trouble);

	if (r <= 0)
		return 0;
	r = kube_describe(&k, f);
	if (r < 0 || k.is_sandbox)
		return r;
	r = take_image(c, f);
	return r < 0 ? r : take_pod_labels(f, &k);
}

int engine_crio_id_of(const struct attach_config *c, const char *name, char ret[OCI_ID_MAX + 1],
                      struct err *e)
{
	static const struct engine_kube crio = { CONTAINERS, kube_of_crio, true };

	return engine_kube_id_of(c, &crio, name, ret, e);
}
