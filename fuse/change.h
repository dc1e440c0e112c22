/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.h - the one change that is being staged or made: which steps are announced, and which of
 * them hold. Pure.
 *
 *	NONE ──change_add──► STAGING ──change_prepare──► PREPARED ──change_finish──► NONE
 *	                        └──────────────change_drop──────────────┴──────────► NONE
 *
 * While it is prepared, a hidden folder exists whose name only broker and attacher know; the files
 * to come lie in it under their node ids. The attacher makes each step by a system call through
 * the mount, which arrives here as change_rename, change_remove or change_mkdir. Each is
 * idempotent: a step that holds already answers 0, so that a change cut off by anybody's death is
 * simply made again.
 */
#pragma once

#include "tree.h"

#define CHANGE_NAME_SIZE (sizeof(WORKER_STAGING_PREFIX) + 32) /* prefix, 32 hex digits, NUL */

enum change_state {
	CHANGE_NONE,
	CHANGE_STAGING,
	CHANGE_PREPARED,
};

struct change_step {
	uint32_t kind; /* enum worker_stage_kind */
	uint64_t node;
	uint64_t parent;
	char *name; /* owned */
};

struct change {
	enum change_state state;
	struct change_step *step;
	size_t count, room;
	int64_t time_ns;          /* when it was prepared: what its folders have changed at */
	struct worker_made *made; /* borrowed, in memory that outlives us; or NULL */
	uint8_t token[16];
	uint64_t folder; /* id of the staging folder, from the token */
	char folder_name[CHANGE_NAME_SIZE];
};

/*
 * Announce a step. For PUT and MKDIR the node has been added to the tree and is marked staged
 * here; for UNLINK and RMDIR it is there and has that name. -EINVAL: the step can't be; -ENOSPC;
 * -ENOMEM.
 */
int change_add(struct change *c, struct tree *t, const struct wr_stage *stage, const char *name);

/*
 * The steps may be made from now on. Of a set, what comes stands for its name at once, for those
 * inside the container whose pass it is of (sets.h). Returns the newest generation of it, or 0.
 */
uint64_t change_prepare(struct change *c, struct tree *t, const uint8_t token[16]);

/* To a successor, before it answers anything: what its predecessor made of this change holds. */
void change_remake(struct change *c, struct tree *t);

/*
 * Every announced step holds now, made by the attacher or here. 0, or the first step's -errno that
 * can't be.
 */
int change_finish(struct change *c, struct tree *t);

/* Forget what was announced; nodes that no step linked are released. */
void change_drop(struct change *c, struct tree *t);

/* The file of a set that a prepared change brings to a name that nothing has yet; NULL: none. */
struct tree_node *change_coming(const struct change *c, struct tree *t, uint64_t parent,
                                const char *name);

/*
 * Whether a name is a step's target or a folder on the way to one: what the attacher has to look
 * up.
 */
bool change_announces(const struct change *c, struct tree *t, uint64_t parent, const char *name);

/* Whether a node is staged by, or the present bearer of a name of, the prepared change. */
bool change_touches(const struct change *c, const struct tree_node *n);

bool change_is_folder(const struct change *c, uint64_t parent, const char *name);

/* The file to come that the staging folder shows under `name`, moved already or not. */
struct tree_node *change_staged(const struct change *c, struct tree *t, const char *name);

/* The steps as they arrive from the mount: 0, or -EROFS for what is not announced. */
int change_rename(const struct change *c, struct tree *t, const char *staged, uint64_t parent,
                  const char *name);
int change_remove(const struct change *c, struct tree *t, uint32_t kind, uint64_t parent,
                  const char *name);
int change_mkdir(const struct change *c, struct tree *t, uint64_t parent, const char *name,
                 struct tree_node **ret);
