/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.h - a broker takes up what an earlier one left: workers that still serve, mounts that wait.
 *
 * A worker is reached at RUNTIME/workers/INSTANCE.sock, in a folder that only root can enter. Its pid
 * and start time stand in the registration, so that the broker watches and ends that process and no
 * other. Everything that the worker hands over was the earlier broker's; what it is to show is
 * decided anew from policy, never from its word.
 */
#pragma once

#include <jansson.h>

#include "flow/container.h"

/* The socket that a new worker is to listen on when its broker has gone. Descriptor or -errno. */
int adopt_listen(struct container *c);

/* From a registration: take its tree over and reach its worker. Failing that there is no mount. */
void adopt_begin(struct container *c, const json_t *saved);

/* ESCROW has come. 0, or -EBADMSG for what makes no sense. */
int adopt_on_worker(struct container *c, struct record *r);

/* The worker ended before ESCROW came. */
void adopt_lost(struct container *c);

/* The container is gone: so is its socket. `name`: of its registration's file. */
void adopt_forget(struct containers *set, const char *name);
