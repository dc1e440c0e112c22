/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"
#include "flow/tree.h"

#define STEPS_FIRST 16

/* Linked nodes by path, so that tree and wants are compared in one pass. */
struct index {
	const struct node **node;
	size_t count;
};

static int by_path(const void *a, const void *b)
{
	return strcmp((*(const struct node *const *)a)->path,
	              (*(const struct node *const *)b)->path);
}

static int path_to_node(const void *path, const void *node)
{
	return strcmp(path, (*(const struct node *const *)node)->path);
}

static int index_make(const struct tree *t, struct index *ret)
{
	ret->node = calloc(t->count + 1, sizeof(*ret->node));
	if (!ret->node)
		return -ENOMEM;
	for (size_t i = 0; i < t->count; i++)
		if (t->node[i].linked)
			ret->node[ret->count++] = &t->node[i];
	qsort(ret->node, ret->count, sizeof(*ret->node), by_path);
	return 0;
}

static const struct node *index_find(const struct index *x, const char *path)
{
	const struct node **found =
		bsearch(path, x->node, x->count, sizeof(*x->node), path_to_node);

	return found ? *found : NULL;
}

/* NULL: there are as many as may be, or there is no memory (`failed`). */
static struct step *plan_step(struct plan *p)
{
	size_t room = p->room ? p->room * 2 : STEPS_FIRST;
	struct step *step;

	if (p->count == PLAN_STEPS_MAX) {
		p->more = true;
		return NULL;
	}
	if (p->count == p->room) {
		step = reallocarray(p->step, room, sizeof(*step));
		if (!step) {
			p->failed = true;
			return NULL;
		}
		p->step = step;
		p->room = room;
	}
	step = &p->step[p->count++];
	*step = (struct step){ 0 };
	return step;
}

static const struct want *want_find(const struct want *wants, size_t count, const char *path)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(wants[middle].path, path);

		if (order == 0)
			return &wants[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Whether any want lies below the folder `path`: wants are ordered, so the first not before "path/"
 * tells. */
static bool want_below(const struct want *wants, size_t count, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < count; i++)
		if (strncmp(wants[i].path, path, len) == 0 && wants[i].path[len] == '/')
			return true;
	return false;
}

static bool is_placeholder(const struct node *n)
{
	return n->kind == NODE_PLACEHOLDER_DIR || n->kind == NODE_PLACEHOLDER_FILE ||
	       n->kind == NODE_SYMLINK;
}

static bool as_wanted(const struct node *n, const struct want *w)
{
	return n->kind == NODE_FILE && !n->denied && !n->withdrawn && !n->lacking &&
	       n->version == w->version && n->mode == w->mode && n->uid == w->uid &&
	       n->gid == w->gid && n->expires_ns == w->expires_ns && n->mtime_ns == w->mtime_ns &&
	       n->set == w->set && strcmp(n->name, w->name) == 0;
}

static void plan_removals(const struct index *x, const struct want *wants, size_t count,
                          struct plan *p)
{
	for (size_t i = 0; i < x->count; i++) {
		const struct node *n = x->node[i];
		struct step *s;

		if (n->kind != NODE_FILE || want_find(wants, count, n->path))
			continue;
		s = plan_step(p);
		if (!s)
			return;
		*s = (struct step){ .kind = STAGE_UNLINK, .path = n->path, .node = n->id };
	}
	for (size_t i = x->count; i-- > 0;) { /* backwards: "a/b" before "a" */
		const struct node *n = x->node[i];
		struct step *s;

		if (n->kind != NODE_DIR || n->id == WORKER_ROOT_NODE ||
		    want_below(wants, count, n->path))
			continue;
		s = plan_step(p);
		if (!s)
			return;
		*s = (struct step){ .kind = STAGE_RMDIR, .path = n->path, .node = n->id };
	}
}

static bool planned(const struct plan *p, uint32_t kind, const char *path)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->step[i].kind == kind && strcmp(p->step[i].path, path) == 0)
			return true;
	return false;
}

/*
 * The folders above `path` that are not there yet, shallow first. 0, -ENOENT if one can't be had in
 * this plan, -EEXIST if a placeholder is in the way.
 */
static int plan_folders(const struct index *x, const char *path, struct plan *p)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		SCOPED(free_ptr) char *folder = strndup(path, (size_t)(slash - path));
		const struct node *there;
		struct step *s;

		if (!folder)
			return -ENOMEM;
		there = index_find(x, folder);
		if (there && is_placeholder(there))
			return -EEXIST;
		if ((there && there->kind == NODE_DIR && !planned(p, STAGE_RMDIR, folder)) ||
		    planned(p, STAGE_MKDIR, folder))
			continue;
		s = plan_step(p);
		if (!s)
			return -ENOENT;
		s->kind = STAGE_MKDIR;
		s->own = TAKE_PTR(folder);
		s->path = s->own;
	}
	return 0;
}

static int plan_file(const struct index *x, const struct want *w, struct plan *p)
{
	const struct node *there = index_find(x, w->path);
	struct step *s;
	int result;

	if (there && as_wanted(there, w))
		return 0;
	result = there && is_placeholder(there) ? -EEXIST : plan_folders(x, w->path, p);
	if (result == -EEXIST) {
		if (!p->clash)
			p->clash = strdup(w->path);
		return p->clash ? 0 : -ENOMEM;
	}
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	s = plan_step(p);
	if (s)
		*s = (struct step){ .kind = STAGE_PUT, .path = w->path, .want = w };
	return 0;
}

int tree_plan(const struct tree *t, const struct want *wants, size_t count, struct plan *ret)
{
	struct index x = { 0 };
	int result = index_make(t, &x);

	*ret = (struct plan){ 0 };
	if (result >= 0)
		plan_removals(&x, wants, count, ret);
	for (size_t i = 0; i < count && result >= 0 && !ret->more && !ret->failed; i++)
		result = plan_file(&x, &wants[i], ret);
	if (ret->failed)
		result = -ENOMEM;
	free(x.node);
	if (result < 0)
		plan_clear(ret);
	return result;
}

void plan_clear(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->step[i].own);
	free(p->step);
	free(p->clash);
	*p = (struct plan){ 0 };
}
