/* SPDX-License-Identifier: Apache-2.0 */
/*
 * react.h - what the two kinds of reaction share. Private to attach/.
 */
#pragma once

#include "attach/attach.h"
#include "coffer/attach_proto.h"
#include "coffer/err.h"
#include "enter/enter.h"

enum { REACT_PIDFD, REACT_MNT, REACT_PID, REACT_USER }; /* order of the descriptors */

struct reaction_request {
	struct ar_react fixed;
	const int *fds;              /* the request's: see above */
	int sock;                    /* to the broker: its end is the end of the reaction */
	char texts[ENTER_TEXTS_MAX]; /* COFFER_ROTATED=…, then the words, each with its NUL */
	uint32_t len;
};

/* The pid is the registered process's, and it lives. */
int react_check_process(const struct reaction_request *q, struct err *e);

/* Run the program inside and wait for it. *ret: its wait status. */
int react_exec(const struct reaction_request *q, const struct attach_config *config, uint32_t *ret,
               struct err *e);
