/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folders.h - the two folders of a broker, made if they are missing and refused if others may write
 * in them.
 *
 *	STATE    0700  store, audit log
 *	RUNTIME  0755  operator.sock, lock; workload/ 0755, containers/ 0700, pending/ 0700
 */
#pragma once

#include "coffer/err.h"

#define FOLDER_WORKLOAD "workload"
#define FOLDER_CONTAINERS "containers"
#define FOLDER_PENDING "pending"
#define FOLDER_WORKERS "workers" /* sockets of workers, for the next broker */

/*
 * The folder at `path` as a descriptor, made with `mode` if it is not there (its parent must be).
 * -EPERM: it is not ours or others may write in it; -ENOTDIR; else -errno.
 */
int folders_open(const char *path, unsigned int mode, struct err *e);

/* The folders below RUNTIME. */
int folders_make_runtime(int runtime_fd, const char *path, struct err *e);

/*
 * RUNTIME/lock, held until the descriptor is closed: one broker for each runtime folder. -EBUSY:
 * another cofferd has it.
 */
int folders_lock(int runtime_fd, const char *path, struct err *e);
