/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - reaching the mount folder of a container, from the host and back.
 *
 * The folder is reached from the container's own root, one component at a time, through no symbolic
 * link, so that whatever an image or a process inside puts there the mount lands below that root or
 * not at all. It is held by descriptor: what is checked is what is mounted on. A process here must
 * have one thread and never comes back into a container's mount namespace but through target_enter.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "attach/attacher.h"
#include "attach/sys.h"
#include "coffer/attach_proto.h"

enum { TARGET_PIDFD, TARGET_MNT, TARGET_PID, TARGET_USER }; /* order of the descriptors */

struct target {
	pid_t pid;
	dev_t dev;      /* CHECK, UNMOUNT */
	const int *fds; /* the request's: see above */
	char root_path[ATTACH_TEXT_MAX], folder[ATTACH_TEXT_MAX], label[ATTACH_TEXT_MAX];
	int host_mnt;    /* our own mount namespace */
	int host_proc;   /* /proc as we see it */
	int root;        /* the container's root, O_PATH */
	uid_t owner_uid; /* host ids of the container's root */
	gid_t owner_gid;
};
#define TARGET_EMPTY                                        \
	{                                                   \
		.host_mnt = -1, .host_proc = -1, .root = -1 \
	}
void target_clear(struct target *t);

/* Take the request apart and look at the container, still on the host. */
int target_prepare(struct operation_call *call, struct target *t, struct err *e);

/* Into the container's mount namespace, and back. */
int target_enter(struct target *t, struct err *e);
int target_leave(struct target *t, struct err *e);

/* The folder as it is now. -ENOENT if it isn't there. */
int target_open(const struct target *t, int *ret, struct err *e);

/* The same, made if it isn't there (0755, of the container's root). */
int target_open_or_make(const struct target *t, int *ret, struct err *e);

/* -EPERM with a sentence if what is mounted at `place` would spread to other mount namespaces. */
int target_refuse_shared(const struct target *t, const struct sys_place *place, struct err *e);

/* Take off the mount at the folder, if it is of device `dev`. 0; -ENOENT if it is not there. */
int target_unmount(const struct target *t, dev_t dev, struct err *e);
