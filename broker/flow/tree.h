/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - what one worker has been told of its tree, and the steps from there to what its
 * container is to see. Pure.
 *
 * A node is one version of one file, a folder, or a placeholder, and its id is never used again in
 * this mount. Nodes that have lost their name stay here while a descriptor may still read them
 * (until the worker says RELEASED), so that a revocation can reach them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "coffer/err.h"
#include "coffer/worker_proto.h"
#include "policy/policy.h"

struct content; /* content.h; held for its owner, never looked into */

struct node {
	uint64_t id, parent;
	uint32_t kind;           /* enum worker_node_kind */
	uint32_t mode, uid, gid; /* host side */
	bool linked;             /* has its name */
	bool staged;             /* part of the change under way */
	bool withdrawn; /* its secret was removed: not to be read on, whatever comes in its place */
	bool denied;    /* reads fail: revoked, removed or expired */
	bool lacking;   /* its bytes could not be had when its worker was told the tree */
	bool released; /* nobody can reach it: it goes when it has no name and the log has all of it */
	bool in_ring; /* released, and the ring may still have records of it */
	/* which fold and which flush of the log that is (released.c) */
	uint64_t told_by_fold, told_by_flush;
	char *path; /* below the mount; "" for the root folder */
	char *name; /* files: the secret; symlinks: the target */
	char grant[POLICY_ID_LEN + 1];
	uint64_t version;
	uint64_t size;
	int64_t mtime_ns, expires_ns, opened_ns; /* opened: last granted open seen, 0 never */
	/* opened.h: of what had this file's name before, the newest that was opened, and when last */
	uint64_t before_version;
	int64_t before_ns;
	uint64_t set, since; /* worker_proto.h */
	int64_t lost_ns;     /* when its name went (boot-time clock), or 0 */
	struct content *content;
};

struct tree {
	struct node *node;
	size_t count, room;
	uint64_t next_id;
	void (*content_unref)(struct content *content);
};

int tree_init(struct tree *t, uint32_t root_uid, uint32_t root_gid,
              void (*content_unref)(struct content *));
void tree_clear(struct tree *t);

/*
 * Adds a copy of `like` with an id of its own; path and name (may be NULL) are copied, content is
 * taken over. NULL without memory, or above WORKER_NODES_MAX.
 */
struct node *tree_add(struct tree *t, const struct node *like, const char *path, const char *name);
struct node *tree_by_id(struct tree *t, uint64_t id);
struct node *tree_by_path(struct tree *t, const char *path); /* the linked one */
/* Whether its name went so short a time ago that a worker may still keep it. */
bool tree_went_lately(const struct node *n, int64_t now_ns); /* boot-time clock */
/* The same for a file of a set that may still be asked for, if another of its set has its name. */
bool tree_is_retired(const struct node *n, int64_t now_ns);
void tree_remove(struct tree *t, uint64_t id);

/* What a file is to be. `content`, if the plan uses it, is taken with content_ref by the caller. */
struct want {
	const char *path, *name;
	const char *grant;
	uint64_t version, size;
	int64_t mtime_ns, expires_ns;
	uint32_t mode, uid, gid;
	uint64_t set; /* 0: none */
};

struct step {
	uint32_t kind;           /* enum worker_stage_kind */
	const char *path;        /* borrowed from the tree or the wants, or `own` */
	char *own;               /* an allocated path (new folders) */
	uint64_t node;           /* UNLINK, RMDIR: which */
	const struct want *want; /* PUT */
};
struct plan {
	struct step *step;
	size_t count, room;
	bool failed; /* no memory */
	bool more;   /* PLAN_STEPS_MAX were not enough: plan again afterwards */
	char *clash; /* a path that a placeholder holds and a want would need, or NULL */
};
#define PLAN_STEPS_MAX WORKER_NODES_MAX /* of one change: what a worker takes */

/*
 * `wants` ordered by path. Removals first (files, then folders that are empty and wanted no more,
 * deepest first), then new folders (shallow first), then files. A file whose version, owner, mode,
 * expiry and set are as wanted gives no step.
 */
int tree_plan(const struct tree *t, const struct want *wants, size_t count, struct plan *ret);
void plan_clear(struct plan *p);

/* "a/b" → "a"; "" for a path without '/'. In `buffer`, NAME_LEN_MAX + 1 bytes. */
const char *tree_parent_path(const char *path, char *buffer);
