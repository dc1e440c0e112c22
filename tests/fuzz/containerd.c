/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd_document_parse, containerd_config_parse and containerd_container: within their limits, whatever
 * a content store and a database hold. An input is taken as each of the three.
 */
#include "attach/containerd.h"

#include "attach/oci.h"
#include "fuzz.h"
#include "policy/image.h"

static bool is_digest_or_empty(const char *text)
{
	return !*text || (image_digest(text) == text && strlen(text) == CONTAINERD_DIGEST_LEN);
}

static void document(const char *text, size_t len)
{
	struct containerd_document d = { .children = 7 };
	struct err e = { 0 };
	int r = containerd_document_parse(text, len, &d, &e);

	if (r < 0) {
		MUST(d.children == 7);
		fuzz_refused(r, &e);
		return;
	}
	MUST(d.children <= CONTAINERD_CHILDREN_MAX && is_digest_or_empty(d.config));
	for (size_t i = 0; i < d.children; i++)
		MUST(d.child[i][0] && is_digest_or_empty(d.child[i]));
}

static void config(const char *text, size_t len)
{
	struct containerd_config c = { .chain = "x" };
	struct err e = { 0 };
	int r = containerd_config_parse(text, len, &c, &e);

	if (r < 0) {
		MUST(strcmp(c.chain, "x") == 0 && !c.labels);
		fuzz_refused(r, &e);
		return;
	}
	MUST(is_digest_or_empty(c.chain) && (!c.labels || json_is_object(c.labels)));
	containerd_config_clear(&c);
}

/* The container, its image and its sandbox that the corpus has. */
static void database(const uint8_t *data, size_t size)
{
	struct containerd_container c = { .image = "x" };
	char digest[CONTAINERD_DIGEST_LEN + 1] = "";
	struct bolt db;
	struct err e = { 0 };
	int r;

	if (bolt_open(data, size, &db, NULL) < 0)
		return;
	r = containerd_container(&db, "n", "app", &c, &e);
	if (r <= 0) {
		MUST(strcmp(c.image, "x") == 0 && !c.labels);
		if (r < 0)
			fuzz_refused(r, &e);
	} else {
		MUST(json_is_object(c.labels));
		MUST(is_digest_or_empty(c.config) && is_digest_or_empty(c.parent));
		containerd_container_clear(&c);
	}
	e = (struct err){ 0 };
	r = containerd_image(&db, "n", "web", digest, &e);
	if (r < 0)
		fuzz_refused(r, &e);
	MUST(is_digest_or_empty(digest) && (r == 1) == (digest[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	document((const char *)data, size);
	config((const char *)data, size);
	database(data, size);
	return 0;
}
