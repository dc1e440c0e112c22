/* SPDX-License-Identifier: Apache-2.0 */
#include "sets.h"

#include "versions.h"

static struct pass_key key_of(const struct sets_call *call, const struct tree_node *n)
{
	return (struct pass_key){
		.process = call->process,
		.thread = call->thread,
		.set = n->set,
		.now_ns = call->boot_ns,
	};
}

struct tree_node *sets_look_up(const struct sets_call *call, struct tree_node *n)
{
	struct pass_key key = key_of(call, n);
	struct worker_pass *pass;

	if (!n->older && !n->newer)
		return n;
	pass = passes_find(call->passes, &key);
	if (!pass || passes_ended_by(call->passes, pass, n->file))
		return versions_newest(n);
	return versions_at(n, pass->generation, call->wall_ns);
}

/* The latest generation, up to the current one, in which its name stands for `n`. */
static uint64_t latest(const struct sets_call *call, const struct tree_node *n)
{
	uint64_t last = versions_last(n);

	return last < call->generation ? last : call->generation;
}

/* Whether the caller may have `n` as things are; *ret_adds: in the pass that it is in. */
static bool fits(const struct sets_call *call, struct tree_node *n, const struct worker_pass *pass,
                 bool *ret_adds)
{
	*ret_adds = pass && !passes_ended_by(call->passes, pass, n->file);
	if (*ret_adds)
		return versions_at(n, pass->generation, call->wall_ns) == n;
	/* A new pass lasts longer than what has lost its name is kept; and none goes back in time. */
	return !n->retired && (!pass || latest(call, n) >= pass->generation);
}

static bool decide(const struct sets_call *call, struct tree_node *n)
{
	struct pass_key key = key_of(call, n);
	struct worker_pass *pass = passes_find(call->passes, &key);
	bool adds, may = fits(call, n, pass, &adds);

	if (!may && passes_send_back(call->passes, &key))
		return false;
	if (may && adds)
		passes_add(call->passes, pass, n->file, call->boot_ns);
	else
		passes_begin(call->passes, &key, latest(call, n), n->file);
	passes_come_back(call->passes, &key);
	return true;
}

bool sets_open(const struct sets_call *call, struct tree_node *n)
{
	struct pass_key key = key_of(call, n);
	bool sent_back;

	/* Nobody hears the answer; or long without a name: opened again through a descriptor. */
	if (!call->process || (!n->linked && !n->staged && !n->retired))
		return true;
	if (passes_decided(call->passes, &key, call->request, &sent_back))
		return !sent_back;
	sent_back = !decide(call, n);
	passes_note_decided(call->passes, &key, call->request, sent_back);
	return !sent_back;
}
