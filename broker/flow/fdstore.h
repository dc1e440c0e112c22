/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdstore.h - the service manager's descriptor store: what a mount needs outlives broker and worker both.
 *
 * For each mount three descriptors under one name (sd_notify(3), FDSTORE=1): /dev/fuse, the
 * read-write clone, the shared memory. What kind each is tells them apart. The name is short, since
 * all names together come to us as one variable of the environment, which the kernel limits to
 * 128 KiB: beyond that no broker could be started. Names and kinds are the same in every version.
 *
 * Without a manager that stores, all of this does nothing, and a mount is lost if broker and worker
 * are killed at once.
 */
#pragma once

#include "flow/container.h"

#define FDSTORE_NAME_BYTES 6 /* of the instance; the chance that two of 4,096 share them: 3e-8 */
#define FDSTORE_NAME_SIZE 9  /* in base64, and NUL */
/* three for each of 4,096 containers; the unit's FileDescriptorStoreMax=, see FDSTORE_NAMES_MAX */
#define FDSTORE_MAX 12288
#define FDSTORE_NAMES_MAX (128 * 1024 - 64) /* MAX_ARG_STRLEN, but for the sockets' names */
_Static_assert(FDSTORE_MAX *FDSTORE_NAME_SIZE <= FDSTORE_NAMES_MAX,
               "more descriptors than their names may be told");

struct fdstore;

/* What the manager gave back at our start; it stays open until it is taken or swept. */
int fdstore_new(struct fdstore **ret);
void fdstore_free(struct fdstore *store); /* NULL is fine */

struct fdstore_mount {
	int fuse, clone, shared;
};

bool fdstore_has(struct fdstore *store, const struct container *c);

/* A container's three descriptors, or -ENOENT. */
int fdstore_take(struct fdstore *store, const struct container *c, struct fdstore_mount *ret);

/*
 * All have been taken that will be. The rest is closed, and what belongs to no registration is
 * forgotten by the manager too.
 */
void fdstore_sweep(struct containers *set);

/* To be kept from now on; nothing, if the manager gave this container's back at our start. */
void fdstore_keep(const struct container *c);
void fdstore_renew(const struct container *c); /* its shared memory is another one now */
/* The container has ended, or its mount has gone. */
void fdstore_drop(struct containers *set, const char *instance);
