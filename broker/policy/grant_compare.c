/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "policy/policy.h"

/* Absent is before everything. */
static int compare_text(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int compare_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_optional(bool has_a, uint32_t a, bool has_b, uint32_t b)
{
	return compare_number(has_a ? (uint64_t)a + 1 : 0, has_b ? (uint64_t)b + 1 : 0);
}

/* By key: no two labels of a grant share one. */
static void sorted(const struct grant *g, const struct attribute *to[POLICY_LABELS_MAX])
{
	for (size_t i = 0; i < g->labels && i < POLICY_LABELS_MAX; i++) {
		size_t at = i;

		for (; at > 0 && strcmp(to[at - 1]->key, g->label[i].key) > 0; at--)
			to[at] = to[at - 1];
		to[at] = &g->label[i];
	}
}

static int compare_labels(const struct grant *a, const struct grant *b)
{
	const struct attribute *in_a[POLICY_LABELS_MAX] = { 0 }, *in_b[POLICY_LABELS_MAX] = { 0 };
	int r = compare_number(a->labels, b->labels);

	if (r != 0)
		return r;
	sorted(a, in_a);
	sorted(b, in_b);
	for (size_t i = 0; r == 0 && i < a->labels && i < POLICY_LABELS_MAX; i++) {
		r = strcmp(in_a[i]->key, in_b[i]->key);
		if (r == 0)
			r = strcmp(in_a[i]->value, in_b[i]->value);
	}
	return r;
}

static unsigned int leaves(const struct grant *g)
{
	return (g->allow_tag ? 1 : 0) | (g->allow_weak ? 2 : 0) | (g->allow_unverified ? 4 : 0);
}

int grant_compare(const struct grant *a, const struct grant *b)
{
	const struct {
		const char *a, *b;
	} texts[] = {
		{ a->name, b->name },           { a->runtime, b->runtime },
		{ a->container, b->container }, { a->image, b->image },
		{ a->unit, b->unit },           { a->path, b->path },
		{ a->on_rotate, b->on_rotate },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(*texts); i++)
		r = compare_text(texts[i].a, texts[i].b);
	if (r == 0)
		r = compare_optional(a->has_mode, a->mode, b->has_mode, b->mode);
	if (r == 0)
		r = compare_optional(a->has_uid, a->uid, b->has_uid, b->uid);
	if (r == 0)
		r = compare_optional(a->has_gid, a->gid, b->has_gid, b->gid);
	if (r == 0)
		r = compare_number(leaves(a), leaves(b));
	return r ? r : compare_labels(a, b);
}
