/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - from a peer to the container it is in, by cgroup and namespaces.
 */
#pragma once

#include "flow/container.h"
#include "server/peer.h"

/* The registered container whose cgroup is the peer's or the nearest above it, by cgroup alone. NULL. */
struct container *identity_by_cgroup(struct containers *set, const struct peer *peer);

/*
 * The registered container whose cgroup is the peer's or the nearest above it. 1 and *ret; 0 if
 * there is none; -EACCES with a sentence if there is one but the peer's pid or user namespace is
 * neither its own nor below it (someone moved itself into a foreign cgroup), or if the peer ended
 * meanwhile.
 */
int identity_find(struct containers *set, const struct peer *peer, struct container **ret,
                  struct err *e);
