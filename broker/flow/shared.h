/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared.h - the memory that broker and worker share (worker_proto.h), also that of a worker of
 * another build: its layout may be older or newer than ours.
 */
#pragma once

#include <sys/types.h>

#include "flow/container.h"

/* One of our layout, sealed against resize, all zeros. Descriptor or -errno. */
int shared_memfd(void);

/*
 * How much of what a worker gave back is to be mapped; it is checked as if the worker were hostile.
 * -EBADMSG: it can shrink under us, or is too small.
 */
ssize_t shared_check(int fd);

/*
 * No worker runs: move what is of another layout into memory of ours, the request in hand and the
 * audit records included. What only the other layout had is lost.
 */
int shared_renew(struct container *c, struct err *e);
