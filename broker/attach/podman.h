/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podman.h - what containers/storage and Podman's libpod write of containers and images. Pure: parsed JSON
 * in, borrowed text out. Where the files lie is engine_podman.c's affair.
 *
 *   ROOT/DRIVER-containers/containers.json   a list of {id, names, image (id), metadata}; metadata is text, in
 *                                            which is an object with image-name; likewise
 *                                            volatile-containers.json, for containers run with --rm
 *   ROOT/DRIVER-images/images.json           a list of {id, digest, big-data-digests: {KEY: digest of the file}}
 *   ROOT/DRIVER-images/ID/=BASE64(KEY)       big data: the image's configuration under "sha256:ID", its
 *                                            manifests under keys that begin with "manifest" (that one alone
 *                                            is not encoded)
 *   libpod's configuration of a container    an object with rootfsImageID, labels and spec.annotations (those of
 *                                            the image, and over them those of whoever started it)
 *
 * The formats are those of containers/storage (containers.go, images.go) and of Podman (container_config.go);
 * recorded ones are in tests/unit/attach/recorded.
 */
#pragma once

#include "attach/found.h"
#include "coffer/json.h"

#define PODMAN_IMAGE_ID_LEN 64
#define PODMAN_BIG_DATA_NAME_MAX 256

/* Borrows from the list, but for `metadata`. "" for what is not there. */
struct podman_container {
	const char *name, *image, *image_name;
	json_t *metadata;
};

/* The container with that id. 1, or 0 if the list is none or has none. Caller clears. */
int podman_container(const json_t *list, const char *id, struct podman_container *ret);
void podman_container_clear(struct podman_container *c);

/*
 * The id of the container with that name, or, if there is none, of the only one whose id begins so.
 * NULL: none, or several. Names and ids that no container can have are passed over.
 */
const char *podman_id_of(const json_t *list, const char *name);

/* The image with that id (64 lower-case hex digits), or NULL. */
const json_t *podman_image(const json_t *list, const char *id);

/* The digests of an image's configuration and manifests, as its files were hashed when they were stored. */
void podman_digests(const json_t *image, struct found *f);

/* Whether the big data `key` of an image is one of its manifests. */
bool podman_is_manifest(const char *key);

/* The file that has the big data of a key. 0, or -EINVAL for a key that is too long. */
int podman_big_data_name(const char *key, char ret[PODMAN_BIG_DATA_NAME_MAX]);

/* Labels and annotations of a libpod configuration; labels of an image's. NULL if there are none. */
json_t *podman_labels(const json_t *config);
json_t *podman_annotations(const json_t *config);

/*
 * Add the texts of the object `own` to the container's attributes: as the image's those for which one of the
 * objects in the list `image` says the same (all of them if that is NULL: not known), as its starter's the
 * others. Those of the starter come first, where there are more than fit. 0 or -ENOMEM.
 */
int podman_attributes(struct found *f, const json_t *own, const json_t *image);
