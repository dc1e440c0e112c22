/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.h - the bytes of the versions that workers serve: one sealed memfd each, shared by all of
 * them.
 *
 * A memfd is mapped and locked here for as long as anyone serves it, since a worker may not be
 * allowed to lock as much. It is filled from the vault when first needed and kept while the vault
 * is sealed, so that a worker that dies then can be replaced.
 */
#pragma once

#include "broker.h"

struct contents;

struct content {
	char *name;
	struct vault_version version; /* `label` is not kept */
	int memfd;
	/* private to content.c: */
	void *map;
	unsigned int uses;
	struct content *next;
	struct contents *owner;
};

struct contents *contents_new(struct broker *b);
void contents_free(struct contents *c);

/*
 * A version of `name` (0: the current one), one more use. -ENOKEY: sealed and not in use; -ENOENT;
 * as vault_get. One asked for by its number may have expired: it is for a descriptor still open.
 */
int content_get(struct contents *c, const char *name, uint64_t version, struct content **ret,
                struct err *e);
struct content *content_ref(struct content *content);
void content_unref(struct content *content); /* NULL is fine; the last use unlocks and closes */
