/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opened.h - which version of a file a container has opened, and which older ones it still holds.
 * Pure.
 *
 * A file is a path that shows one secret. What was opened of it goes on from node to node as
 * versions take each other's place; it begins anew where the file was gone, or another secret had
 * the path, in between.
 *
 * Held is a node that has lost its name and of which the worker has not said RELEASED: a process
 * has it open or mapped. (Also what a worker that was killed knew and its successor cannot: a node
 * that was let go of in the very moment of the crash counts as held until the mount ends.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "flow/tree.h"

struct opened {
	uint64_t version; /* the newest that was ever opened; 0: none */
	int64_t time_ns;  /* its last open */
};
struct opened opened_of(const struct node *n);

/* An open of this node was granted. True if the newest version opened of a file is another now. */
bool opened_note(struct tree *t, struct node *n, int64_t time_ns);

/* `n` takes the place of `old`. */
void opened_inherit(struct node *n, const struct node *old);

/* Nodes of a tree that have lost their name, ordered; borrowed from it. */
struct held {
	const struct node **node;
	size_t count;
};
int held_make(const struct tree *t, struct held *ret);
void held_clear(struct held *h);

/*
 * Older versions of a file, ascending, each once: calls `visit` for each. Those that were withdrawn
 * count as well: whoever has them open can read them no more, but is there.
 */
void held_each(const struct held *h, const struct node *n,
               void (*visit)(void *arg, uint64_t version), void *arg);
