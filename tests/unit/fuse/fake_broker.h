/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_broker.h - the broker's side of the channel, for tests: shared memory, a worker in a child
 * process, records.
 *
 * Whatever goes wrong fails the test. Answers are waited for by poll(2), at most FAKE_WAIT_MS.
 */
#pragma once

#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "coffer/cleanup.h"
#include "coffer/record.h"
#include "coffer/ring.h"
#include "coffer/secret.h"
#include "coffer/worker_proto.h"
#include "worker.h"

#define FAKE_WAIT_MS 20000

struct fake_broker {
	int channel, shared_fd, wake;
	struct worker_shared *shared;
	struct ring *ring;
	pid_t worker;
	uint64_t serial;
	struct record answer;
};

static inline void fake_must(bool ok, const char *what)
{
	ck_assert_msg(ok, "%s: %s", what, strerror(errno));
}

static inline void fake_init(struct fake_broker *b)
{
	const size_t size = sizeof(struct worker_shared) + ring_size();
	struct err why;

	memset(b, 0, sizeof(*b));
	fake_must(secret_process_init(&why) == 0, "secret_process_init");
	b->channel = -1;
	b->shared_fd = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fake_must(b->shared_fd >= 0 && ftruncate(b->shared_fd, (off_t)size) == 0, "shared memory");
	fake_must(fcntl(b->shared_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0, "seals");
	b->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, b->shared_fd, 0);
	fake_must(b->shared != MAP_FAILED, "mmap");
	b->shared->magic = WORKER_SHARED_MAGIC;
	b->shared->layout = WORKER_SHARED_LAYOUT;
	b->ring = ring_format(b->shared->ring);
	b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_must(b->wake >= 0, "eventfd");
}

/* A new worker process with a new channel; the shared memory stays. */
static inline void fake_start(struct fake_broker *b)
{
	int pair[2];

	fake_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	b->channel = pair[0];
	b->worker = fork();
	fake_must(b->worker >= 0, "fork");
	if (b->worker == 0)
		_exit(worker_main(pair[1]));
	close(pair[1]);
}

/* How the worker ended: its exit status, or 128 + signal. */
static inline int fake_wait(struct fake_broker *b)
{
	int status;

	fake_must(waitpid(b->worker, &status, 0) == b->worker, "waitpid");
	b->worker = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void fake_kill(struct fake_broker *b)
{
	fake_must(kill(b->worker, SIGKILL) == 0, "kill");
	ck_assert_int_eq(fake_wait(b), 128 + SIGKILL);
	b->channel = fd_close(b->channel);
}

static inline void fake_end(struct fake_broker *b)
{
	if (b->worker > 0)
		fake_kill(b);
	fd_close(b->channel);
	fd_close(b->shared_fd);
	fd_close(b->wake);
	munmap(b->shared, sizeof(struct worker_shared) + ring_size());
}

static inline void fake_send_raw(struct fake_broker *b, uint16_t type, const void *payload,
                                 size_t len, const int *fds, size_t nfds)
{
	int r = record_send(b->channel, type, ++b->serial, payload, len, NULL, 0, fds, nfds);

	ck_assert_msg(r == 0, "record %u: %s", type, strerror(-r));
}

static inline void fake_send(struct fake_broker *b, uint16_t type, const void *payload, size_t len)
{
	fake_send_raw(b, type, payload, len, NULL, 0);
}

/* A payload and counted texts behind it. */
static inline void fake_send_texts(struct fake_broker *b, uint16_t type, const void *payload,
                                   size_t len, const char *const *texts, int fd)
{
	static unsigned char bytes[RECORD_PAYLOAD_MAX];
	size_t at = len;

	memcpy(bytes, payload, len);
	for (; *texts; texts++)
		ck_assert_int_eq(record_put_text(bytes, sizeof(bytes), &at, *texts), 0);
	fake_send_raw(b, type, bytes, at, &fd, fd >= 0 ? 1 : 0);
}

/* The next record, which must be of that type; RELEASED is passed over unless asked for. */
static inline const void *fake_expect(struct fake_broker *b, uint16_t type)
{
	for (;;) {
		struct pollfd fd = { .fd = b->channel, .events = POLLIN };
		int r;

		ck_assert_msg(poll(&fd, 1, FAKE_WAIT_MS) == 1, "no answer of type %u", type);
		r = record_recv(b->channel, &b->answer);
		ck_assert_msg(r == 1, "no answer of type %u: %s", type,
		              r == 0 ? "the worker has ended" : strerror(-r));
		if (b->answer.type != WR_RELEASED || type == WR_RELEASED)
			break;
	}
	ck_assert_uint_eq(b->answer.type, type);
	return b->answer.payload;
}

static inline int fake_result(struct fake_broker *b, uint16_t type)
{
	const struct wr_result *result = fake_expect(b, type);

	ck_assert_uint_eq(b->answer.serial, b->serial);
	return result->result;
}

static inline void fake_hello(struct fake_broker *b, uint32_t flags)
{
	const struct wr_hello hello = {
		.proto = WORKER_PROTO,
		.flags = flags,
		.instance = { 0xab, 0xcd },
		.connections_max = 2,
		.calls_per_second = 5,
	};
	static const char *const texts[] = { "web", "runc", "/run/secrets" };
	const int fds[] = { b->shared_fd, b->wake };
	unsigned char bytes[512];
	size_t at = sizeof(hello);

	memcpy(bytes, &hello, sizeof(hello));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_int_eq(record_put_text(bytes, sizeof(bytes), &at, texts[i]), 0);
	fake_send_raw(b, WR_HELLO, bytes, at, fds, 2);
	ck_assert_uint_eq(((const struct wr_ready *)fake_expect(b, WR_READY))->proto, WORKER_PROTO);
}

static inline int fake_memfd(const void *bytes, size_t len)
{
	struct secret *s = secret_copy(bytes, len);
	int fd;

	ck_assert_ptr_nonnull(s);
	fd = secret_to_memfd(s);
	secret_free(s);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static inline void fake_node(struct fake_broker *b, uint64_t id, uint64_t parent, uint32_t kind,
                             const char *name, const char *text)
{
	const struct wr_node node = { .node = id, .parent = parent, .kind = kind, .mode = 0755 };
	const char *const texts[] = { name, text, NULL };

	fake_send_texts(b, WR_NODE, &node, sizeof(node), texts, -1);
}

static inline struct wr_node fake_file_node(uint64_t id, uint64_t parent, size_t len)
{
	/*
	 * A version that tests can tell from the id; 2033-05-18T03:33:20Z; expiry of ids below 50.
	 */
	return (struct wr_node){
		.node = id,
		.parent = parent,
		.kind = NODE_FILE,
		.mode = 0444,
		.size = len,
		.version = id * 10,
		.mtime_ns = 2000000000LL * 1000000000,
		.expires_ns = id < 50 ? 2000000000LL * 1000000000 : 0,
	};
}

static inline void fake_file(struct fake_broker *b, uint64_t id, uint64_t parent, const char *name,
                             const char *value)
{
	const struct wr_node node = fake_file_node(id, parent, strlen(value));
	const char *const texts[] = { name, name, NULL };
	SCOPED_FD int fd = fake_memfd(value, strlen(value));

	fake_send_texts(b, WR_NODE, &node, sizeof(node), texts, fd);
}

static inline void fake_root(struct fake_broker *b)
{
	fake_node(b, WORKER_ROOT_NODE, 0, NODE_DIR, "", "");
}

static inline void fake_stage_put(struct fake_broker *b, uint64_t id, uint64_t parent,
                                  const char *name, const char *value)
{
	const struct wr_stage stage = { .kind = STAGE_PUT,
		                        .node = fake_file_node(id, parent, strlen(value)) };
	const char *const texts[] = { name, name, NULL };
	SCOPED_FD int fd = fake_memfd(value, strlen(value));

	fake_send_texts(b, WR_STAGE, &stage, sizeof(stage), texts, fd);
}

static inline void fake_stage(struct fake_broker *b, uint32_t kind, uint64_t id, uint64_t parent,
                              const char *name)
{
	const struct wr_stage stage = {
		.kind = kind,
		.node = { .node = id, .parent = parent, .kind = NODE_DIR, .mode = 0755 }
	};
	const char *const texts[] = { name, "", NULL };

	fake_send_texts(b, WR_STAGE, &stage, sizeof(stage), texts, -1);
}

#define FAKE_STAGING ".coffer-5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"

static inline int fake_prepare(struct fake_broker *b)
{
	struct wr_prepare prepare;

	memset(prepare.token, 0x5a, sizeof(prepare.token));
	fake_send(b, WR_PREPARE, &prepare, sizeof(prepare));
	return fake_result(b, WR_PREPARED);
}

static inline int fake_finish(struct fake_broker *b)
{
	fake_send(b, WR_FINISH, NULL, 0);
	return fake_result(b, WR_FINISHED);
}

static inline int fake_deny(struct fake_broker *b, uint64_t id)
{
	const struct wr_deny deny = { .node = id };

	fake_send(b, WR_DENY, &deny, sizeof(deny));
	return fake_result(b, WR_DENIED);
}

static inline void fake_ping(struct fake_broker *b)
{
	fake_send(b, WR_PING, NULL, 0);
	fake_expect(b, WR_PONG);
	ck_assert_uint_eq(b->answer.serial, b->serial);
}

/*
 * The next audit record of an event; earlier ones of other events are passed over. False if there
 * is none.
 */
static inline bool fake_record(struct fake_broker *b, uint16_t event, struct ring_record *ret)
{
	bool corrupt = false;

	while (ring_take(b->ring, ret, &corrupt) == 1)
		if (ret->event == event)
			return true;
	ck_assert(!corrupt);
	return false;
}
