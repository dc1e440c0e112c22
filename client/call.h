/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - a conversation with the broker over its operator socket: one call at a time, with
 * descriptors beside the messages, answers in one piece or in a stream.
 *
 * Values and keys never travel inside the JSON here, only in sealed memfds beside it, so that no
 * parser copies them.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"

#define CALL_TIMEOUT_MS 60000 /* changes settle within 5 s, an attach within some seconds more */
#define CALL_FOREVER (-1)
#define CALL_MESSAGE_MAX (64u * 1024 * 1024) /* the listing of thousands of containers */

struct call;

struct call_request {
	const char *method; /* without its interface: "Put" */
	json_t *parameters; /* borrowed; NULL: none */
	bool more;          /* answers may come in a stream */
	const int *fds;     /* borrowed */
	size_t nfds;
};

/*
 * Connect to RUNTIME/operator.sock. Every step of the conversation may take `timeout_ms`. -ENOENT
 * and -ECONNREFUSED: no broker; -EACCES; -ETIMEDOUT: it does not take the connection. -EPERM:
 * whoever listens there is neither root nor ourselves, so it gets nothing from us.
 */
int call_open(const char *runtime_dir, int timeout_ms, struct call **ret, struct err *e);

/*
 * A conversation over a connected stream socket, which is taken over (also on failure: NULL
 * without memory).
 */
struct call *call_adopt(int sock, int timeout_ms);
void call_free(struct call *c);
void call_free_ptr(struct call **c);
void call_set_timeout(struct call *c, int timeout_ms); /* CALL_FOREVER: none */

/* `tick` is called some ten times a second while the broker is waited for (NULL: it is not). */
void call_set_tick(struct call *c, void (*tick)(void *), void *arg);

/* Send a question. Descriptors that came with earlier answers and were not taken are closed. */
int call_send(struct call *c, const struct call_request *request, struct err *e);

/*
 * The next answer: 0 with its parameters (caller decrefs) and whether others follow. A Varlink
 * error is the errno that belongs to it (call_error names it), its message the sentence.
 * -ETIMEDOUT; -ECONNRESET: the broker hung up; -EBADMSG: it spoke no Varlink.
 */
int call_next(struct call *c, json_t **ret, bool *continues, struct err *e);

/* call_send and the only answer to it. */
int call_once(struct call *c, const struct call_request *request, json_t **ret, struct err *e);

/* The Varlink error of the last answer, without its interface ("Sealed"); NULL if it was none. */
const char *call_error(const struct call *c);

/*
 * The descriptor that an answer names by its index: the caller's from now on. -1 if there is
 * none.
 */
int call_take_fd(struct call *c, int64_t index);
