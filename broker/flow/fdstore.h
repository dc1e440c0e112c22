/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdstore.h - the service manager's descriptor store: what a mount needs outlives broker and worker both.
 *
 * For each mount three descriptors, named INSTANCE-fuse, INSTANCE-clone and INSTANCE-shared
 * (sd_notify(3), FDSTORE=1). Without a manager that stores, all of this does nothing, and a mount is
 * lost if broker and worker are killed at once.
 */
#pragma once

#include "flow/container.h"

void fdstore_keep(const struct container *c);
void fdstore_drop(const char *instance); /* the container has ended, or its mount has gone */

/* What the manager gave back at our start for a container; its three descriptors, or -ENOENT. */
struct fdstore_mount {
	int fuse, clone, shared;
};
int fdstore_take(const char *instance, struct fdstore_mount *ret);
