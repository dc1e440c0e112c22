/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - names in memory: a sorted array, searched by halves. Pure.
 *
 * An entry is one secret (its current version; `live` false: removed, numbers go on) or, in an
 * index of its own, one document of another part (then only the name counts). Loading appends and
 * sorts once; single changes move pointers only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vault/vault.h"

struct entry {
	struct vault_version current; /* labels owned (labels_copy); of no meaning unless live */
	bool live;
	char name[];
};

struct index {
	struct entry **entry;
	size_t n, size;
};

struct entry *entry_new(const char *name); /* NULL without memory */
void entry_free(struct entry *entry);
void entry_free_ptr(struct entry **entry);

void index_clear(struct index *ix); /* frees every entry */

/* Room for `more` entries: 0 or -ENOMEM. */
int index_reserve(struct index *ix, size_t more);

/* Loading: append in any order (room was reserved), then sort. -EEXIST if a name came twice. */
void index_append(struct index *ix, struct entry *entry);
int index_sort(struct index *ix);

struct entry *index_find(const struct index *ix, const char *name);

/* Position of the first entry that is not before `name`. */
size_t index_lower_bound(const struct index *ix, const char *name);

/* Put in, in place of one of the same name if there is one, which is freed. Takes it over; room was
 * reserved. */
void index_put(struct index *ix, struct entry *entry);

/* Take out and free; nothing happens if there is none. */
void index_remove(struct index *ix, const char *name);
