/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd.h - what containerd keeps of containers and images. Pure: bytes in, answers out.
 *
 * Its metadata is a bbolt file, ROOT/io.containerd.metadata.v1.bolt/meta.db (1.0 to 2.x; buckets as
 * metadata/buckets.go draws them):
 *
 *   v1/NAMESPACE/containers/ID/image, snapshotter, snapshotKey       texts
 *   v1/NAMESPACE/containers/ID/labels/KEY                            text
 *   v1/NAMESPACE/containers/ID/extensions/NAME                       a protobuf Any
 *   v1/NAMESPACE/images/NAME/target/digest                           text
 *   v1/NAMESPACE/snapshots/SNAPSHOTTER/KEY/parent                    text
 *
 * The CRI plugin's extensions hold JSON, {"Version":"v1","Metadata":{…}}: of a container its ImageRef,
 * the digest of the image's configuration; of a pod's sandbox its Config, with the pod's labels alone.
 * The labels bucket has those of the image among them.
 *
 * An image is an index (of manifests), a manifest (of layers) or a configuration, each JSON, by digest.
 * An image's name may have been given to another image since a container was made of it. So an image
 * counts as a container's only if its configuration is the ImageRef or, where there is none, if its
 * layers are those below the container's snapshot ("chain id" of the OCI image specification).
 *
 * Errors: -EBADMSG or -EINVAL with a sentence, -ENOMEM. On failure the output is untouched.
 */
#pragma once

#include <jansson.h>

#include "attach/bolt.h"
#include "coffer/err.h"

#define CONTAINERD_NAMESPACE_MAX 76 /* containerd's own limit */
#define CONTAINERD_DIGEST_LEN 71    /* "sha256:" and 64 hex digits */
#define CONTAINERD_CHILDREN_MAX 32  /* manifests of an index: one for each platform */
#define CONTAINERD_LAYERS_MAX 512   /* overlayfs takes 500 */

struct containerd_container {
	char image[1025];                       /* "" if none */
	char parent[CONTAINERD_DIGEST_LEN + 1]; /* chain id below its snapshot, or "" */
	char config[CONTAINERD_DIGEST_LEN + 1]; /* ImageRef, or "" */
	json_t *labels;                         /* the bucket; of a sandbox its pod's alone */
};
void containerd_container_clear(struct containerd_container *c);

/* 1, 0 if there is no such container, or -errno. */
int containerd_container(const struct bolt *db, const char *namespace, const char *id,
                         struct containerd_container *ret, struct err *e);

/* What an image's name stands for now. 1, 0 or -errno. */
int containerd_image(const struct bolt *db, const char *namespace, const char *name,
                     char ret[CONTAINERD_DIGEST_LEN + 1], struct err *e);

/* An index has children, a manifest a configuration; other documents neither. */
struct containerd_document {
	char child[CONTAINERD_CHILDREN_MAX][CONTAINERD_DIGEST_LEN + 1];
	size_t children;
	char config[CONTAINERD_DIGEST_LEN + 1];
};
int containerd_document_parse(const char *text, size_t len, struct containerd_document *ret,
                              struct err *e);

/* An image's configuration. */
struct containerd_config {
	char chain[CONTAINERD_DIGEST_LEN + 1]; /* "" without layers */
	json_t *labels;                        /* object, or NULL */
};
int containerd_config_parse(const char *text, size_t len, struct containerd_config *ret,
                            struct err *e);
void containerd_config_clear(struct containerd_config *c);
