/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.h - what every change has in common: its record is on disk before the answer, and the
 * answer waits until the containers show it.
 */
#pragma once

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
