/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the operator socket: a Varlink server on sd-event that knows who asks before it reads.
 *
 * Nobody is let in until the containers of an earlier broker are known again (server_open): until then
 * a process of theirs could not be told from the host's, and an answer would leave them out.
 *
 * A connection is identified once, at accept: SO_PEERPIDFD where there is one, SO_PEERCRED, the
 * pidfd alive and agreeing, mount, pid and user namespaces the host's own and the cgroup not a
 * registered container's (a container that got at the socket is refused by this, not only by the
 * file's mode). uid 0 may call everything, members of group `coffer` (primary or supplementary, by
 * SO_PEERGROUPS) what the table allows, nobody else anything.
 *
 * Limits: SERVER_MESSAGE_MAX a message, SERVER_CONNECTIONS_MAX connections (SERVER_UID_MAX for each
 * uid other than 0), a half message older than SERVER_PATIENCE_S ends its connection,
 * SERVER_OUTPUT_MAX bytes may wait for a slow reader. One call at a time on a connection: further
 * ones wait in the socket.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker.h"
#include "coffer/varlink.h"

/* a value of 1 MiB is 1.4 MB of base64; several come as memfds */
#define SERVER_MESSAGE_MAX (4u * 1024 * 1024)
#define SERVER_CONNECTIONS_MAX 1024
#define SERVER_UID_MAX 64
#define SERVER_PATIENCE_S 30
#define SERVER_OUTPUT_MAX (8u * 1024 * 1024)
#define SERVER_FDS_MAX 128

enum who {
	WHO_GROUP = 1,
	WHO_ROOT = 2
}; /* WHO_GROUP: uid 0 and group coffer; WHO_ROOT: uid 0 only */

struct call; /* one call that has not been answered; reference counted */

typedef int (*method_handler)(struct broker *b, struct call *call, json_t *parameters,
                              struct err *e);

/*
 * A handler answers (now, or later after call_ref) or returns a negative errno with a sentence in
 * `e`; the server then sends the Varlink error that belongs to the errno (server.c has the table:
 * -ENOENT NotFound, -EEXIST Exists, -EAGAIN Conflict, -EINVAL Invalid, -EPERM Denied, -ENOKEY
 * Sealed, -EKEYREJECTED WrongKey, -ESTALE Rollback, -EBADMSG Damaged, -ENOSPC NoSpace, -EBUSY Busy,
 * else Internal), with {"message": sentence}.
 */
struct method {
	const char *name; /* without the interface: "Put" */
	enum who who;
	const char *const
		*parameters; /* the names it knows, NULL-terminated; any other is Invalid */
	bool stream;         /* may be called with "more" */
	method_handler handler;
};

struct server;
int server_new(struct broker *b, int listen_fd, struct server **ret,
               struct err *e); /* takes listen_fd */
void server_open(
	struct server *s); /* NULL: there is none yet, and it will be open when it is made */
void server_free(struct server *s);

struct call *call_ref(struct call *c);
void call_unref(struct call *c);
bool call_gone(const struct call *c); /* its connection has ended: an answer goes nowhere */
bool call_wants_more(const struct call *c);

/* Called once when the connection ends before the last reply; for streams. */
void call_on_gone(struct call *c, void (*gone)(void *arg), void *arg);

/* Called once when its connection ends, also after the last reply: for what is left on the way to a
 * next call. One for a connection: the one before is called now. */
void call_on_hangup(struct call *c, void (*hangup)(void *arg), void *arg);

/*
 * Streams: called from the loop each time everything that was sent has left for the client, until
 * the last reply. Send the next part from it, and the loop is never held and the queue never long.
 * call_backlog: bytes that wait.
 */
void call_on_drained(struct call *c, void (*drained)(void *arg), void *arg);
size_t call_backlog(const struct call *c);

/* The name or field that the call is about, for the "what", "name" or "field" of an error. Copied
 * and escaped. */
void call_about(struct call *c, const char *what);

/* Who asks, for audit records: fills "uid", "pid" and "by" (the method) into `fields`. */
void call_describe(const struct call *c, json_t *fields);
uid_t call_uid(const struct call *c);

/* The descriptor at an index of the message's; borrowed. -1 if there is none. */
int call_fd(const struct call *c, int64_t index);

/* Answers take `parameters` over (NULL: empty). A reply with `continues` may be followed by others.
 */
int call_reply(struct call *c, json_t *parameters);
int call_reply_more(struct call *c, json_t *parameters);
int call_reply_fds(struct call *c, json_t *parameters, const int *fds,
                   size_t nfds); /* fds stay the caller's */
int call_error(struct call *c, const char *error, json_t *parameters);
int call_fail(struct call *c, int code,
              const struct err *e); /* as if the handler had returned it */
