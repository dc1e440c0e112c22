/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update_commit.c - a change is over: our tree says what its container sees.
 */
#include "coffer/times.h"
#include "flow/container.h"
#include "flow/opened.h"
#include "flow/reaction.h"
#include "flow/report.h"
#include "flow/update.h"

static void lose_name(struct node *n)
{
	n->linked = false;
	n->released |= n->lacking; /* its worker never had it, and cannot say so */
	n->in_ring |= n->lacking;
	n->lost_ns = times_boottime();
}

/* As the worker has it since the change was prepared, or a moment later: for its successor. */
static void touch_parent(struct container *c, const struct node *n)
{
	char parent_path[NAME_LEN_MAX + 1];
	struct node *parent = tree_by_path(&c->tree, tree_parent_path(n->path, parent_path));

	if (parent)
		parent->mtime_ns = times_now();
}

void update_commit(struct container *c)
{
	struct update *update = c->update;

	drain_now(c); /* what was opened before belongs to what goes */
	for (size_t i = 0; i < update->steps; i++) {
		struct node *n = tree_by_id(&c->tree, update->step[i].node);
		struct node *old;

		if (!n)
			continue;
		touch_parent(c, n);
		switch (update->step[i].kind) {
		case STAGE_PUT:
			old = tree_by_path(&c->tree, n->path);
			reaction_replaced(c, old, n);
			if (old) {
				opened_inherit(n, old);
				lose_name(old);
			}
			n->linked = true;
			n->staged = false;
			report_file(c, "show", n, NULL);
			break;
		case STAGE_MKDIR:
			n->linked = true;
			n->staged = false;
			break;
		case STAGE_RMDIR:
		case STAGE_UNLINK:
			lose_name(n);
			break;
		}
	}
	update_abandon(c);
	update_drop_released(c);
	registry_save(c);
}
