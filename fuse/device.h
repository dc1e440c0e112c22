/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - the /dev/fuse descriptor of one mount: a libfuse session whose requests are received
 * into memory that outlives this process.
 *
 * In the shared memory (worker_proto.h) lie the raw FUSE_INIT and the request in hand. The life of
 * a request:
 *
 *	mark empty ─► read(2) into recv ─► recv_len = n ─► handle, reply ─► recv_len = 0, mark empty
 *
 * "Mark empty" zeroes the length field at the head of the request itself. A process killed between
 * the kernel's copy and `recv_len = n` has left a head that is not empty, so the request is seen
 * to be in hand all the same. Killed between reply and mark, the successor answers once more; the
 * kernel knows no such request any more (ENOENT), every handler bears being run twice, and the audit
 * ring tells by the request's number that its record is there (ring.h).
 */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "coffer/err.h"
#include "coffer/worker_proto.h"

struct device;

/*
 * A request that libfuse has no handler for is offered to `unknown` first: a negative errno to
 * answer with, or 0 to leave it to libfuse (ENOSYS).
 */
typedef int (*device_unknown)(void *userdata, uint32_t opcode, uint64_t node, uint32_t uid,
                              uint32_t pid);

/*
 * Takes `fd` over on success, made non-blocking. `ops` is copied by libfuse; in its handlers the
 * device is the userdata, and device_owner(fuse_req_userdata(req)) is `userdata`.
 */
int device_new(int fd, struct worker_shared *shared, const struct fuse_lowlevel_ops *ops,
               device_unknown unknown, void *userdata, struct device **ret);
void device_free(struct device *d); /* NULL is fine */
void *device_owner(const void *device);

/* Forget what a former superblock left in the shared memory. */
void device_start(struct device *d);

/* Take over from a dead worker: learn the saved INIT, answer the request it had in hand. */
void device_resume(struct device *d);

int device_fd(const struct device *d);

/* Within a handler: the number of the request, which the kernel never uses again; else 0. */
uint64_t device_request(const struct device *d);

/* One request: 1 served, 0 none there, -ENODEV the mount is gone, else -errno. */
int device_serve(struct device *d);
