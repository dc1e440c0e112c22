/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/opened.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One path after another may show the same secret, and one secret after another the same path. */
static bool is_same_file(const struct node *a, const struct node *b)
{
	return a->kind == NODE_FILE && b->kind == NODE_FILE && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

struct opened opened_of(const struct node *n)
{
	if (n->opened_ns && n->version >= n->before_version)
		return (struct opened){ n->version, n->opened_ns };
	return (struct opened){ n->before_version, n->before_ns };
}

bool opened_note(struct tree *t, struct node *n, int64_t time_ns)
{
	bool first = n->opened_ns == 0;
	struct node *now;

	n->opened_ns = time_ns;
	if (n->linked || n->staged)
		return first;
	/* By way of /proc/PID/fd: what has lost its name is opened again. */
	now = tree_by_path(t, n->path);
	if (!now || !is_same_file(now, n) || n->version < now->before_version)
		return false;
	first = n->version > opened_of(now).version;
	now->before_version = n->version;
	now->before_ns = time_ns;
	return first;
}

void opened_inherit(struct node *n, const struct node *old)
{
	struct opened before = opened_of(old);

	/* A store that was set back has numbers again that had been seen. */
	if (!is_same_file(n, old) || before.version > n->version)
		return;
	n->before_version = before.version;
	n->before_ns = before.time_ns;
}

/* By path, then version. */
static int compare(const struct node *a, const struct node *b)
{
	int order = strcmp(a->path, b->path);

	return order ? order : (a->version > b->version) - (a->version < b->version);
}

static int in_order(const void *a, const void *b)
{
	return compare(*(const struct node *const *)a, *(const struct node *const *)b);
}

int held_make(const struct tree *t, struct held *ret)
{
	struct held h = { .node = calloc(t->count + 1, sizeof(*h.node)) };

	if (!h.node)
		return -ENOMEM;
	for (size_t i = 0; i < t->count; i++) {
		const struct node *n = &t->node[i];

		if (n->kind == NODE_FILE && !n->linked && !n->staged && !n->released)
			h.node[h.count++] = n;
	}
	qsort(h.node, h.count, sizeof(*h.node), in_order);
	*ret = h;
	return 0;
}

void held_clear(struct held *h)
{
	free(h->node);
	*h = (struct held){ 0 };
}

void held_each(const struct held *h, const struct node *n,
               void (*visit)(void *arg, uint64_t version), void *arg)
{
	size_t low = 0, high = h->count;
	uint64_t last = 0;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(h->node[middle]->path, n->path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < h->count && strcmp(h->node[low]->path, n->path) == 0; low++) {
		const struct node *old = h->node[low];

		if (is_same_file(old, n) && old->version < n->version && old->version != last) {
			last = old->version;
			visit(arg, last);
		}
	}
}
