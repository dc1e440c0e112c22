/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation.h - one conversation with one attacher: a short-lived child that does one thing to one
 * container.
 *
 * The child hangs where the container hangs it (a folder's lock held by a reader, a frozen file
 * system); nobody else waits for it. After `limit_s` the asker is told once (OPERATION_SLOW) and
 * the child killed; a child that even SIGKILL does not end (uninterruptible sleep in the
 * container's file system) stays the only one of its container, because the operation ends for its
 * owner only when the child is gone.
 */
#pragma once

#include "broker.h"
#include "coffer/attach_proto.h"
#include "coffer/record.h"

struct operation;

enum operation_event {
	OPERATION_RECORD, /* a record came: EXISTING (more to come) or the last one */
	OPERATION_FAILED, /* it failed; `error` and `why` say how. The last event. */
	OPERATION_SLOW, /* over its time; the child is being killed; FAILED comes when it is gone */
};

struct operation_news {
	enum operation_event event;
	struct record *record; /* OPERATION_RECORD */
	int error;             /* negative errno */
	struct err why;
};

/* Called from the loop. After a last event the operation is freed when the handler returns. */
typedef void (*operation_handler)(void *arg, struct operation_news *news);

struct operation_request {
	uint16_t type; /* AR_INSPECT, AR_MOUNT, … */
	const void *payload;
	size_t len;
	const void *tail;
	size_t tail_len;
	const int *fds; /* stay the caller's */
	size_t nfds;
	unsigned int limit_s;
};
int operation_start(struct broker *b, const struct operation_request *request,
                    operation_handler handler, void *arg, struct operation **ret);

/* The next record of the conversation (AR_GO). */
int operation_send(struct operation *op, uint16_t type);

/* The child is killed; FAILED comes when it is gone, unless it had its last word before. */
void operation_stop(struct operation *op);

/* The owner is gone: the child is killed, no handler is called any more. NULL is fine. */
void operation_cancel(struct operation *op);
