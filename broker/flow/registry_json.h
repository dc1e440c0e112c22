/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry_json.h - a registration as JSON text: what to look for, and what its mount shows.
 *
 *	{"instance", "pid", "start_time", "id", "bundle", "hook", "explicit", "detached", "dev",
 *	 "worker": {"pid", "start_time"},
 *	 "next_id", "nodes": [{"id", "parent", "kind", "path", …}, …],
 *	 "reactions": [{"grant", "on_rotate", "due", "paths", "last", "result"}, …],
 *	 "update": {"token", "more", "steps": [{"kind", "node"}, …], "denied": [id, …]}}
 *
 * Written before the worker is told of a change, so that whoever reads it knows every node that the
 * kernel may know. No bytes of a value are in it.
 */
#pragma once

#include "coffer/json.h"
#include "flow/container.h"
#include "flow/inspection.h"

/* NULL without memory. */
json_t *registry_to_json(const struct container *c);

/* What to look for. -EINVAL with a sentence. */
int registry_request(const json_t *object, struct inspection_request *ret, struct err *e);

/* Its tree, change under way, and worker, into a container registered again. -EINVAL, -ENOMEM. */
int registry_restore(struct container *c, const json_t *object, struct err *e);
