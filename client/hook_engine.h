/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_engine.h - what the hook can read of a container's name and labels, with the broker away.
 *
 * From files of the engine only, never from its API: it holds the container's lock while its hooks
 * run. What kind of engine it is follows from where the bundle lies:
 *
 *	…/moby/ID                          Docker: the bundle's mount at /etc/hostname comes from
 *	                                   the container's folder, whose config.v2.json has name
 *	                                   and labels
 *	…/overlay-containers/ID/userdata   Podman or CRI-O: containers.json two levels up has the
 *	                                   names; labels lie in a database (unknown for Podman)
 *	…/io.containerd.runtime.v2.task/…  containerd: the names of pods are annotations, else the id is
 *	                                   the name; labels lie in a database (unknown)
 *	elsewhere                          bare runc: the id is the name, annotations the labels
 */
#pragma once

#include <jansson.h>

#include "hook_pod.h"
#include "hook_state.h"
#include "hook_wait.h"

struct hook_engine {
	struct hook_facts facts; /* points into what follows, and into the state */
	json_t *document;        /* owned; the engine's, or NULL */
	json_t *owned_labels;    /* owned; or NULL */
	struct hook_pod pod;     /* its labels are owned; or NULL */
};

/* Never fails: what cannot be read stays unknown. */
void hook_engine_read(const struct hook_state *s, struct hook_engine *ret);
void hook_engine_clear(struct hook_engine *h);
