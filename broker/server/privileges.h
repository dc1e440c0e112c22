/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privileges.h - what the broker may still do once the spawner, which keeps its own, has been
 * forked and the sockets are in place.
 */
#pragma once

#include "coffer/err.h"

/* Soft limits up to the hard ones, as far as that is permitted: descriptors, locked memory. Never
 * fails. */
void privileges_raise_limits(void);

/* Keep the capabilities of privileges.c's table, drop all others for good. 0 or -errno. */
int privileges_drop(struct err *e);
