/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker_config.h - what is taken out of Docker's files. Pure: bytes in, structs out.
 *
 *	DATA/containers/ID/config.v2.json                     of a container: Name, Image, Config, Driver
 *	DATA/image/DRIVER/imagedb/content/sha256/HEX          the configuration of an image (OCI image
 *	                                                      specification); its digest is the image's id
 *	DATA/image/DRIVER/repositories.json                   names and digests, and the ids they mean
 *
 * The forms are those of Docker 1.13 and later with its own image store (moby's container.Container,
 * image.Image and reference.store).
 *
 * Docker merges the labels of the image with those of whoever starts a container, who wins: what the
 * image says of itself too, word for word, is taken for the image's. Compose sets its project and
 * service on every container that it makes, and on the images that it builds as well; so where another
 * of its labels was set by the starter (config-hash, which no image has), these two were set, too.
 *
 * Errors: -EINVAL with a sentence, -ENOMEM. On failure the output is untouched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "coffer/err.h"

#define DOCKER_DIGEST_MAX 72 /* "sha256:", 64 digits and a NUL */

struct docker_label {
	char *key, *value;
	bool from_image;
};

struct docker_container {
	char *id;       /* oci_id_ok */
	char *name;     /* without the '/' in front, not empty */
	char *image;    /* as whoever started it wrote it; "" if unknown */
	char *image_id; /* a digest, or "" */
	char *driver;   /* of storage: a file name, or "" */
	struct docker_label *label;
	size_t labels;
};

/* All its labels are still taken for the starter's. */
int docker_container_parse(const char *text, size_t len, struct docker_container *ret,
                           struct err *e);
void docker_container_clear(struct docker_container *c);

/* Sets from_image of each label, by the image's configuration. */
int docker_container_image(const char *text, size_t len, struct docker_container *c, struct err *e);

/* As if each label had come with the image: what is known if that cannot be read. */
void docker_container_distrust(struct docker_container *c);

/* The digests of manifests that mean the image `image_id`, at most `max`; the count, or an error. */
int docker_digests_parse(const char *text, size_t len, const char *image_id,
                         char ret[][DOCKER_DIGEST_MAX], size_t max, struct err *e);
