/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.h - the two listening sockets: from the service manager if it made them (descriptor names
 * "operator" and "workload"), else made here.
 *
 *	RUNTIME/operator.sock    0660 root:coffer (root alone where there is no such group)
 *	RUNTIME/workload/sock    0666: who calls is told by the kernel, not by the file's mode
 *
 * A socket file that is there belongs to a broker that is gone, since RUNTIME/lock is ours: a new
 * one is made beside it and takes its name in one step, so that a client finds the old or the new,
 * never none.
 */
#pragma once

#include "broker.h"

struct sockets {
	int operator_fd, workload_fd; /* listening, owned */
};

/* 0 or -errno. Needs b->config and b->runtime_fd. */
int sockets_open(struct broker *b, struct sockets *ret, struct err *e);
void sockets_close(struct sockets *s);
