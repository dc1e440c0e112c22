/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd, by `ctr` and its like, and under the kubelet (CRI): names from the bundle's annotations,
 * labels and the image from its metadata (containerd.h), which lies in one of the engine roots.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach/bolt_file.h"
#include "attach/containerd.h"
#include "attach/engine.h"
#include "attach/kube.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"

#define METADATA "io.containerd.metadata.v1.bolt"
#define BLOBS "io.containerd.content.v1.content/blobs/sha256"
#define TASKS "/io.containerd.runtime.v2.task/"
#define KUBELET "k8s.io"  /* the CRI plugin's namespace; it has no setting */
#define INDEX_DEPTH_MAX 4 /* an index of indexes is allowed, and nobody makes one */

/* What is known of one container, and where its image's documents are. */
struct knowledge {
	struct containerd_container container, sandbox; /* of its pod */
	char named[CONTAINERD_DIGEST_LEN + 1];          /* what its image's name stands for now */
	char under_ref[CONTAINERD_DIGEST_LEN + 1];      /* and what its ImageRef, as a name */
	int blobs;                                      /* folder; -1: none */
	struct containerd_config config;                /* its image's, if has_config */
	bool has_config;
};

static void knowledge_ptr(struct knowledge *k)
{
	containerd_container_clear(&k->container);
	containerd_container_clear(&k->sandbox);
	containerd_config_clear(&k->config);
	k->blobs = fd_close(k->blobs);
}

/* The first trouble is told. */
static int trouble(struct found *f, const struct err *why)
{
	if (!f->trouble.text[0])
		f->trouble = *why;
	return 0;
}

/* .../io.containerd.runtime.v2.task/NAMESPACE/ID */
static bool take_namespace(const struct found *f, char ret[CONTAINERD_NAMESPACE_MAX + 1])
{
	const char *at = strstr(f->bundle, TASKS), *slash;

	at = at ? at + strlen(TASKS) : NULL;
	slash = at ? strchr(at, '/') : NULL;
	if (!slash || slash == at || slash - at > CONTAINERD_NAMESPACE_MAX ||
	    strcmp(slash + 1, f->id) != 0)
		return false;
	memcpy(ret, at, (size_t)(slash - at));
	ret[slash - at] = '\0';
	return true;
}

/* What one database says. 1, 0 if it does not know the container, or -errno. */
static int ask(const struct bolt *db, const char *namespace, const char *id, const char *sandbox,
               struct knowledge *k, struct err *e)
{
	int r = containerd_container(db, namespace, id, &k->container, e);

	if (r <= 0)
		return r;
	if (k->container.image[0])
		r = containerd_image(db, namespace, k->container.image, k->named, e);
	if (r >= 0 && k->container.config[0])
		r = containerd_image(db, namespace, k->container.config, k->under_ref, e);
	if (r >= 0 && sandbox[0])
		r = containerd_container(db, namespace, sandbox, &k->sandbox, e);
	return r < 0 ? r : 1;
}

static int open_below(const char *root, const char *name, struct trusted_folder *ret, struct err *e)
{
	char path[ATTACH_TEXT_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", root, name), r;

	if (n < 0 || (size_t)n >= sizeof(path))
		return err_set(e, -ENAMETOOLONG, "the path %.200s... is too long", root);
	r = trusted_open(path, ret, e);
	if (r == 0 && !ret->by_root) {
		ret->fd = fd_close(ret->fd);
		r = err_set(e, -EPERM, "%.200s is not root's alone and is not believed", path);
	}
	return r;
}

static void file_ptr(struct bolt_file *f)
{
	bolt_file_clear(f);
}

static int ask_root(const char *root, const char *namespace, const char *id, const char *sandbox,
                    struct knowledge *k, struct err *e)
{
	struct trusted_folder folder = { .fd = -1 }, blobs = { .fd = -1 };
	SCOPED(file_ptr) struct bolt_file file = { 0 };
	SCOPED_FD int fd = -1;
	bool by_root = true;
	int r = open_below(root, METADATA, &folder, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r; /* another engine's root */
	fd = folder.fd;
	r = bolt_file_read(fd, "meta.db", &file, &by_root, e);
	if (r == 0 && !by_root)
		r = err_set(e, -EPERM, "meta.db is not root's alone and is not believed");
	if (r == 0)
		r = ask(&file.db, namespace, id, sandbox, k, e);
	if (r < 0)
		return err_prefix(e, r, "containerd's metadata below %.150s", root);
	if (r > 0 && open_below(root, BLOBS, &blobs, NULL) == 0)
		k->blobs = blobs.fd;
	return r;
}

/* 1 if the metadata was found; else 0, with what was in the way in f->trouble; -ENOMEM. */
static int know(const struct attach_config *c, const char *namespace, const char *sandbox,
                struct found *f, struct knowledge *ret)
{
	int hits = 0;

	for (size_t i = 0; i < ATTACH_ROOTS_MAX && c->engine_roots[i]; i++) {
		SCOPED(knowledge_ptr) struct knowledge k = { .blobs = -1 };
		struct err why = { "" };
		int r = ask_root(c->engine_roots[i], namespace, f->id, sandbox, &k, &why);

		if (r == -ENOMEM)
			return r;
		if (r < 0)
			trouble(f, &why);
		if (r > 0 && hits++ == 0) {
			*ret = k;
			k = (struct knowledge){ .blobs = -1 };
		}
	}
	if (hits == 1)
		return 1;
	struct err why = { "" };

	err_set(&why, 0,
	        hits ? "several of engine_roots know a container %.100s, so that none is believed: "
	               "its "
	               "image and labels are unknown"
	             : "none of engine_roots has containerd's metadata of %.100s, so that its "
	               "image and "
	               "labels are unknown; put containerd's root there",
	        f->id);
	return trouble(f, &why);
}

static int read_blob(int blobs, const char *digest, char **ret, size_t *ret_len, struct err *e)
{
	bool by_root = true;
	const char *hex = strchr(digest, ':') + 1;
	int r = trusted_read(blobs, hex, ret, ret_len, &by_root, e);

	if (r == 0 && !by_root)
		r = err_set(e, -EPERM, "it is not root's alone and is not believed");
	return r < 0 ? err_prefix(e, r, "%s in containerd's content store", digest) : 0;
}

/* Whether a configuration is that of the container's image; if so k has it. 1, 0 or -errno. */
static int try_config(struct knowledge *k, const char *digest, struct err *e)
{
	const struct containerd_container *c = &k->container;
	SCOPED(free_ptr) char *text = NULL;
	struct containerd_config config = { 0 };
	size_t len;
	int r;

	if (c->config[0] && strcmp(c->config, digest) != 0)
		return 0;
	if ((r = read_blob(k->blobs, digest, &text, &len, e)) < 0 ||
	    (r = containerd_config_parse(text, len, &config, e)) < 0)
		return r;
	if (!c->config[0] && (!c->parent[0] || strcmp(c->parent, config.chain) != 0)) {
		containerd_config_clear(&config);
		return 0;
	}
	containerd_config_clear(&k->config);
	k->config = config;
	k->has_config = true;
	return 1;
}

/*
 * Whether the container's image is at `digest` or below; the digests on the way are the image's. What of
 * an index is not on this host (other platforms) is passed over. 1, 0 or -errno.
 */
static int search_image(struct knowledge *k, const char *digest, unsigned int depth,
                        struct found *f, struct err *e)
{
	SCOPED(free_ptr) char *text = NULL;
	struct containerd_document d;
	size_t len;
	int r;

	if (depth > INDEX_DEPTH_MAX)
		return 0;
	if ((r = read_blob(k->blobs, digest, &text, &len, e)) < 0 ||
	    (r = containerd_document_parse(text, len, &d, e)) < 0)
		return r == -ENOENT && depth > 0 ? 0 : r;
	if (d.config[0]) {
		r = try_config(k, d.config, e);
		if (r > 0)
			found_add_digest(f, d.config);
	}
	for (size_t i = 0; i < d.children && r == 0; i++)
		r = search_image(k, d.child[i], depth + 1, f, e);
	if (r > 0)
		found_add_digest(f, digest);
	return r;
}

/* The digests that its image is known by, and its configuration. 0 or -ENOMEM. */
static int take_image(struct knowledge *k, struct found *f)
{
	const char *const digests[] = { k->named, k->under_ref };
	struct err why = { "" };
	int r = 0;

	if (k->container.config[0])
		found_add_digest(f, k->container.config);
	for (size_t i = 0; i < ARRAY_LEN(digests) && k->blobs >= 0 && r != -ENOMEM; i++) {
		if (!digests[i][0] || (i > 0 && strcmp(digests[i], digests[0]) == 0))
			continue;
		r = search_image(k, digests[i], 0, f, &why);
		if (r < 0 && r != -ENOMEM)
			trouble(f, &why);
	}
	if (r == -ENOMEM)
		return r;
	if (k->has_config || !k->container.image[0])
		return 0;
	err_set(&why, 0,
	        "the image %.150s is not, or no longer, the one that it was made of: %s is unknown",
	        k->container.image, f->digest[0] ? "its digest in a registry" : "its digest");
	return trouble(f, &why);
}

/* The labels of an image match nothing, and are there to be told so. 0 or -ENOMEM. */
static int add_image_labels(const struct knowledge *k, struct found *f)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach (k->config.labels, key, value) {
		if (json_is_string(value) && !kube_reserved(key))
			r = found_add(f, key, json_string_value(value), true);
		if (r < 0)
			break;
	}
	return r;
}

static bool is_annotation(const struct found *f, const char *key, const char *text)
{
	const char *annotation = oci_annotation(&f->config, key);

	return annotation && strcmp(annotation, text) == 0;
}

/*
 * containerd's clients copy the image's labels to the container's, and add their own, which `ctr` makes
 * annotations, too. Where the image is unknown, all of them may be its.
 */
static int add_own_labels(const struct knowledge *k, struct found *f)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach (k->container.labels, key, value) {
		const char *text = json_string_value(value);
		const char *image = json_string_value(json_object_get(k->config.labels, key));
		bool from_image = !k->has_config || (image && text && strcmp(image, text) == 0) ||
		                  strncmp(key, "io.containerd.", strlen("io.containerd.")) == 0;

		if (text && !kube_reserved(key) && !is_annotation(f, key, text))
			r = found_add(f, key, text, from_image);
		if (r < 0)
			break;
	}
	return r;
}

/* Of a pod those that the runtime's `pod_annotations` lets through. 0 or -ENOMEM. */
static int add_annotations(struct found *f)
{
	int r = 0;

	for (size_t i = 0; i < f->config.annotations && r == 0; i++)
		if (!kube_reserved(f->config.annotation[i].key))
			r = found_add(f, f->config.annotation[i].key, f->config.annotation[i].value,
			              false);
	return r;
}

int engine_containerd_describe(const struct attach_config *c, struct found *f, struct err *e)
{
	SCOPED(knowledge_ptr) struct knowledge k = { .blobs = -1 };
	char namespace[CONTAINERD_NAMESPACE_MAX + 1] = "";
	const char *image = NULL;
	struct kube pod = { 0 };
	bool in_pod = false;
	int r = 0;

	if (take_namespace(f, namespace) && strcmp(namespace, KUBELET) == 0) {
		r = kube_of_containerd(&f->config, &pod, &f->trouble);
		in_pod = r != 0;
		if (r > 0)
			r = kube_describe(&pod, f);
		if (in_pod && (r == -ENOMEM || pod.is_sandbox))
			return r;
		image = in_pod ? oci_annotation(&f->config, "io.kubernetes.cri.image-name") : NULL;
	}
	r = namespace[0] ? know(c, namespace, pod.sandbox, f, &k) : 0;
	if (r > 0)
		r = take_image(&k, f);
	if (r == -ENOMEM)
		return r;
	snprintf(f->image, sizeof(f->image), "%s", image && image[0] ? image : k.container.image);
	r = in_pod ? kube_add_labels(f, k.sandbox.labels) : add_own_labels(&k, f);
	if (r == 0 && in_pod)
		r = add_image_labels(&k, f);
	return r < 0 ? r : add_annotations(f);
}

int engine_containerd_id_of(const struct attach_config *c, const char *name,
                            char ret[OCI_ID_MAX + 1], struct err *e)
{
	static const struct engine_kube containerd = { TASKS, kube_of_containerd, false };

	return engine_kube_id_of(c, &containerd, name, ret, e);
}
