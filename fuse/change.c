/* SPDX-License-Identifier: Apache-2.0 */
#include "change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "versions.h"

#define STEPS_FIRST 8

static void clear(struct change *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->step[i].name);
	free(c->step);
	*c = (struct change){ .made = c->made };
}

/* Whether an earlier step takes the node's name away. */
static bool goes(const struct change *c, const struct tree_node *n)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct change_step *s = &c->step[i];

		if (s->node == n->id && (s->kind == STAGE_UNLINK || s->kind == STAGE_RMDIR))
			return true;
	}
	return false;
}

/*
 * A new name goes where no folder, placeholder or symlink stands, or none will when its turn comes
 * (a file may become a folder, and the other way round); its folder may be one that this change
 * makes.
 */
static bool can_come(const struct change *c, const struct wr_stage *stage, struct tree *t,
                     const struct tree_node *n)
{
	struct tree_node *parent = tree_find(t, stage->node.parent);
	struct tree_node *there;

	if (!n || n->linked || *n->name == '\0' || !parent || parent->kind != NODE_DIR ||
	    (!parent->linked && !parent->staged))
		return false;
	if (stage->kind == STAGE_PUT ? n->kind != NODE_FILE : n->kind != NODE_DIR)
		return false;
	there = tree_lookup(parent, n->name);
	return !there || (there->kind == NODE_FILE && stage->kind == STAGE_PUT) || goes(c, there);
}

static bool can_go(const struct wr_stage *stage, const struct tree_node *n, const char *name)
{
	uint32_t kind = stage->kind == STAGE_UNLINK ? NODE_FILE : NODE_DIR;

	return n && n->linked && n->parent && n->kind == kind &&
	       n->parent->id == stage->node.parent && strcmp(n->name, name) == 0;
}

static int reserve(struct change *c)
{
	size_t room = c->room ? c->room * 2 : STEPS_FIRST;
	struct change_step *step;

	if (c->count >= WORKER_NODES_MAX)
		return -ENOSPC;
	if (c->count < c->room)
		return 0;
	step = reallocarray(c->step, room, sizeof(*step));
	if (!step)
		return -ENOMEM;
	c->step = step;
	c->room = room;
	return 0;
}

int change_add(struct change *c, struct tree *t, const struct wr_stage *stage, const char *name)
{
	bool comes = stage->kind == STAGE_PUT || stage->kind == STAGE_MKDIR;
	struct tree_node *n = tree_find(t, stage->node.node);
	char *copy;
	int r;

	if (c->state == CHANGE_PREPARED)
		return -EBUSY;
	if (stage->kind < STAGE_PUT || stage->kind > STAGE_RMDIR ||
	    !(comes ? can_come(c, stage, t, n) : can_go(stage, n, name)))
		return -EINVAL;
	r = reserve(c);
	if (r < 0)
		return r;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	c->step[c->count++] = (struct change_step){
		.kind = stage->kind,
		.node = stage->node.node,
		.parent = stage->node.parent,
		.name = copy,
	};
	c->state = CHANGE_STAGING;
	if (comes)
		tree_stage(t, n, true);
	return 0;
}

/* What has a name, and what is to have it, know of each other from here on. */
static uint64_t follow(const struct change *c, struct tree *t)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct change_step *s = &c->step[i];
		struct tree_node *n = s->kind == STAGE_PUT ? tree_find(t, s->node) : NULL;
		struct tree_node *parent = n && n->set ? tree_find(t, s->parent) : NULL;
		struct tree_node *there = parent ? tree_lookup(parent, n->name) : NULL;

		if (there)
			versions_follow(there, n);
		if (n && n->set && n->since > newest)
			newest = n->since;
	}
	return newest;
}

uint64_t change_prepare(struct change *c, struct tree *t, const uint8_t token[16])
{
	char *at = c->folder_name + sizeof(WORKER_STAGING_PREFIX) - 1;
	uint64_t id;

	memcpy(c->folder_name, WORKER_STAGING_PREFIX, sizeof(WORKER_STAGING_PREFIX));
	for (int i = 0; i < 16; i++)
		snprintf(at + 2 * i, 3, "%02x", token[i]);
	/* From the token, so that a successor gives the same folder the same id. */
	memcpy(&id, token, sizeof(id));
	memcpy(c->token, token, sizeof(c->token));
	c->folder = id | TREE_ID_LIMIT;
	c->state = CHANGE_PREPARED;
	/* Of another change: nobody needs that any more. Of this one: a predecessor's. */
	if (c->made && memcmp(c->made->token, token, sizeof(c->made->token)) != 0) {
		memset(c->made->steps, 0, sizeof(c->made->steps));
		memcpy(c->made->token, token, sizeof(c->made->token));
	}
	return follow(c, t);
}

/* Make `n` the bearer of its name in the folder; a file that has it now loses it. */
static int put(struct tree *t, struct tree_node *n, uint64_t parent_id)
{
	struct tree_node *parent = tree_find(t, parent_id);
	struct tree_node *old;

	if (n->linked)
		return 0;
	if (!parent || parent->kind != NODE_DIR || !parent->linked)
		return -ENOTDIR;
	old = tree_lookup(parent, n->name);
	if (old && old->kind != NODE_FILE)
		return -EEXIST;
	if (old && n->older == old)
		versions_retire(t, old);
	if (old)
		tree_unlink(t, old);
	return tree_link(t, n, parent);
}

static int apply(const struct change_step *s, struct tree *t)
{
	struct tree_node *n = tree_find(t, s->node);

	switch (s->kind) {
	case STAGE_PUT:
		return n ? put(t, n, s->parent) : -ENOENT;
	case STAGE_MKDIR: {
		struct tree_node *parent = tree_find(t, s->parent);

		if (n && n->linked)
			return 0;
		return n && parent ? tree_link(t, n, parent) : -ENOENT;
	}
	default: /* a node that is gone has gone by this step: ids are not used twice */
		return n && n->linked ? tree_unlink(t, n) : 0;
	}
}

/* Its folder has changed with it: who polls looks at that. The kernel asks anew after each step. */
static int hold(const struct change *c, const struct change_step *s, struct tree *t)
{
	struct tree_node *parent = tree_find(t, s->parent);
	int r = apply(s, t);

	if (r == 0 && parent && parent->mtime_ns < c->time_ns)
		parent->mtime_ns = c->time_ns;
	return r;
}

/* A step that arrived from the mount. */
static int make(const struct change *c, const struct change_step *s, struct tree *t)
{
	size_t i = (size_t)(s - c->step);
	int r = hold(c, s, t);

	if (r == 0 && c->made)
		__atomic_fetch_or(&c->made->steps[i / 8], (uint8_t)(1U << i % 8), __ATOMIC_RELEASE);
	return r;
}

void change_remake(struct change *c, struct tree *t)
{
	for (size_t i = 0; c->state == CHANGE_PREPARED && c->made && i < c->count; i++)
		if (c->made->steps[i / 8] & 1U << i % 8)
			hold(c, &c->step[i], t);
}

int change_finish(struct change *c, struct tree *t)
{
	int result = 0;

	for (size_t i = 0; i < c->count; i++) {
		int r = hold(c, &c->step[i], t);

		if (r < 0 && result == 0)
			result = r;
	}
	change_drop(c, t);
	return result;
}

void change_drop(struct change *c, struct tree *t)
{
	for (size_t i = 0; i < c->count; i++) {
		struct tree_node *n = tree_find(t, c->step[i].node);

		if (n && n->staged)
			tree_stage(t, n, false);
	}
	clear(c);
}

static bool is_above(const struct tree_node *folder, const struct tree_node *n)
{
	while (n && n != folder)
		n = n->parent;
	return n != NULL;
}

bool change_announces(const struct change *c, struct tree *t, uint64_t parent, const char *name)
{
	struct tree_node *folder, *there;

	if (c->state != CHANGE_PREPARED)
		return false;
	folder = tree_find(t, parent);
	there = folder ? tree_lookup(folder, name) : NULL;
	for (size_t i = 0; i < c->count; i++) {
		const struct change_step *s = &c->step[i];

		if (s->parent == parent && strcmp(s->name, name) == 0)
			return true;
		if (there && there->kind == NODE_DIR && is_above(there, tree_find(t, s->parent)))
			return true;
	}
	return false;
}

static const struct change_step *step_of(const struct change *c, uint32_t kind, uint64_t parent,
                                         const char *name)
{
	if (c->state != CHANGE_PREPARED)
		return NULL;
	for (size_t i = 0; i < c->count; i++) {
		const struct change_step *s = &c->step[i];

		if (s->kind == kind && s->parent == parent && strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

struct tree_node *change_coming(const struct change *c, struct tree *t, uint64_t parent,
                                const char *name)
{
	const struct change_step *s = step_of(c, STAGE_PUT, parent, name);
	struct tree_node *n = s ? tree_find(t, s->node) : NULL;

	return n && n->set ? n : NULL;
}

bool change_touches(const struct change *c, const struct tree_node *n)
{
	if (c->state != CHANGE_PREPARED)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		const struct change_step *s = &c->step[i];

		if (s->node == n->id ||
		    (n->parent && n->parent->id == s->parent && strcmp(n->name, s->name) == 0))
			return true;
	}
	return false;
}

bool change_is_folder(const struct change *c, uint64_t parent, const char *name)
{
	return c->state == CHANGE_PREPARED && parent == WORKER_ROOT_NODE &&
	       strcmp(name, c->folder_name) == 0;
}

/*
 * The step whose file lies in the staging folder under `name`: the id in decimal, as printed,
 * nothing else.
 */
static const struct change_step *step_staged(const struct change *c, const char *name)
{
	const uint64_t node = strtoull(name, NULL, 10);

	if (c->state != CHANGE_PREPARED)
		return NULL;
	for (size_t i = 0; i < c->count; i++) {
		char id[21];

		if (c->step[i].kind != STAGE_PUT || c->step[i].node != node)
			continue;
		snprintf(id, sizeof(id), "%llu", (unsigned long long)node);
		return strcmp(name, id) == 0 ? &c->step[i] : NULL;
	}
	return NULL;
}

struct tree_node *change_staged(const struct change *c, struct tree *t, const char *name)
{
	const struct change_step *s = step_staged(c, name);

	return s ? tree_find(t, s->node) : NULL;
}

int change_rename(const struct change *c, struct tree *t, const char *staged, uint64_t parent,
                  const char *name)
{
	const struct change_step *s = step_staged(c, staged);

	if (!s || s->parent != parent || strcmp(s->name, name) != 0)
		return -EROFS;
	return make(c, s, t);
}

int change_remove(const struct change *c, struct tree *t, uint32_t kind, uint64_t parent,
                  const char *name)
{
	const struct change_step *s = step_of(c, kind, parent, name);

	return s ? make(c, s, t) : -EROFS;
}

int change_mkdir(const struct change *c, struct tree *t, uint64_t parent, const char *name,
                 struct tree_node **ret)
{
	const struct change_step *s = step_of(c, STAGE_MKDIR, parent, name);
	int r = s ? make(c, s, t) : -EROFS;

	if (r == 0)
		*ret = tree_find(t, s->node);
	return r;
}
