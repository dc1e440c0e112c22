/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - the private protocol between our own processes: fixed-layout records over
 * SOCK_SEQPACKET.
 *
 *	+------------+----------+----------+------------+---------------------+
 *	| magic u32  | type u16 | nfds u16 | serial u64 | payload, len bytes… |
 *	+------------+----------+----------+------------+---------------------+
 *
 * Numbers are in native byte order: both ends are on one host.
 *
 * One record is one message; descriptors travel beside it. A receiver treats the other side as
 * hostile: a record of unknown type, wrong size, or with more or fewer descriptors than its type has
 * ends the sender. Payload types are plain structs (worker_proto.h, attach_proto.h); text behind a
 * struct is counted, not NUL-terminated.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"

#define RECORD_MAGIC 0x43464652u /* "CFFR" */
/* below the default socket buffer (212,992) so that a few always fit */
#define RECORD_PAYLOAD_MAX 60000
#define RECORD_FDS_MAX 16 /* the widest record (mount facts) has 5 */

struct record_header {
	uint32_t magic;
	uint16_t type;
	uint16_t nfds;
	uint64_t serial; /* an answer carries its question's */
};

struct record {
	uint16_t type;
	uint64_t serial;
	size_t len; /* of payload */
	size_t nfds;
	int fds[RECORD_FDS_MAX]; /* owned by the record until taken: set to -1 what you take */
	unsigned char payload[RECORD_PAYLOAD_MAX] __attribute__((aligned(16)));
};

/*
 * Send one record of up to two payload parts (`tail` may be NULL). Descriptors stay the caller's.
 * Blocks only if the socket does; -EAGAIN on a full non-blocking one. 0 or -errno.
 */
int record_send(int sock, uint16_t type, uint64_t serial, const void *payload, size_t len,
                const void *tail, size_t tail_len, const int *fds, size_t nfds);

/*
 * Receive one record into `r`. 1 for a record, 0 at end of stream, -EAGAIN, -EBADMSG for what is no
 * record (its descriptors are closed), else -errno. `r->fds` must be released with
 * record_close_fds.
 */
int record_recv(int sock, struct record *r);

/* Close the descriptors not yet taken. */
void record_close_fds(struct record *r);

/*
 * The counted text at `*offset` of the payload: u16 length, then bytes without NUL, at most `size -
 * 1`. Copied with a NUL into `buffer`; `*offset` moves on. 0 or -EBADMSG.
 */
int record_get_text(const struct record *r, size_t *offset, char *buffer, size_t size);

/* Append a counted text to a growing payload. 0, or -EMSGSIZE when it does not fit. */
int record_put_text(unsigned char *payload, size_t size, size_t *offset, const char *text);
