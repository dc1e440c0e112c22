/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h - a copy of a store becomes the store of a broker that has none.
 *
 * In two steps, so that the broker reads nothing but its own folder, however large and slow the
 * backup is: the client gets a file in the state folder to write to, closes it when it is on the
 * disk, and asks for it to be taken. What is there is looked at before anything is changed. Killed
 * at any moment the broker comes back with no store, or with the whole one.
 *
 * It comes sealed; unsealing checks it against its keys, and against the audit log's head. With a
 * keyfile of its own the broker tries that at once.
 */
#pragma once

#include "broker.h"
#include "server/server.h"

struct restore_request {
	int64_t size;        /* of the copy, to the byte */
	const char *created; /* what the backup says of itself, for the record; may be NULL */
	int64_t log_seq;     /* of the audit log's head that came with it; 0 for none */
	const char *log_hash;
	json_t *who; /* the caller; taken over */
};

/* Remove a half copy that is left. */
int restore_clear(struct broker *b, struct err *e);

/*
 * A descriptor to write to. -EEXIST: there is a store. An earlier half of one is thrown away, and
 * this one when the call's connection ends before it was taken.
 */
int restore_open(struct broker *b, struct call *call, struct err *e);

/*
 * Take what was written. -EEXIST; -ENOENT nothing was; -EBUSY it is still being written; -EBADMSG,
 * -EPROTONOSUPPORT it is no store that we read. *reason: why the broker's own keyfile did not open
 * it, else "".
 */
int restore_install(struct broker *b, struct restore_request *want, uint64_t *ret_epoch,
                    struct err *reason, struct err *e);
