/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.h - one connection of the operator socket: bytes in, answers out. Private to server/.
 *
 *	socket ──► in (buffer) ──► one call ──► its answers ──► out (queue) ──► socket
 *
 * While a call waits for its answer nothing is read, so that a client's further calls wait in
 * the socket. A client that has shut down its writing side still gets its answer. An ended
 * connection is taken off at once (no event, no call reaches it) and freed by the server's
 * reaper, so that it may end in the middle of its own handlers.
 *
 * Descriptors belong to the message that completes next after they came; a client that sends
 * descriptors waits for the answer before its next message, as ours does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "server/peer.h"
#include "server/refusals.h"
#include "server/server.h"

/* Bytes of half messages that all connections together may hold (in locked memory), and descriptors
 * likewise. */
#define SERVER_INPUT_TOTAL (64u * 1024 * 1024)
#define SERVER_FDS_TOTAL 4096

/* A message on its way out. */
struct output {
	struct output *next;
	char *text; /* json_text_free */
	size_t len, sent;
	int *fds; /* owned; go with the first byte */
	size_t nfds;
};

struct connection {
	struct server *server;
	struct connection *prev, *next; /* in the server's list, the newest first */
	int fd;
	struct peer peer;
	bool root; /* uid 0; else a member of the operators' group */
	sd_event_source *io, *again, *patience;
	struct varlink_buffer *in;
	size_t in_len; /* bytes in `in` that are no whole message yet */
	int fds[SERVER_FDS_MAX];
	size_t nfds;
	struct output *out, *out_last;
	size_t out_len;
	struct call *call;         /* the one that waits for its answer */
	void (*hangup)(void *arg); /* call_on_hangup; may be NULL */
	void *hangup_arg;
	bool eof;     /* the client writes no more */
	bool closing; /* end once `out` is empty */
	bool ended;
};

struct server {
	struct broker *b;
	int listen_fd;
	sd_event_source *listen, *listen_again, *reaper;
	struct peer_home home;
	gid_t group;
	bool has_group;
	struct connection *first, *last; /* live ones */
	struct connection *dead;         /* for the reaper */
	size_t connections;
	size_t input_total, fds_total;
	struct refusals *refusals;
};

/* connection.c; takes fd and peer over, also on failure. */
int connection_new(struct server *s, int fd, struct peer *peer, bool root, struct err *e);
void connection_end(struct connection *c);
void connection_on_hangup(struct connection *c, void (*hangup)(void *arg), void *arg);
void connection_free(struct connection *c); /* the reaper's */

/* Queue a message (both taken over; fds are duplicates). Ends the connection where it would exceed
 * SERVER_OUTPUT_MAX. */
int connection_send(struct connection *c, char *text, int *fds, size_t nfds);
/* No call waits any more: go on with what the client sent meanwhile. */
void connection_idle(struct connection *c);
/* Send this varlink error and end. */
void connection_give_up(struct connection *c, const char *error, const char *message);

/* call.c: take one message apart and have it answered; takes the connection's descriptors. */
void call_dispatch(struct connection *c, const char *text, size_t len);
void call_abandon(struct call *call); /* its connection ends */
void call_output_drained(struct call *call);

/* server.c: bookkeeping of a connection that ended. */
void server_forget(struct server *s, struct connection *c);

/* errors.c: the Varlink error of a negative errno, without the interface. Pure. */
const char *errors_name(int code, enum vault_state state);
json_t *errors_parameters(const char *name, const char *about, const char *message);

/* service.c: org.varlink.service. Answers. */
void service_call(struct call *call, const char *method, const json_t *parameters);
