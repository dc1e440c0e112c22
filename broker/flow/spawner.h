/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawner.h - the broker's end of the key-less half (attach/attach.h is the other).
 *
 * The spawner is forked before any key is read, and only then: a broker that holds keys never
 * forks. Where a service manager has it as a service of its own (spawner_door.h), the broker forks not
 * at all. If the spawner dies nothing can be started any more, so the broker ends too (its manager
 * starts it anew; workers go on serving meanwhile).
 */
#pragma once

#include <sys/types.h>

#include "broker.h"

struct spawner;

/* Connect to it, or fork it. Needs b->config and b->runtime_fd; must come before the event loop, the vault and every key. */
int spawner_start(struct broker *b, struct err *e);

/* Once there is an event loop: watch its answers. */
int spawner_watch(struct broker *b, struct err *e);
void spawner_free(struct spawner *s);

/*
 * Ask for a process that gets `sock` (stays the caller's) as its channel. `done` is called once,
 * from the loop: with pid and pidfd (taken over by it), or with a negative errno in `error` and a
 * sentence in `why`. Returns a serial (positive), or -errno if the request could not be sent.
 */
struct spawned {
	pid_t pid;
	int pidfd;
	int error;
	struct err why;
};
typedef void (*spawner_done)(void *arg, struct spawned *result);
int64_t spawner_ask(struct spawner *s, uint16_t what, int sock, spawner_done done, void *arg);

/* The asker is gone: what still comes for this serial is killed and dropped. */
void spawner_forget(struct spawner *s, int64_t serial);
