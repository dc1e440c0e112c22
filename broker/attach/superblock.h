/* SPDX-License-Identifier: Apache-2.0 */
/*
 * superblock.h - a FUSE superblock whose pid namespace is a container's.
 *
 * header.pid of every request is then a number in that namespace, and 0 for every caller outside
 * it. The superblock belongs to the host's user namespace, and the mount is made in the host's
 * mount namespace, detached.
 */
#pragma once

#include "coffer/err.h"

struct superblock {
	int fuse;  /* /dev/fuse: serves it */
	int mount; /* detached, nosuid, nodev, noexec */
};

/*
 * `program`: coffer-enter (sealed.h), which makes it. `pid_ns`: a descriptor of the container's pid namespace. `label`: SELinux context or "". Must be
 * called while in the host's namespaces. Descriptors are the caller's.
 */
int superblock_make(int program, int pid_ns, const char *label, struct superblock *ret,
                    struct err *e);
