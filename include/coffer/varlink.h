/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varlink.h - Varlink messages (https://varlink.org): JSON objects, each ended by one NUL byte,
 * over a stream socket. Pure framing and the shape of calls and replies; who serves what is the
 * server's affair.
 *
 *	call   {"method":"io.coffer.operator.Put","parameters":{…},"more":true?,"oneway":true?}
 *	reply  {"parameters":{…},"continues":true?}
 *	error  {"error":"io.coffer.operator.NotFound","parameters":{…}}
 *
 * One extension, used by our own client only: descriptors beside a message (SCM_RIGHTS), named in
 * its parameters by their index. A peer that sends none sees plain Varlink.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "coffer/err.h"
#include "coffer/json.h"

#define VARLINK_SERVICE "org.varlink.service"

struct varlink_call {
	json_t *message;    /* owned */
	const char *method; /* borrowed from message */
	json_t *parameters; /* borrowed; an empty object if the call had none */
	bool more, oneway;
};

/* Check and take apart one message (without its NUL). -EINVAL with a sentence. */
int varlink_parse_call(const char *text, size_t len, struct varlink_call *ret, struct err *e);
void varlink_call_clear(struct varlink_call *call);

/*
 * A message with its NUL, in wiping memory; free with json_text_free. `parameters` may be NULL
 * (empty) and stays the caller's. NULL without memory.
 */
char *varlink_call_text(const char *method, json_t *parameters, bool more);
char *varlink_reply_text(json_t *parameters, bool continues);
char *varlink_error_text(const char *error, json_t *parameters);

/*
 * Incoming bytes, cut into messages. The buffer grows up to `max` bytes; a longer message is
 * -EMSGSIZE.
 */
struct varlink_buffer;
struct varlink_buffer *varlink_buffer_new(size_t max);
void varlink_buffer_free(struct varlink_buffer *b);
/*
 * Room for the next read: at least 4 KiB unless the message is at its limit (-EMSGSIZE). Take all
 * whole messages out first: they count against the limit. -ENOMEM without (locked) memory.
 */
int varlink_buffer_room(struct varlink_buffer *b, char **ret, size_t *ret_size);
void varlink_buffer_filled(struct varlink_buffer *b, size_t len);
/* The next whole message, valid until the next call on this buffer: 1, or 0 if none is complete. */
int varlink_buffer_next(struct varlink_buffer *b, const char **ret, size_t *ret_len);
