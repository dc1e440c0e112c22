/* SPDX-License-Identifier: Apache-2.0 */
/*
 * released.c - nodes that nobody can reach any more leave the tree.
 *
 * A worker takes a name away when the rename is made, and the kernel may let go of the node at once;
 * we do so when the change is over. So RELEASED may be about a node that has its name here still: it
 * is noted, and the node goes with the change.
 *
 * Nor does it go before all that its container's ring had to tell of it is on disk: a broker that
 * takes those records up after us finds its name in the registration, or nowhere. What waits as a
 * count is a line after the next fold, and a line is on disk after the next flush.
 */
#include "audit/audit.h"
#include "flow/container.h"

static bool may_go(const struct containers *set, const struct node *n)
{
	return n->released && !n->in_ring && !n->linked && !n->staged &&
	       set->folds_flushed >= n->told_by_fold && set->flushes >= n->told_by_flush;
}

/* It can have no more records; `taken`: and none is left in the ring. */
static void note(struct container *c, struct node *n, bool taken)
{
	const struct containers *set = c->set;

	n->released = true;
	n->in_ring = !taken;
	n->told_by_fold = c->counts_wait ? set->folds + 1 : 0;
	n->told_by_flush =
		c->counts_wait || audit_dirty(set->b->audit) ? set->flushes + 1 : set->flushes;
}

/* What could not be taken when they were let go of. */
static void take_rest(struct container *c)
{
	bool looked = false;

	for (size_t i = 0; i < c->tree.count; i++) {
		struct node *n = &c->tree.node[i];

		if (!n->released || !n->in_ring)
			continue;
		if (!looked && !drain_now(c))
			return;
		looked = true;
		note(c, n, true);
	}
}

void update_drop_released(struct container *c)
{
	take_rest(c);
	c->releases_wait = false;
	for (size_t i = c->tree.count; i-- > 0;) {
		const struct node *n = &c->tree.node[i];

		if (may_go(c->set, n)) {
			tree_remove(&c->tree, n->id);
			registry_save_soon(c);
		} else if (n->released && !n->staged) {
			c->releases_wait = true;
		}
	}
}

void update_released(struct container *c, uint64_t node)
{
	struct node *n = tree_by_id(&c->tree, node);

	if (!n || n->staged)
		return;
	note(c, n, drain_now(c));
	registry_save_soon(c);
	update_drop_released(c);
}

void update_released_before(struct container *c)
{
	bool taken = drain_now(c);

	for (size_t i = 0; i < c->tree.count; i++)
		if (c->tree.node[i].released)
			note(c, &c->tree.node[i], taken);
	update_drop_released(c);
}
