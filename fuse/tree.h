/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - the files and folders of one mount, as data. Pure: it answers questions and keeps
 * counts.
 *
 * A node is a folder, a placeholder, a symlink, or one version of one file. It is *linked* while a
 * name leads to it, *staged* while a prepared change is about to link it, and *remembered* while
 * the kernel may still speak of it (the FUSE lookup count). When none of these holds, nobody
 * can reach it: its value is unmapped at once, the id answers nothing any more, and it waits on
 * the list of released nodes until tree_take_released hands its id out.
 *
 * Open descriptors need no count of their own: the kernel keeps an inode, and so its lookup count,
 * as long as a file of it is open or being released.
 *
 * A file of a set knows which node had its name before it (`older`) and which has it, or is to have
 * it, after it (`newer`): versions.h. What has lost its name to a newer one is kept for a while:
 * *retired*.
 *
 * After a crash the successor does not know the counts of the dead worker: such nodes are
 * *inherited*, see tree_forget.
 *
 * Capacity is WORKER_NODES_MAX. Memory is taken when a node is added, never by a question.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/worker_proto.h"

/* Node ids from here up are the worker's own (the staging folder); the broker's stay below. */
#define TREE_ID_LIMIT (1ULL << 63)

/* Places in a folder's listing: 1 and 2 are "." and "..". */
#define TREE_PLACE_MIN 3

struct tree_node {
	uint64_t id, version, size;
	int64_t mtime_ns, expires_ns;
	/* The kernel's lookup count. */
	uint64_t remembered;
	/* In a listing: from the name alone, so it survives rotation and crash. */
	uint64_t place;
	/* Of a file: `size` bytes, mapped, owned by the tree; NULL if empty. */
	const unsigned char *bytes;
	char *name;       /* owned, with `text` in the same block */
	const char *text; /* the secret's full name, or a symlink's target */
	/* Of linked nodes; children are ordered by place. */
	struct tree_node *parent, *child, *sibling;
	struct tree_node *chain; /* same bucket of ids */
	/* Of a set's file. */
	uint64_t set, since;
	uint64_t file; /* the same for all that ever have this name */
	struct tree_node *older, *newer;
	struct tree_node *retired_next;
	int64_t retired_ns; /* 0: not known yet */
	uint32_t kind;      /* enum worker_node_kind */
	uint32_t mode, uid, gid;
	bool linked, staged, retired, inherited, denied;
};

struct tree;

/* In the order in which they lost their names, which is the order in which they go. */
struct tree_retired {
	struct tree_node *first, *last;
};

/* `unmap` gives a value's mapping back (NULL: nothing to do). */
int tree_new(void (*unmap)(const unsigned char *bytes, uint64_t size), struct tree **ret);
void tree_free(struct tree *t); /* unmaps everything; NULL is fine */

/*
 * Add a node without a name in the tree yet. `bytes` are taken over on success. -EINVAL: id, kind
 * or name that can't be; -EEXIST: the id is in use; -ENOSPC: WORKER_NODES_MAX; -ENOMEM.
 */
int tree_add(struct tree *t, const struct wr_node *node, const char *name, const char *text,
             const unsigned char *bytes, struct tree_node **ret);

/*
 * Give the node its name in a folder. -ENOTDIR: the parent is no folder of ours; -EEXIST: the name
 * is taken; -EINVAL: it has a name already.
 */
int tree_link(struct tree *t, struct tree_node *n, struct tree_node *parent);

/* Take the name away. -ENOTEMPTY for a folder with entries. May release the node. */
int tree_unlink(struct tree *t, struct tree_node *n);

/* Set or clear `staged`. Clearing may release the node. */
void tree_stage(struct tree *t, struct tree_node *n, bool staged);

/* Set or clear `retired`. Clearing takes it from the chain of its name, and may release it. */
void tree_retire(struct tree *t, struct tree_node *n, bool retired);
struct tree_retired *tree_retired(struct tree *t);

struct tree_node *tree_find(struct tree *t, uint64_t id); /* NULL if there is none */
struct tree_node *tree_root(struct tree *t);
struct tree_node *tree_lookup(const struct tree_node *folder, const char *name);
struct tree_node *tree_walk(struct tree *t,
                            const char *path); /* "tls/cert"; NULL if there is none */

/* The first entry of a folder at or behind a place, or NULL. Together with ->sibling it lists. */
struct tree_node *tree_from(const struct tree_node *folder, uint64_t place);

/* The next linked node below the root in depth-first order; `n` is the root to begin with. */
struct tree_node *tree_next(struct tree *t, const struct tree_node *n);

/* "tls/cert" in `buffer`; -ENAMETOOLONG. For linked nodes. */
int tree_path(const struct tree_node *n, char *buffer, size_t size);

/*
 * Whether it is kept from everyone: withdrawn by the broker, or expired at `now_ns` (wall clock).
 * The broker withdraws what expires; its clock alone holds where the wall clock is set back. But
 * while there is no broker this keeps opens from succeeding.
 */
bool tree_withheld(const struct tree_node *n, int64_t now_ns);

/* The kernel was given this node once more. */
void tree_remember(struct tree_node *n);

/*
 * The kernel takes `count` of its lookups back. Unknown ids are fine (a predecessor's).
 *
 * For an inherited node the count of the predecessor is unknown. The kernel forgets an inode in
 * one message with the whole count, predecessor's included, or gives back a single lookup that it
 * could not use. So the inheritance is over with a count above our own, or with exactly our own if
 * that is more than one or nothing leads to the node (then no lookup can be under way). In the one case
 * that stays open the node is kept: too long is harmless, too short breaks a reader.
 */
void tree_forget(struct tree *t, uint64_t id, uint64_t count);

/* Everything that is there now may be remembered by a kernel that a dead worker served. */
void tree_inherit(struct tree *t);

/* The mount is gone: nothing is remembered any more. */
void tree_forget_all(struct tree *t);

/* The id of a released node, once for each; false if there is none. */
bool tree_take_released(struct tree *t, uint64_t *ret_id);

size_t tree_count(const struct tree *t);   /* nodes that are not released */
uint64_t tree_bytes(const struct tree *t); /* sum of the sizes of linked files */
