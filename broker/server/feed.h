/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed.h - what happens to secrets, told to those who watch (the method Watch).
 *
 * An event is noted when the change is durable, and told when every container shows it, or after
 * CONTAINERS_SETTLE_S all the same: in the order of the changes, each once. An expiry is an event
 * too, at its time by the vault's clock; a timer of our own sees to that while somebody watches.
 *
 * Events that a reader has not taken yet wait for it, at most FEED_QUEUE_MAX; then it is cut off,
 * and nobody else is held up. Sealing ends every reader: without names there is nothing to tell.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker.h"

#define FEED_READERS_MAX 256 /* each costs a comparison for every change */
#define FEED_UID_MAX 32      /* for each uid other than 0 */
#define FEED_QUEUE_MAX 4096  /* events that wait for one reader: some 32 full transactions */

enum feed_kind { FEED_NOW, FEED_READY, FEED_PUT, FEED_REMOVE, FEED_EXPIRE };

int feed_new(struct broker *b, struct feed **ret, struct err *e);
void feed_free(struct feed *f); /* NULL is fine; no reader is left */

/* Something was done, and is durable. */
void feed_note(struct feed *f, enum feed_kind kind, const char *name, uint64_t version);

/* How far the notes go; everything up to a position may be told. */
uint64_t feed_position(const struct feed *f);
void feed_shown(struct feed *f, uint64_t position);

/* Bring the containers up to date, and tell what is noted when that is done. */
void feed_show(struct feed *f);

void feed_sealed(struct feed *f);

/*
 * A reader. `pattern`: a name, a prefix that ends in '/', or NULL for everything; copied. `wake` is
 * called, from anywhere, when there is something to take. It lists first: events of a name come only
 * once feed_listed has said that the list has passed it (NULL: all names). -EBUSY, -ENOMEM.
 */
struct feed_reader;
int feed_open(struct feed *f, uid_t uid, const char *pattern, void (*wake)(void *arg), void *arg,
              struct feed_reader **ret, struct err *e);
void feed_close(struct feed_reader *r);
const char *feed_pattern(const struct feed_reader *r);
bool feed_matches(const char *pattern, const char *name);
int feed_listed(struct feed_reader *r, const char *up_to);

/*
 * The next event that may be told: 1, 0 if there is none now, -EBUSY cut off, -ENOKEY sealed.
 * *ret_name is the caller's to free.
 */
int feed_next(struct feed_reader *r, enum feed_kind *ret_kind, char **ret_name,
              uint64_t *ret_version, struct err *e);
