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

struct found {
	struct ar_facts facts; /* `attributes` is set when it is sent */
	int fds[FOUND_FDS];
	char cgroup_path[ATTACH_TEXT_MAX]; /* for the name of a unit only */
	char runtime[16];                  /* "": a plain process group */
	char id[OCI_ID_MAX + 1], name[OCI_ID_MAX + 1];
	char unit[UNIT_NAME_MAX + 1];
	char bundle[ATTACH_TEXT_MAX];
	char root[ATTACH_TEXT_MAX];
	bool image_annotates; /* the bundle's annotations may be the image's */
	struct oci_config config;
};

#define FOUND_EMPTY                           \
	{                                     \
		.fds = { -1, -1, -1, -1, -1 } \
	}
void found_clear(struct found *f);

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
