/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"

static int grow(struct tree *t)
{
	size_t room = t->room ? t->room * 2 : 16;
	struct node *larger;

	if (t->count < t->room)
		return 0;
	if (t->count >= WORKER_NODES_MAX)
		return -ENOSPC;
	larger = reallocarray(t->node, room, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	t->node = larger;
	t->room = room;
	return 0;
}

int tree_init(struct tree *t, uint32_t root_uid, uint32_t root_gid,
              void (*content_unref)(struct content *))
{
	struct node root = {
		.kind = NODE_DIR,
		.mode = 0755,
		.uid = root_uid,
		.gid = root_gid,
		.linked = true,
	};

	*t = (struct tree){ .next_id = WORKER_ROOT_NODE, .content_unref = content_unref };
	return tree_add(t, &root, "", NULL) ? 0 : -ENOMEM;
}

static void node_clear(struct tree *t, struct node *n)
{
	free(n->path);
	free(n->name);
	if (n->content)
		t->content_unref(n->content);
}

void tree_clear(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++)
		node_clear(t, &t->node[i]);
	free(t->node);
	*t = (struct tree){ 0 };
}

struct node *tree_add(struct tree *t, const struct node *like, const char *path, const char *name)
{
	SCOPED(free_ptr) char *own_path = strdup(path);
	SCOPED(free_ptr) char *own_name = name ? strdup(name) : NULL;
	struct node *n;

	if (!own_path || (name && !own_name) || grow(t) < 0)
		return NULL;
	n = &t->node[t->count++];
	*n = *like;
	n->id = t->next_id++;
	n->path = TAKE_PTR(own_path);
	n->name = TAKE_PTR(own_name);
	return n;
}

struct node *tree_by_id(struct tree *t, uint64_t id)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->node[i].id == id)
			return &t->node[i];
	return NULL;
}

struct node *tree_by_path(struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->node[i].linked && strcmp(t->node[i].path, path) == 0)
			return &t->node[i];
	return NULL;
}

bool tree_went_lately(const struct node *n, int64_t now_ns)
{
	return !n->linked && !n->staged && n->lost_ns && now_ns - n->lost_ns < WORKER_RETIRED_NS;
}

bool tree_is_retired(const struct node *n, int64_t now_ns)
{
	return n->set && !n->denied && tree_went_lately(n, now_ns);
}

void tree_remove(struct tree *t, uint64_t id)
{
	struct node *n = tree_by_id(t, id);

	if (!n)
		return;
	node_clear(t, n);
	*n = t->node[--t->count];
}

const char *tree_parent_path(const char *path, char *buffer)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	memcpy(buffer, path, len);
	buffer[len] = '\0';
	return buffer;
}
