/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - the broker's end of one worker process: its channel, kept in order and bounded, and
 * its end.
 *
 * Records wait in a queue when the socket is full, so that the loop never blocks on a worker. A
 * record that a worker may not send, or a queue longer than WORKER_QUEUE_MAX, ends it.
 */
#pragma once

#include "broker.h"
#include "coffer/record.h"
#include "coffer/worker_proto.h"

#define WORKER_QUEUE_MAX 8192 /* records: two full trees */

struct worker;

/* `record` NULL: it has ended (any reason); the worker is freed when the handler returns. */
typedef void (*worker_handler)(void *arg, struct record *record);

/* Starts one; records may be sent at once. */
int worker_new(struct broker *b, worker_handler handler, void *arg, struct worker **ret);

/*
 * Take up one that an earlier broker left: `sock` (taken over on success) is connected to it, pid and
 * start time are what that broker wrote down. -ESRCH: it has ended.
 */
int worker_adopt(struct broker *b, int sock, pid_t pid, uint64_t start_time, worker_handler handler,
                 void *arg, struct worker **ret);

/* 0, or -errno; fds are duplicated if the record has to wait. */
int worker_send(struct worker *w, uint16_t type, const void *payload, size_t len, const void *tail,
                size_t tail_len, const int *fds, size_t nfds);

pid_t worker_pid(const struct worker *w);           /* 0 until it runs */
uint64_t worker_start_time(const struct worker *w); /* with the pid, one process */

/* It has said something that the loop has not come to. */
bool worker_has_news(const struct worker *w);

/* End it (SIGKILL through its pidfd) and free; no handler is called. NULL is fine. */
void worker_stop(struct worker *w);

/* End it, and hear of its end through the handler: then it is dead, and has let go of everything. */
void worker_kill(struct worker *w);

/* Let go of it without ending it: the broker leaves, the worker goes on serving. NULL is fine. */
void worker_release(struct worker *w);
