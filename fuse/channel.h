/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - the records between broker and worker: which may come when, who handles them, and
 * what goes back.
 *
 * Incoming: one table of {type, size, descriptors, state}. A record that is unknown, comes in the
 * wrong state, has the wrong size or descriptors, or that its handler finds wrong, is an error
 * that ends the worker.
 *
 * Outgoing: sent at once, or kept in a small queue while the socket is full. Nothing here waits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Answers wait here only if the broker asks faster than it reads. Room is kept for them beside
 * RELEASED and ATTACH.
 */
#define CHANNEL_QUEUE_MAX 64
#define CHANNEL_QUEUE_ANSWERS 32
#define CHANNEL_PAYLOAD_MAX 24

struct worker;

struct channel_answer {
	uint64_t serial;
	uint16_t type, len;
	unsigned char payload[CHANNEL_PAYLOAD_MAX];
};

struct channel {
	int fd;                /* owned; -1: the broker is gone */
	struct record *record; /* the one being received */
	struct channel_answer queue[CHANNEL_QUEUE_MAX];
	size_t first, count;
};

/* Takes `fd` over in any case; it is made non-blocking. */
int channel_open(struct channel *c, int fd);
void channel_close(struct channel *c);

/* 0; -ENOBUFS: queue full, where only answers may use its last part; -EPIPE: the broker is gone. */
int channel_send(struct channel *c, uint16_t type, uint64_t serial, const void *payload,
                 size_t len);

/* Send what waits. 0, or -EPIPE when the broker is gone. */
int channel_flush(struct channel *c);

/*
 * Receive and handle one record: 1 done, 0 none there, -EPIPE the broker is gone, else -errno: end
 * the worker.
 */
int channel_serve(struct worker *w);

/* Hand out RELEASED for what nobody can reach any more, as far as the queue takes them. */
void channel_send_released(struct worker *w);
