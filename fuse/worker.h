/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - one worker: what it holds, and its loop. Flow: owns all state, calls the modules.
 *
 * One thread, one poll(2) over the channel, /dev/fuse and the workload connections. Nothing in it
 * blocks. It lives as long as it has a channel or a mount: with the channel's end it goes on
 * serving the mount.
 */
#pragma once

#include <stdbool.h>

#include "audit.h"
#include "caller.h"
#include "change.h"
#include "channel.h"
#include "device.h"
#include "tree.h"

#define WORKER_TEXT_SIZE 256 /* container name, runtime: longer names are no engine's */
#define WORKER_PATH_SIZE 4096

struct api;

struct worker {
	struct channel channel;
	int listen_fd;                /* for the next broker, when this one is gone; -1: none */
	bool adopting;                /* a new channel on which nothing has been said yet */
	int shared_fd, clone_fd;      /* held for the next broker; -1: none */
	struct worker_shared *shared; /* NULL until HELLO */
	size_t shared_size;
	struct audit audit;
	struct callers callers;
	struct tree *tree;
	struct change change;
	uint64_t generation;   /* of the sets' files: the current one */
	uint8_t finished[16];  /* token of the last change that was finished */
	int change_error;      /* of a STAGE; PREPARED carries it */
	struct device *device; /* NULL: no mount */
	struct api *api;       /* NULL until HELLO */
	uint64_t statfs_files;
	uint8_t instance[16];
	char container[WORKER_TEXT_SIZE], runtime[WORKER_TEXT_SIZE];
	char folder[WORKER_PATH_SIZE];
};

/* `channel` is taken over in any case. 0 or -errno. */
int worker_new(int channel, struct worker **ret);
void worker_free(struct worker *w); /* NULL is fine */

/*
 * Until nothing is left to serve: 0; or -errno when the broker broke the protocol or the OS failed.
 */
int worker_run(struct worker *w);

/* The whole program behind main(): sandbox, worker, loop. Returns the exit status. */
int worker_main(int channel);
