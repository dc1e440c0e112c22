/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of an image: index, manifest, configuration (OCI image specification, and Docker's of
 * the same form).
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "attach/containerd.h"
#include "attach/image_labels.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "policy/image.h"

/* The digest of a descriptor. 1, or 0 if it has none that is known here. */
static int take_digest(const json_t *descriptor, char ret[CONTAINERD_DIGEST_LEN + 1])
{
	const char *digest = json_string_value(json_object_get(descriptor, "digest"));

	if (!digest || image_digest(digest) != digest)
		return 0;
	memcpy(ret, digest, strlen(digest) + 1);
	return 1;
}

static int parse_object(const char *text, size_t len, json_t **ret, struct err *e)
{
	int r = json_parse_foreign(text, len, ret, e);

	if (r == 0 && !json_is_object(*ret))
		r = err_set(e, -EINVAL, "it must be a JSON object");
	return r;
}

int containerd_document_parse(const char *text, size_t len, struct containerd_document *ret,
                              struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	struct containerd_document d = { 0 };
	json_t *manifests = NULL, *config = NULL, *manifest;
	size_t i;
	int r = parse_object(text, len, &top, e);

	if (r < 0 || (r = json_get_array(top, "manifests", false, SIZE_MAX, &manifests, e)) < 0)
		return r;
	json_array_foreach (manifests, i, manifest)
		if (d.children < CONTAINERD_CHILDREN_MAX)
			d.children += (size_t)take_digest(manifest, d.child[d.children]);
	/* A configuration has a member of that name too, without a digest. */
	if (!manifests && (r = json_get_object(top, "config", false, &config, e)) < 0)
		return r;
	if (config)
		(void)take_digest(config, d.config);
	*ret = d;
	return 0;
}

/* The layers up to and with each: of the first its own digest, then of "CHAIN DIGEST". */
static int take_chain(json_t *layers, char chain[CONTAINERD_DIGEST_LEN + 1], struct err *e)
{
	char line[2 * CONTAINERD_DIGEST_LEN + 2];
	unsigned char hash[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof(hash) + 1];
	json_t *layer;
	size_t i;

	json_array_foreach (layers, i, layer) {
		const char *digest = json_string_value(layer);

		if (!digest || image_digest(digest) != digest)
			return err_set(e, -EINVAL, "layer %zu has no sha256 digest", i);
		if (i == 0) {
			memcpy(chain, digest, CONTAINERD_DIGEST_LEN + 1);
			continue;
		}
		snprintf(line, sizeof(line), "%s %s", chain, digest);
		crypto_hash_sha256(hash, (const unsigned char *)line, strlen(line));
		sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
		snprintf(chain, CONTAINERD_DIGEST_LEN + 1, "sha256:%s", hex);
	}
	return 0;
}

int containerd_config_parse(const char *text, size_t len, struct containerd_config *ret,
                            struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	json_t *rootfs = NULL, *layers = NULL, *labels = NULL;
	struct containerd_config c = { 0 };
	int r = parse_object(text, len, &top, e);

	if (r == 0)
		r = json_get_object(top, "rootfs", true, &rootfs, e);
	if (r == 0)
		r = json_get_array(rootfs, "diff_ids", true, CONTAINERD_LAYERS_MAX, &layers, e);
	if (r == 0)
		r = take_chain(layers, c.chain, e);
	if (r == 0)
		r = image_labels(top, &labels, e);
	if (r < 0)
		return r;
	c.labels = labels ? json_incref(labels) : NULL;
	*ret = c;
	return 0;
}

void containerd_config_clear(struct containerd_config *c)
{
	json_decref(c->labels);
	c->labels = NULL;
}
