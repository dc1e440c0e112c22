/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - who stands at the other end of a connected unix socket, by the kernel's word alone.
 *
 * Nothing is read from the socket. SO_PEERPIDFD (6.5) gives the process that connected, whatever
 * became of its number since; SO_PEERCRED must agree with it. What is then read below /proc by that
 * number is true of that process because it is seen alive afterwards. Before 6.5 a pidfd is opened
 * by number: a process that ends between connect and accept, and whose number is taken by another
 * at once, is taken for that other. docs/kernels.md says so.
 *
 * SCM_CREDENTIALS and SCM_PIDFD are never looked at: whoever is root in a user namespace forges
 * them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "coffer/err.h"

struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int pidfd;           /* owned */
	uint64_t start_time; /* with the pid, one process: see kern_start_time */
	uint64_t mnt_ns, pid_ns, user_ns;
	uint64_t cgroup_id;
	bool cgroup_unified, cgroup_root;
};

/*
 * Fill `ret` for the peer of `sock`. On failure nothing is held, the sentence says what could not
 * be told, and `ret` has what is known all the same (pid and uid at connect; pidfd is -1), for the
 * audit record only: -ESRCH: it is dead, or not visible from here; -EACCES: pidfd and credentials
 * do not agree; else -errno.
 */
int peer_identify(int sock, struct peer *ret, struct err *e);
void peer_clear(struct peer *p);
bool peer_alive(const struct peer *p);

/* Whether the peer had `gid` as a supplementary or its primary group when it connected. 1, 0 or
 * -errno. */
int peer_in_group(int sock, const struct peer *p, gid_t gid);

/*
 * The host's own namespaces. A service with a sandbox (cofferd's own unit too) has a mount
 * namespace of its own, so two count as the host's: that of pid 1 and ours.
 */
struct peer_home {
	uint64_t mnt_ns, our_mnt_ns, pid_ns, user_ns;
};
int peer_home_read(struct peer_home *ret, struct err *e);

/* 0, or -EACCES with a sentence: the peer is in a namespace that is not the host's. Pure. */
int peer_is_home(const struct peer_home *home, const struct peer *p, struct err *e);
