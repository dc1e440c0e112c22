/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.h - the door for programs in containers: who connects is told by the kernel before one
 * byte is read, then the connection goes unread to the worker of that container.
 *
 * A peer belongs to the nearest ancestor of its cgroup that is a registered container's, if its pid
 * and user namespaces are that container's or below. A peer of no registered container is looked at
 * by an attacher and registered by what the kernel and the engines' state say of it. A peer that is
 * refused is closed without a byte, with an audit record.
 *
 * Nobody is let in until the containers of an earlier broker are known again (workload_open): one of
 * theirs would be taken for a new container.
 */
#pragma once

#include "broker.h"
#include "coffer/err.h"

struct container;
struct workload;

int workload_new(struct broker *b, int listen_fd, struct workload **ret,
                 struct err *e); /* takes listen_fd */
void workload_open(
	struct workload *w); /* NULL: there is none yet, and it will be open when it is made */
void workload_free(struct workload *w);

/* The container's worker is ready: connections that waited for it go to it. */
void workload_serve_waiting(struct container *c);
/* The container has ended, or its worker can't be had. */
void workload_drop_waiting(struct container *c);

/* A caller on connection `id` of the container's worker asks for its mount. */
void workload_attach_asked(struct container *c, uint64_t id);
