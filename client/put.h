/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put.h - one transaction of values on its way to the broker: each in a sealed memfd, looked at for
 * what was hardly meant (lint.h) before it leaves.
 */
#pragma once

#include <jansson.h>

#include "client.h"
#include "coffer/secret.h"
#include "coffer/times.h"

#define PUT_NAMES_MAX 128 /* what the broker takes in one transaction */

struct put {
	json_t *items;
	const char *expires; /* borrowed from expires_text, or NULL */
	char expires_text[TIMES_TEXT_MAX];
	json_t *labels;
	bool has_if_version;
	int64_t wait_ms; /* --wait-adopted */
	int64_t if_version;
	int fds[PUT_NAMES_MAX];
	size_t nfds;
	struct lint *lint;
	bool check;   /* --check */
	json_t *said; /* warnings, printed when all is stored; with --check at once */
	size_t warnings;
};

/* Zeroed before; what the options say of every value. 0, -errno or CLIENT_USAGE. */
int put_begin(struct put *p, const struct options *o, struct err *e);
void put_clear(struct put *p);

/*
 * One more value, which is consumed; at most PUT_NAMES_MAX. The name is borrowed until put_clear.
 * Warnings go to stderr.
 */
int put_add(struct put *p, const char *name, struct secret **value, struct err *e);

/*
 * When all are added: warnings that go for several of them. With --check also what is stored beside
 * them is read and held against them, and -EINVAL says that there was a warning.
 */
int put_check(const struct client *c, struct put *p, struct err *e);
int put_check_beside(const struct client *c, struct put *p, struct err *e); /* put_beside.c */
void put_warn(void *put, const char *sentence); /* a cert_say: counts, and keeps or prints */

/* Store all of them; the caller decrefs the answer. */
int put_send(const struct client *c, const struct put *p, json_t **ret_reply, struct err *e);

/* Print names and versions; who has not opened them in time the caller tells (client_adopted). */
int put_print(const struct client *c, const json_t *reply, struct err *e);

/* verb_put_folder.c: `put --from-dir`. */
int put_folder(struct client *c, const struct options *o, struct err *e);
