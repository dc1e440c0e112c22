/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.h - the key-less half of the broker: what touches containers.
 *
 * cofferd forks before it reads any key, and the child calls spawner_main. The spawner only starts
 * processes (coffer/attach_proto.h says how it is asked): workers, and attachers, each of which
 * does one operation on one container over a socket of its own. It never enters a container itself
 * and never blocks on one.
 *
 * What every process here promises: not dumpable, no descriptors but its own (0 to 2 are /dev/null,
 * a worker may keep standard error), no exec of anything but the worker and, to come into a
 * container's pid namespace, of coffer-enter from sealed memory. Attachers leave nothing behind when killed: what they build is
 * held by their descriptors until the last step.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define ATTACH_ROOTS_MAX 8 /* runc itself, and one for each engine that has its own */

/* Plain data, borrowed; read-only after the fork. */
struct attach_config {
	const char
		*runc_roots[ATTACH_ROOTS_MAX + 1]; /* folders with ID/state.json, NULL-terminated */
	const char
		*engine_roots[ATTACH_ROOTS_MAX + 1]; /* where engines keep containers and images */
	const char *mount_folder; /* /run/secrets: where a container's own mounts are looked for */
	const char *worker_path;  /* cofferfs */
	const char *enter_path;   /* coffer-enter */
	int enter_fd;             /* the spawner sets it: a sealed copy of that, or -1 */
	uid_t worker_uid;         /* not 0 */
	gid_t worker_gid;
	bool worker_quiet; /* workers get /dev/null as standard error; else they keep ours */
};

/*
 * Serve spawn requests on `sock` (SOCK_SEQPACKET, the broker's other end) until it ends. Closes
 * every other descriptor it inherited above standard error. To be called in a process of its own
 * with one thread. Returns 0 when the broker is gone, or -errno after logging why. Workers and
 * attachers outlive it.
 */
int spawner_main(int sock, const struct attach_config *config);
