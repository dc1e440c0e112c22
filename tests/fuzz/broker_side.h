/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker_side.h - the broker's side of a worker in this process: the memory they share, a channel,
 * and records down it.
 */
#pragma once

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/record.h"
#include "coffer/ring.h"
#include "coffer/secret.h"
#include "coffer/worker_proto.h"
#include "fuzz.h"
#include "worker.h"

struct broker_side {
	int shared_fd, wake, channel;
	struct worker_shared *shared;
	struct ring *ring;
	struct worker *worker;
};

/* What outlives a worker; once. */
static inline void broker_side_init(struct broker_side *b)
{
	const size_t size = sizeof(struct worker_shared) + ring_size();

	b->shared_fd = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(b->shared_fd >= 0 && ftruncate(b->shared_fd, (off_t)size) == 0);
	MUST(fcntl(b->shared_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	b->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, b->shared_fd, 0);
	MUST(b->shared != MAP_FAILED);
	b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	MUST(b->wake >= 0);
}

/* A new worker, with fresh memory. */
static inline void broker_side_start(struct broker_side *b)
{
	int pair[2];

	b->shared->magic = WORKER_SHARED_MAGIC;
	b->shared->layout = WORKER_SHARED_LAYOUT;
	b->shared->init_len = b->shared->recv_len = 0;
	memset(b->shared->ring, 0, (size_t)ring_size());
	b->ring = ring_format(b->shared->ring);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	b->channel = pair[0];
	MUST(worker_new(pair[1], &b->worker) == 0);
}

static inline void broker_side_stop(struct broker_side *b)
{
	worker_free(TAKE_PTR(b->worker));
	b->channel = fd_close(b->channel);
}

/* Send a record and have the worker handle it. Returns what channel_serve does. */
static inline int broker_side_send(struct broker_side *b, uint16_t type, uint64_t serial,
                                   const void *payload, size_t len, const int *fds, size_t nfds)
{
	MUST(record_send(b->channel, type, serial, payload, len, NULL, 0, fds, nfds) == 0);
	return channel_serve(b->worker);
}

/* A struct and counted texts (ended by NULL) behind it. */
static inline int broker_side_send_texts(struct broker_side *b, uint16_t type, const void *payload,
                                         size_t len, const char *const *texts, const int *fds,
                                         size_t nfds)
{
	static unsigned char bytes[RECORD_PAYLOAD_MAX];
	size_t at = len;

	memcpy(bytes, payload, len);
	for (; *texts; texts++)
		MUST(record_put_text(bytes, sizeof(bytes), &at, *texts) == 0);
	return broker_side_send(b, type, 1, bytes, at, fds, nfds);
}

static inline void broker_side_hello(struct broker_side *b)
{
	/* So many calls in a second that a limit never falls together with an input. */
	const struct wr_hello hello = { .proto = WORKER_PROTO,
		                        .connections_max = 4,
		                        .calls_per_second = 1000000000 };
	static const char *const texts[] = { "web", "runc", "/run/secrets", NULL };
	const int fds[] = { b->shared_fd, b->wake };

	MUST(broker_side_send_texts(b, WR_HELLO, &hello, sizeof(hello), texts, fds, 2) == 1);
}

/* An entry of the tree; `value` NULL: no file. */
static inline void broker_side_node(struct broker_side *b, const struct wr_node *node,
                                    const char *name, const char *value)
{
	const char *const texts[] = { name, name, NULL };
	SCOPED_FD int fd = -1;

	if (value) {
		struct secret *s = secret_copy(value, strlen(value));

		MUST(s && (fd = secret_to_memfd(s)) >= 0);
		secret_free(s);
	}
	MUST(broker_side_send_texts(b, WR_NODE, node, sizeof(*node), texts, &fd, value ? 1 : 0) ==
	     1);
}
