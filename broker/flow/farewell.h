/* SPDX-License-Identifier: Apache-2.0 */
/*
 * farewell.h - containers that ended while no broker was there.
 *
 * What they opened meanwhile is in memory that their worker holds, or the service manager. So such a one
 * is taken up once more as adopt.h takes up those that run, known by its registration alone, until
 * that memory is there; its records go into the log, and then it ends like any other: its worker,
 * and its registration last.
 */
#pragma once

#include "flow/container.h"

/* `saved` is its registration, `why` the reason of its end. It may have ended when this returns. */
int farewell_begin(struct containers *set, const json_t *saved, const char *why);

/* Its memory is there, or cannot be had: it ends. */
void farewell_end(struct container *c);
