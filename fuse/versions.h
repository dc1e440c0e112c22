/* SPDX-License-Identifier: Apache-2.0 */
/*
 * versions.h - the files of a set that had, have and are to have one name, and which of them it
 * stands for in a generation. Pure.
 *
 *	retired ◄─older─ retired ◄─older─ linked ◄─older─ staged
 *	   │                │                │               │
 *	since 1          since 4          since 5         since 9, in a prepared change
 *
 * A node is what its name stands for from its `since` on, until the next one's. What has lost its
 * name is kept for WORKER_RETIRED_NS, for those who are in a pass of an earlier generation.
 */
#pragma once

#include "tree.h"

/*
 * `newer` comes after `older` at their name. Nothing if they are not of one set: then nobody is to be
 * given one of them for the other.
 */
void versions_follow(struct tree_node *older, struct tree_node *newer);

/* To a successor: a retired node, behind what it knows of that name already (NULL: nothing). */
void versions_restore(struct tree *t, struct tree_node *n, struct tree_node *there);

/* The name is about to go from a node to the one after it: it is kept. */
void versions_retire(struct tree *t, struct tree_node *n);

/*
 * Let go of what has been kept long enough at `now_ns` (boot-time clock). How long until the next is
 * due, or -1: there is none.
 */
int64_t versions_expire(struct tree *t, int64_t now_ns);

struct tree_node *versions_newest(struct tree_node *n);

/*
 * What the name of `n` stands for in a generation; the newest if there was nothing yet, or if that is
 * withheld (at `now_ns`, wall clock): a withdrawn version does not come back.
 */
struct tree_node *versions_at(struct tree_node *n, uint64_t generation, int64_t now_ns);

/* The last generation in which the name stands for `n`; UINT64_MAX: it still does. */
uint64_t versions_last(const struct tree_node *n);

/* Whether the name stands for the same to everybody, so that the kernel may keep it. */
bool versions_settled(const struct tree_node *n);
