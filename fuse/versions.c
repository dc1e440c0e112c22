/* SPDX-License-Identifier: Apache-2.0 */
#include "versions.h"

void versions_follow(struct tree_node *older, struct tree_node *newer)
{
	if (!newer->set || older->set != newer->set || older->newer || newer->older ||
	    older->since >= newer->since)
		return;
	older->newer = newer;
	newer->older = older;
}

static void append(struct tree_retired *list, struct tree_node *n)
{
	n->retired_next = NULL;
	n->retired_ns = 0;
	if (list->last)
		list->last->retired_next = n;
	else
		list->first = n;
	list->last = n;
}

void versions_retire(struct tree *t, struct tree_node *n)
{
	if (n->retired || !n->newer)
		return;
	append(tree_retired(t), n);
	tree_retire(t, n, true);
}

void versions_restore(struct tree *t, struct tree_node *n, struct tree_node *there)
{
	while (there && there->older)
		there = there->older;
	if (there)
		versions_follow(n, there);
	versions_retire(t, n);
}

int64_t versions_expire(struct tree *t, int64_t now_ns)
{
	struct tree_retired *list = tree_retired(t);
	struct tree_node *n;

	while ((n = list->first) && n->retired_ns && now_ns - n->retired_ns >= WORKER_RETIRED_NS) {
		list->first = n->retired_next;
		if (!list->first)
			list->last = NULL;
		tree_retire(t, n, false);
	}
	/* Those of now: they are the last, and few. */
	for (n = list->last && !list->last->retired_ns ? list->first : NULL; n; n = n->retired_next)
		if (!n->retired_ns)
			n->retired_ns = now_ns;
	return list->first ? list->first->retired_ns + WORKER_RETIRED_NS - now_ns : -1;
}

struct tree_node *versions_newest(struct tree_node *n)
{
	while (n->newer)
		n = n->newer;
	return n;
}

struct tree_node *versions_at(struct tree_node *n, uint64_t generation, int64_t now_ns)
{
	struct tree_node *newest = versions_newest(n), *at = newest;

	while (at && at->since > generation)
		at = at->older;
	return at && !tree_withheld(at, now_ns) ? at : newest;
}

uint64_t versions_last(const struct tree_node *n)
{
	return n->newer ? n->newer->since - 1 : UINT64_MAX;
}

bool versions_settled(const struct tree_node *n)
{
	return n->linked && !n->older && !n->newer;
}
