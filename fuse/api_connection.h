/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_connection.h - what api.c (connections) and api_methods.c (calls) share.
 */
#pragma once

#include "api.h"
#include "coffer/err.h"
#include "coffer/varlink.h"
#include "worker.h"

struct api_connection {
	struct api *api;
	int fd;
	int pidfd; /* of who connected; -1: not known */
	uint64_t id;
	uint32_t uid, pid;
	struct varlink_buffer *in;
	size_t pending; /* bytes received that belong to no whole message yet, or to one not handled
	                 */
	char *out;      /* the answer under way, of secret_malloc; NULL: none */
	size_t out_len, out_sent;
	int64_t since;     /* boot time at which `pending` or `out` began to wait */
	int64_t tokens_ns; /* calls not used yet, each worth a second / rate */
	int64_t tokens_at;
	bool attaching; /* waits for ATTACH_RESULT */
	bool oneway;    /* of the call under way */
	bool closing;   /* after the answer */
};

struct api {
	struct worker *w;
	uint32_t rate;
	size_t max, count;
	size_t attaching; /* ATTACHes without result, also of connections closed since */
	struct api_connection *connection[API_CONNECTIONS_MAX];
};

/*
 * One whole message: answers with api_reply or api_error, or asks the broker. 0, or -errno when
 * the connection can't go on (no memory).
 */
int api_call(struct api_connection *c, const char *text, size_t len);

/*
 * Queue an answer. `parameters` (may be NULL) are consumed. 0 or -ENOMEM. Nothing for a oneway
 * call.
 */
int api_reply(struct api_connection *c, json_t *parameters);
int api_error(struct api_connection *c, const char *error, json_t *parameters);

/* io.coffer.workload's errors with a reason: "Busy", "InvalidMessage", "AttachFailed". */
int api_refuse(struct api_connection *c, const char *error, const char *reason);

/* Queue bytes of secret_malloc, taken over; the NUL at the end counts in `len`. */
void api_send(struct api_connection *c, char *bytes, size_t len);

/* RING_API_*: 0, or -EIO as audit_put. `n` and `text` may be NULL. */
int api_audit(const struct api_connection *c, enum ring_event event, int result,
              const struct tree_node *n, const char *text);
