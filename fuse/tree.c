/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"

#define BUCKETS 256                          /* ids are dense: 16 nodes in each at the very most */
#define FILE_OF_PARENT 0x9e3779b97f4a7c15ULL /* odd: spreads parents over all bits */
#define PLACE_MASK ((1ULL << 62) - 1) /* off_t is signed, and some libraries keep another bit */

struct tree {
	void (*unmap)(const unsigned char *bytes, uint64_t size);
	struct tree_node *bucket[BUCKETS];
	struct tree_node *released; /* by `sibling` */
	struct tree_node *root;
	struct tree_retired retired;
	size_t count;
	uint64_t bytes;
};

int tree_new(void (*unmap)(const unsigned char *bytes, uint64_t size), struct tree **ret)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->unmap = unmap;
	*ret = t;
	return 0;
}

static void node_free(struct tree *t, struct tree_node *n)
{
	if (n->bytes && t->unmap)
		t->unmap(n->bytes, n->size);
	free(n->name);
	free(n);
}

void tree_free(struct tree *t)
{
	uint64_t id;

	if (!t)
		return;
	while (tree_take_released(t, &id))
		;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (t->bucket[i]) {
			struct tree_node *n = t->bucket[i];

			t->bucket[i] = n->chain;
			node_free(t, n);
		}
	}
	free(t);
}

static bool is_folder(uint32_t kind)
{
	return kind == NODE_DIR || kind == NODE_PLACEHOLDER_DIR;
}

static bool name_fits(uint64_t id, const char *name)
{
	size_t len = strlen(name);

	if (id == WORKER_ROOT_NODE)
		return len == 0;
	if (len > WORKER_NAME_MAX || strchr(name, '/'))
		return false;
	/* Without a name: a file that has lost it already, given to a successor. */
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/*
 * FNV-1a, 64 bits. Two names in one place only make one of them be skipped if a listing is cut
 * right there.
 */
static uint64_t name_place(const char *name)
{
	uint64_t hash = 14695981039346656037ULL;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 1099511628211ULL;
	hash &= PLACE_MASK;
	return hash < TREE_PLACE_MIN ? TREE_PLACE_MIN : hash;
}

static struct tree_node *node_new(const struct wr_node *node, const char *name, const char *text)
{
	size_t name_size = strlen(name) + 1, text_size = strlen(text) + 1;
	struct tree_node *n = calloc(1, sizeof(*n));
	char *block = malloc(name_size + text_size);

	if (!n || !block) {
		free(n);
		free(block);
		return NULL;
	}
	memcpy(block, name, name_size);
	memcpy(block + name_size, text, text_size);
	*n = (struct tree_node){
		.id = node->node,
		.version = node->version,
		.size = node->size,
		.mtime_ns = node->mtime_ns,
		.expires_ns = node->expires_ns,
		.place = name_place(name),
		.set = node->kind == NODE_FILE ? node->set : 0,
		.since = node->since,
		.file = name_place(name) ^ (node->parent * FILE_OF_PARENT),
		.name = block,
		.text = block + name_size,
		.kind = node->kind,
		.mode = node->mode & 0777,
		.uid = node->uid,
		.gid = node->gid,
	};
	return n;
}

int tree_add(struct tree *t, const struct wr_node *node, const char *name, const char *text,
             const unsigned char *bytes, struct tree_node **ret)
{
	struct tree_node **bucket = &t->bucket[node->node % BUCKETS];
	struct tree_node *n;

	if (node->node == 0 || node->node >= TREE_ID_LIMIT || node->kind < NODE_DIR ||
	    node->kind > NODE_SYMLINK || !name_fits(node->node, name) ||
	    (node->node == WORKER_ROOT_NODE && node->kind != NODE_DIR) ||
	    (node->kind == NODE_FILE && node->size > 0 && !bytes))
		return -EINVAL;
	if (tree_find(t, node->node))
		return -EEXIST;
	if (t->count >= WORKER_NODES_MAX)
		return -ENOSPC;
	n = node_new(node, name, text);
	if (!n)
		return -ENOMEM;
	if (n->kind == NODE_SYMLINK)
		n->size = strlen(n->text);
	else if (n->kind != NODE_FILE)
		n->size = 0;
	n->bytes = bytes;
	n->chain = *bucket;
	*bucket = n;
	t->count++;
	if (n->id == WORKER_ROOT_NODE) {
		n->linked = true;
		t->root = n;
	}
	*ret = n;
	return 0;
}

struct tree_node *tree_find(struct tree *t, uint64_t id)
{
	for (struct tree_node *n = t->bucket[id % BUCKETS]; n; n = n->chain)
		if (n->id == id)
			return n;
	return NULL;
}

struct tree_node *tree_root(struct tree *t)
{
	return t->root;
}

struct tree_node *tree_from(const struct tree_node *folder, uint64_t place)
{
	struct tree_node *n = folder->child;

	while (n && n->place < place)
		n = n->sibling;
	return n;
}

struct tree_node *tree_lookup(const struct tree_node *folder, const char *name)
{
	uint64_t place = name_place(name);
	struct tree_node *n = tree_from(folder, place);

	for (; n && n->place == place; n = n->sibling)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

struct tree_node *tree_walk(struct tree *t, const char *path)
{
	struct tree_node *n = t->root;

	while (n) {
		const char *slash = strchrnul(path, '/');
		char name[WORKER_NAME_MAX + 1];
		size_t len = (size_t)(slash - path);

		if (len == 0 || len > WORKER_NAME_MAX)
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		n = tree_lookup(n, name);
		if (*slash == '\0')
			return n;
		path = slash + 1;
	}
	return NULL;
}

struct tree_node *tree_next(struct tree *t, const struct tree_node *n)
{
	if (n->child)
		return n->child;
	while (n && !n->sibling)
		n = n->parent;
	return n ? n->sibling : NULL;
}

int tree_path(const struct tree_node *n, char *buffer, size_t size)
{
	size_t at = size;

	if (size == 0)
		return -ENAMETOOLONG;
	buffer[--at] = '\0';
	for (; n && n->parent; n = n->parent) {
		size_t len = strlen(n->name), slash = n->parent->parent ? 1 : 0;

		if (at < len + slash)
			return -ENAMETOOLONG;
		at -= len;
		memcpy(buffer + at, n->name, len);
		if (slash)
			buffer[--at] = '/';
	}
	memmove(buffer, buffer + at, size - at);
	return 0;
}

static void leave_chain(struct tree_node *n)
{
	if (n->older)
		n->older->newer = n->newer;
	if (n->newer)
		n->newer->older = n->older;
	n->older = n->newer = NULL;
}

/* Off its bucket, value unmapped: from here on the id answers nothing. */
static void release_unreachable(struct tree *t, struct tree_node *n)
{
	struct tree_node **at = &t->bucket[n->id % BUCKETS];

	if (n->linked || n->staged || n->retired || n->inherited || n->remembered > 0)
		return;
	leave_chain(n);
	while (*at != n)
		at = &(*at)->chain;
	*at = n->chain;
	if (n->bytes && t->unmap)
		t->unmap(n->bytes, n->size);
	n->bytes = NULL;
	n->sibling = t->released;
	t->released = n;
	t->count--;
}

bool tree_take_released(struct tree *t, uint64_t *ret_id)
{
	struct tree_node *n = t->released;

	if (!n)
		return false;
	t->released = n->sibling;
	*ret_id = n->id;
	node_free(t, n);
	return true;
}

int tree_link(struct tree *t, struct tree_node *n, struct tree_node *parent)
{
	struct tree_node **at = &parent->child;

	if (n->linked || *n->name == '\0')
		return -EINVAL;
	if (parent->kind != NODE_DIR || !parent->linked)
		return -ENOTDIR;
	if (tree_lookup(parent, n->name))
		return -EEXIST;
	while (*at && (*at)->place < n->place)
		at = &(*at)->sibling;
	n->sibling = *at;
	*at = n;
	n->parent = parent;
	n->linked = true;
	if (n->kind == NODE_FILE)
		t->bytes += n->size;
	return 0;
}

int tree_unlink(struct tree *t, struct tree_node *n)
{
	struct tree_node **at;

	if (!n->linked || !n->parent)
		return -EINVAL;
	if (is_folder(n->kind) && n->child)
		return -ENOTEMPTY;
	at = &n->parent->child;
	while (*at != n)
		at = &(*at)->sibling;
	*at = n->sibling;
	n->sibling = NULL;
	n->parent = NULL;
	n->linked = false;
	if (n->kind == NODE_FILE)
		t->bytes -= n->size;
	release_unreachable(t, n);
	return 0;
}

void tree_stage(struct tree *t, struct tree_node *n, bool staged)
{
	n->staged = staged;
	if (!staged && !n->linked)
		leave_chain(n);
	release_unreachable(t, n);
}

void tree_retire(struct tree *t, struct tree_node *n, bool retired)
{
	n->retired = retired;
	if (!retired)
		leave_chain(n);
	release_unreachable(t, n);
}

struct tree_retired *tree_retired(struct tree *t)
{
	return &t->retired;
}

bool tree_withheld(const struct tree_node *n, int64_t now_ns)
{
	return n->denied || (n->expires_ns && n->expires_ns <= now_ns);
}

void tree_remember(struct tree_node *n)
{
	n->remembered++;
}

void tree_forget(struct tree *t, uint64_t id, uint64_t count)
{
	struct tree_node *n = tree_find(t, id);

	if (!n)
		return;
	if (count > n->remembered ||
	    (count == n->remembered && (count > 1 || (!n->linked && !n->staged && !n->retired))))
		n->inherited = false;
	n->remembered -= count < n->remembered ? count : n->remembered;
	release_unreachable(t, n);
}

void tree_inherit(struct tree *t)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct tree_node *n = t->bucket[i]; n; n = n->chain)
			n->inherited = true;
}

void tree_forget_all(struct tree *t)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct tree_node *next;

		for (struct tree_node *n = t->bucket[i]; n; n = next) {
			next = n->chain;
			n->inherited = false;
			n->remembered = 0;
			release_unreachable(t, n);
		}
	}
}

size_t tree_count(const struct tree *t)
{
	return t->count;
}

uint64_t tree_bytes(const struct tree *t)
{
	return t->bytes;
}
