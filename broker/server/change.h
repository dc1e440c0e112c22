/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.h - what every change has in common: its record is on disk before the answer, and the
 * answer waits until the containers show it.
 */
#pragma once

#include "flow/containers.h"
#include "server/server.h"

/*
 * Record something that was done, with who asked for it, and write it out. `fields` is taken over.
 * Where the record cannot be written the error says that the change itself stands.
 */
int change_record(struct broker *b, struct call *call, const char *event, json_t *fields,
                  struct err *e);

/* The two halves of it, for a change of several names: one record each, written out together. */
int change_add(struct broker *b, struct call *call, const char *event, json_t *fields,
               struct err *e);
int change_flush(struct broker *b, struct err *e);

/*
 * Bring the containers up to date, then answer `reply` (taken over) with "lagging" added. The call
 * is answered later; a handler returns what this returns.
 */
int change_settle(struct broker *b, struct call *call, json_t *reply, struct err *e);

/*
 * The same, and then wait until every reader has opened what was stored, at most `wait_ms` from now
 * in all; "unadopted" names those that have not. 0: as change_settle. Items are copied, their names
 * are not: they live as long as the call.
 */
int change_settle_adopted(struct broker *b, struct call *call, json_t *reply,
                          const struct uptake_item *items, size_t n, int64_t wait_ms,
                          struct err *e);
