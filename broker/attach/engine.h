/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - what engines say of a container, from files that only root writes.
 *
 * An engine is looked up by facts of the kernel: a process that is known already must be the very
 * one (pid and start time) that the engine's state names as a container's first. Each engine has a
 * file of its own; a new one adds its row to the table in engine.c.
 */
#pragma once

#include "attach/attach.h"
#include "attach/found.h"

struct trusted_folder;

/* Which runtime a bundle is of, by where it lies. */
struct engine_place {
	const char *where;      /* part of the real path */
	bool anywhere;          /* false: the path begins with it */
	const char *annotation; /* NULL, or one that must be there too */
	const char *runtime;
	bool image_annotates; /* the engine puts annotations of the image among the bundle's */
};
const struct engine_place *engine_of_bundle(const char *path, const struct oci_config *config);

/*
 * Read the bundle of the container that `f` is: user, root, label, annotations, runtime. Sets
 * FACTS_UNVERIFIED if it is not root's alone.
 */
int engine_read_bundle(const char *bundle, struct found *f, struct err *e);

/*
 * runc's own state. 1: `ret` is the container; 0: none; or -errno with a sentence. `likely`: an id
 * to look at first, so that a host's thousand containers are not read a thousand times; may be "".
 */
int engine_runc_by_init(const struct attach_config *c, pid_t pid, const char *likely,
                        struct oci_state *ret, struct err *e);
int engine_runc_by_cgroup(const struct attach_config *c, const struct found *f,
                          struct oci_state *ret, struct err *e);
int engine_runc_by_id(const struct attach_config *c, const char *id, struct oci_state *ret,
                      struct err *e);

/*
 * The unit that the process of `f` belongs to, by its cgroup: sets f->unit. `whole` : f becomes the
 * unit, with its cgroup and main process. 1, or 0 if it is in none, or -errno.
 */
int engine_systemd_unit(struct found *f, bool whole, struct err *e);

/* The main process of a running unit: the oldest in its cgroup. */
int engine_systemd_main(const char *unit, pid_t *ret, struct err *e);
