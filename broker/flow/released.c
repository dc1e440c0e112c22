/* SPDX-License-Identifier: Apache-2.0 */
/*
 * released.c - nodes that nobody can reach any more leave the tree.
 *
 * A worker takes a name away when the rename is made, and the kernel may let go of the node at once;
 * we do so when the change is over. So RELEASED may be about a node that has its name here still: it
 * is noted, and the node goes with the change.
 */
#include "flow/container.h"

void update_drop_released(struct container *c)
{
	for (size_t i = c->tree.count; i-- > 0;) {
		const struct node *n = &c->tree.node[i];

		if (n->released && !n->linked && !n->staged) {
			tree_remove(&c->tree, n->id);
			registry_save_soon(c);
		}
	}
}

void update_released(struct container *c, uint64_t node)
{
	struct node *n = tree_by_id(&c->tree, node);

	if (!n || n->staged)
		return;
	n->released = true;
	if (!n->linked)
		update_drop_released(c);
}
