/* SPDX-License-Identifier: Apache-2.0 */
/*
 * existing.h - what the mount folder held before us, taken up so that it can be set down again on
 * our mount.
 *
 * Folders and files are held as detached clones of the mount they lie in, with what is mounted
 * below them; symbolic links as their text. Names are bytes of the container's choosing: they are
 * passed on, never followed.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "attach/superblock.h"
#include "coffer/attach_proto.h"
#include "coffer/err.h"

struct existing_entry {
	uint32_t kind; /* enum worker_node_kind */
	char name[256];
	char *link; /* the text of a symbolic link, else NULL */
	int tree;   /* detached clone, else -1 */
};

struct existing {
	struct existing_entry entry[ATTACH_EXISTING_MAX];
	size_t count;
};
void existing_clear(struct existing *x);

/* Take up what `folder` holds. In the container's mount namespace. */
int existing_take(int folder, struct existing *ret, struct err *e);

/* Send EXISTING: the FUSE descriptor, and the device of its mount. */
int existing_send(const struct existing *x, int sock, uint64_t serial,
                  const struct superblock *super, struct err *e);

/* Set it down on the placeholders of the mount `mount`, which the caller's mount namespace has
 * attached. */
int existing_put(const struct existing *x, int mount, struct err *e);
