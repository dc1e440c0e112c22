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

/*
 * One engine. `describe` fills in what the engine knows of `f`, whose bundle has been read and whose id
 * is checked: name, image, digests, attributes (engine_annotations takes those of the bundle). What it
 * cannot read stays unknown, matches no grant, and is told in f->trouble; only -ENOMEM is an error.
 * `id_of` finds the full id of a running container by the engine's name, or by the beginning of its id
 * where that is the only one: 1, 0 for none, or -errno with a sentence. It may be NULL.
 */
struct engine {
	const char *runtime;
	int (*describe)(const struct attach_config *c, struct found *f, struct err *e);
	int (*id_of)(const struct attach_config *c, const char *name, char ret[OCI_ID_MAX + 1],
	             struct err *e);
};

extern const struct engine engine_docker;

/*
 * Which engine a bundle is of, by where its real path lies. `users`: it is in a user's hands, whose rootless
 * engine puts it anywhere, and it looks like Podman's wherever it has Podman's last folders.
 */
const struct engine *engine_of_bundle(const struct attach_config *c, const char *path, bool users,
                                      const struct oci_config *config);

/* The bundle's annotations become attributes, as those of whoever started the container. */
int engine_annotations(struct found *f);

/*
 * Read the bundle of the container that `f` is: user, root, label, runtime; then what its engine says.
 * Sets FACTS_UNVERIFIED if the bundle is not root's alone.
 */
int engine_read_bundle(const struct attach_config *c, const char *bundle, struct found *f,
                       struct err *e);

/* The full id of a running container of any engine: as id_of. */
int engine_id_of(const struct attach_config *c, const char *name, char ret[OCI_ID_MAX + 1],
                 struct err *e);

/* Podman's, as in struct engine. */
int engine_podman_describe(const struct attach_config *c, struct found *f, struct err *e);
int engine_podman_id_of(const struct attach_config *c, const char *name, char ret[OCI_ID_MAX + 1],
                        struct err *e);

/*
 * runc's and crun's own state. 1: `ret` is the container; 0: none; or -errno with a sentence. `likely`: an id
 * to look at first, so that a host's thousand containers are not read a thousand times; may be "".
 */
int engine_runc_by_init(const struct attach_config *c, pid_t pid, const char *likely,
                        struct oci_state *ret, struct err *e);
int engine_runc_by_cgroup(const struct attach_config *c, const struct found *f,
                          struct oci_state *ret, struct err *e);
int engine_runc_by_id(const struct attach_config *c, const char *id, struct oci_state *ret,
                      struct err *e);

/*
 * The state that the rootless engine of a user keeps of the first process `f` of a container of that user.
 * As above. What it says is unverified, wherever the bundle lies that it names.
 */
int engine_runc_of_user(const struct found *f, struct oci_state *ret, struct err *e);

/*
 * The unit that the process of `f` belongs to, by its cgroup: sets f->unit. `whole` : f becomes the
 * unit, with its cgroup and main process. 1, or 0 if it is in none, or -errno.
 */
int engine_systemd_unit(struct found *f, bool whole, struct err *e);

/* The main process of a running unit: the oldest in its cgroup. */
int engine_systemd_main(const char *unit, pid_t *ret, struct err *e);

/* Every running container, until `visit` says true. 1 if it did, 0, or -errno. */
int engine_runc_each(const struct attach_config *c,
                     bool (*visit)(const struct oci_state *state, void *arg), void *arg,
                     struct err *e);

/* containerd and CRI-O: rows of the table in engine.c. */
int engine_containerd_describe(const struct attach_config *c, struct found *f, struct err *e);
int engine_containerd_id_of(const struct attach_config *c, const char *name,
                            char ret[OCI_ID_MAX + 1], struct err *e);
int engine_crio_describe(const struct attach_config *c, struct found *f, struct err *e);
int engine_crio_id_of(const struct attach_config *c, const char *name, char ret[OCI_ID_MAX + 1],
                      struct err *e);

/*
 * id_of for the two: NAMESPACE/POD/CONTAINER, or as much of its end behind a '/' as is unique, or the
 * beginning of an id.
 */
struct kube;
struct engine_kube {
	const char *where; /* part of the real paths of its bundles */
	int (*kube_of)(const struct oci_config *c, struct kube *ret, struct err *e);
	bool pods_only; /* others' bundles lie there, too */
};
int engine_kube_id_of(const struct attach_config *c, const struct engine_kube *engine,
                      const char *name, char ret[OCI_ID_MAX + 1], struct err *e);
