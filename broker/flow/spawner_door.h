/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawner_door.h - the spawner as a service of its own, so that the unit of the broker, which holds the
 * keys, allows nothing of what entering containers takes.
 *
 * Its manager listens on RUNTIME/spawner.sock (SOCK_SEQPACKET, root's alone) and starts it when a broker
 * connects: one spawner for one broker, with the program and the configuration of that broker's start.
 * It ends when the broker does, by the connection's end. The next broker's connection waits until then.
 */
#pragma once

#include "attach/attach.h"
#include "coffer/err.h"

#define SPAWNER_SOCKET "spawner.sock"

/* Returns the connection, told of `config`; -ENOENT (without a sentence) where nobody listens. */
int spawner_door_connect(int runtime_fd, const struct attach_config *config, struct err *e);

/*
 * cofferd --spawner: serve one broker on the socket that the manager passed, until it is gone. 0 or -errno.
 */
int spawner_door_serve(struct err *e);
