/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attacher.h - a short-lived child: one operation on one container, over the socket it was given.
 */
#pragma once

#include <stdint.h>

#include "attach/attach.h"
#include "coffer/err.h"
#include "coffer/record.h"

/* What an operation works with. Handlers take what they need of the record's descriptors. */
struct operation_call {
	int sock;
	const struct attach_config *config;
	struct record *request;
};

/* Read one request, do it, answer. Returns the process's exit status. */
int attacher_main(int sock, const struct attach_config *config);

/* Send FAILED (what cannot be sent is lost: the broker is gone). */
void attacher_failed(int sock, uint64_t serial, int error, const char *why);

/* Send DONE. 0 or -errno. */
int attacher_done(int sock, uint64_t serial, int result, uint32_t steps);

/*
 * The operations. Each sends its own last answer and returns 0; or returns -errno with a sentence,
 * and attacher_main sends FAILED.
 */
int inspect_run(struct operation_call *call, struct err *e);
int mount_run(struct operation_call *call, struct err *e);
int folder_run(struct operation_call *call, struct err *e);
int unmount_run(struct operation_call *call, struct err *e);
int check_run(struct operation_call *call, struct err *e);
int change_run(struct operation_call *call, struct err *e);
int react_run(struct operation_call *call, struct err *e);
