/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_pending.h - registrations left for a broker that is away or sealed: RUNTIME/pending.
 *
 * One file for each container, named by a hash of its id (ids may hold '/'), put in place whole:
 *
 *	{"id":…,"pid":…,"start_time":…,"bundle":…,"time":…}
 *
 * pid and start_time (/proc/PID/stat, field 22) name one process for good, so that a file that
 * outlives its container registers nobody. The folder is root's alone; one that is not is refused.
 */
#pragma once

#include "coffer/err.h"
#include "hook_state.h"

/* 0, or -errno with a sentence: nothing was left. -ESRCH: the container's process is gone. */
int hook_pending_write(const char *runtime_dir, const struct hook_state *s, struct err *e);

/* The container has ended: take away what was left for it. Nothing there is fine. */
int hook_pending_remove(const char *runtime_dir, const struct hook_state *s, struct err *e);
