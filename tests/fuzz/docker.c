/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker_config.h: what a daemon's files come to. The input is taken as a container's file; the part behind
 * its first NUL byte as the image's, and as the list of names.
 */
#include "attach/docker_config.h"

#include "attach/oci.h"
#include "fuzz.h"
#include "policy/image.h"

#define DIGESTS 3

static void check_container(const struct docker_container *c)
{
	MUST(oci_id_ok(c->id) && *c->name && c->image);
	MUST(!*c->driver || oci_id_ok(c->driver));
	MUST(!*c->image_id || image_digest(c->image_id) == c->image_id);
	for (size_t i = 0; i < c->labels; i++) {
		MUST(strlen(c->label[i].key) <= OCI_ATTRIBUTE_MAX);
		MUST(strlen(c->label[i].value) <= OCI_ATTRIBUTE_MAX);
		for (size_t j = 0; j < i; j++)
			MUST(strcmp(c->label[i].key, c->label[j].key) != 0);
	}
}

static void container(const char *text, size_t len, const char *image, size_t image_len)
{
	struct docker_container c = { .name = NULL };
	struct err e = { 0 };
	int r = docker_container_parse(text, len, &c, &e);

	if (r < 0) {
		MUST(!c.id && !c.name && !c.label && c.labels == 0);
		fuzz_refused(r, &e);
		return;
	}
	check_container(&c);
	for (size_t i = 0; i < c.labels; i++)
		MUST(!c.label[i].from_image);
	docker_container_distrust(&c);
	r = docker_container_image(image, image_len, &c, &e);
	if (r < 0) {
		fuzz_refused(r, &e);
		for (size_t i = 0; i < c.labels; i++)
			MUST(c.label[i].from_image);
	}
	check_container(&c);
	docker_container_clear(&c);
	MUST(!c.label && c.labels == 0);
}

static void names(const char *text, size_t len)
{
	static const char id[] =
		"sha256:d555a6b26cb632814e71c3a6427fe7ac2165b777f435a65cbaaf782762fe747d";
	char digests[DIGESTS][DOCKER_DIGEST_MAX];
	struct err e = { 0 };
	int r = docker_digests_parse(text, len, id, digests, DIGESTS, &e);

	if (r < 0) {
		fuzz_refused(r, &e);
		return;
	}
	MUST(r <= DIGESTS);
	for (int i = 0; i < r; i++)
		MUST(image_digest(digests[i]) == digests[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t len = size ? strnlen(text, size) : 0;
	size_t rest = len < size ? len + 1 : len;

	container(text, len, text + rest, size - rest);
	names(text + rest, size - rest);
	return 0;
}
