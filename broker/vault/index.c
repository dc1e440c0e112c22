/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vault/labels.h"

struct entry *entry_new(const char *name)
{
	size_t len = strlen(name) + 1;
	struct entry *entry = calloc(1, sizeof(*entry) + len);

	if (entry)
		memcpy(entry->name, name, len);
	return entry;
}

void entry_free(struct entry *entry)
{
	if (!entry)
		return;
	labels_free(entry->current.label);
	free(entry);
}

void entry_free_ptr(struct entry **entry)
{
	entry_free(*entry);
	*entry = NULL;
}

void index_clear(struct index *ix)
{
	for (size_t i = 0; i < ix->n; i++)
		entry_free(ix->entry[i]);
	free(ix->entry);
	*ix = (struct index){ 0 };
}

int index_reserve(struct index *ix, size_t more)
{
	size_t size = ix->size + ix->size / 4 + 64;
	struct entry **entry;

	if (ix->n + more <= ix->size)
		return 0;
	if (size < ix->n + more)
		size = ix->n + more;
	entry = reallocarray(ix->entry, size, sizeof(struct entry *));
	if (!entry)
		return -ENOMEM;
	ix->entry = entry;
	ix->size = size;
	return 0;
}

void index_append(struct index *ix, struct entry *entry)
{
	ix->entry[ix->n++] = entry;
}

static int by_name(const void *a, const void *b)
{
	const struct entry *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

int index_sort(struct index *ix)
{
	if (ix->n)
		qsort(ix->entry, ix->n, sizeof(struct entry *), by_name);
	for (size_t i = 1; i < ix->n; i++)
		if (strcmp(ix->entry[i - 1]->name, ix->entry[i]->name) == 0)
			return -EEXIST;
	return 0;
}

size_t index_lower_bound(const struct index *ix, const char *name)
{
	size_t low = 0, high = ix->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(ix->entry[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct index *ix, size_t at, const char *name)
{
	return at < ix->n && strcmp(ix->entry[at]->name, name) == 0;
}

struct entry *index_find(const struct index *ix, const char *name)
{
	size_t at = index_lower_bound(ix, name);

	return is_at(ix, at, name) ? ix->entry[at] : NULL;
}

void index_put(struct index *ix, struct entry *entry)
{
	size_t at = index_lower_bound(ix, entry->name);

	if (is_at(ix, at, entry->name)) {
		entry_free(ix->entry[at]);
	} else {
		memmove(&ix->entry[at + 1], &ix->entry[at], (ix->n - at) * sizeof(struct entry *));
		ix->n++;
	}
	ix->entry[at] = entry;
}

void index_remove(struct index *ix, const char *name)
{
	size_t at = index_lower_bound(ix, name);

	if (!is_at(ix, at, name))
		return;
	entry_free(ix->entry[at]);
	ix->n--;
	memmove(&ix->entry[at], &ix->entry[at + 1], (ix->n - at) * sizeof(struct entry *));
}
