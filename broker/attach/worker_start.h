/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_start.h - start cofferfs as what it is to be: unprivileged, alone in its session, with one
 * descriptor.
 */
#pragma once

#include "attach/attach.h"
#include "coffer/err.h"

/*
 * Fork and exec config->worker_path with `channel` as WORKER_CHANNEL_FD; `first` is called in the
 * child before all else. Returns 0 and the pid once the worker's program runs, or -errno (a failed
 * exec too).
 */
int worker_start(const struct attach_config *config, int channel, void (*first)(void), pid_t *ret,
                 struct err *e);
