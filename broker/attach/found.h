/* SPDX-License-Identifier: Apache-2.0 */
/*
 * found.h - what an inspection has found so far: kernel facts of one process, and what its engine
 * says of it.
 */
#pragma once

#include <stdbool.h>

#include "attach/oci.h"
#include "attach/proc.h"
#include "coffer/attach_proto.h"
#include "coffer/kern.h"

enum {
	FOUND_PIDFD,
	FOUND_CGROUP,
	FOUND_MNT,
	FOUND_PID,
	FOUND_USER,
	FOUND_FDS
}; /* order of FACTS */

#define FOUND_IMAGE_MAX 1024
#define FOUND_NAME_MAX 800    /* a pod's namespace, its name and that of a container: up to 381 */
#define FOUND_DIGESTS_MAX 600 /* of one image: 8 of 71 bytes */

struct found_attribute {
	char *key, *value;
	bool from_image;
};

struct found {
	struct ar_facts facts; /* `attributes` is set when it is sent */
	int fds[FOUND_FDS];
	char cgroup_path[ATTACH_TEXT_MAX]; /* for the name of a unit only */
	char runtime[16];                  /* "": a plain process group */
	char id[OCI_ID_MAX + 1], name[FOUND_NAME_MAX + 1];
	char unit[UNIT_NAME_MAX + 1];
	char bundle[ATTACH_TEXT_MAX];
	bool bundle_is_its_own; /* its mapped root could put other files of root in the bundle's place */
	char root[ATTACH_TEXT_MAX];
	char image[FOUND_IMAGE_MAX + 1];
	char digest[FOUND_DIGESTS_MAX + 1];
	struct found_attribute *attribute;
	size_t attributes;
	struct err trouble; /* what its engine knows of it and could not be read, and why; or "" */
	struct oci_config config;
};

#define FOUND_EMPTY                           \
	{                                     \
		.fds = { -1, -1, -1, -1, -1 } \
	}
void found_clear(struct found *f);

/*
 * A label or annotation (copied). One longer than OCI_ATTRIBUTE_MAX, or beyond ATTACH_ATTRIBUTES_MAX, is
 * left out: it then matches no grant. 0 or -ENOMEM.
 */
int found_add(struct found *f, const char *key, const char *value, bool from_image);

/*
 * A digest ("sha256:" and 64 lower-case hex digits) that the image is known by: of its configuration, or
 * of a manifest. Others, the same again and those beyond FOUND_DIGESTS_MAX are left out.
 */
void found_add_digest(struct found *f, const char *digest);

/*
 * The kernel's facts of process `pid`: descriptors, ids, maps, start time, flags. Refuses what can
 * be no container: pids below 2, kernel threads, the root cgroup, the broker's own cgroup and
 * processes.
 */
int found_process(pid_t pid, struct found *f, struct err *e);

/* Whether two processes share a namespace ("mnt", "pid", "user"). 1, 0 or -errno. */
int found_same_namespace(pid_t a, pid_t b, const char *name);

/*
 * The init of the outermost pid namespace below ours that `pid` is in; `pid` itself, and *ret_host
 * set, where it is in ours.
 */
int boundary_of(pid_t pid, pid_t *ret_init, bool *ret_host, struct err *e);

/* Send FACTS (not the FAILED). 0 or -errno with a sentence. */
int found_send(int sock, uint64_t serial, struct found *f, struct err *e);
