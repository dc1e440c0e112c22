/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusals.h - audit records of connections that were refused, folded so that a loop of them fills
 * no disk.
 *
 * The first refusal of a (uid, cgroup) is recorded at once; what it does in the second after that
 * is counted and recorded as one line with "count". Beyond REFUSALS_MAX peers at one time the rest
 * share one line.
 */
#pragma once

#include "broker.h"
#include "server/peer.h"

#define REFUSALS_MAX 64
#define REFUSALS_FOLD_US (1000 * 1000)

struct refusals;
/* `event`: the records' name in the audit log; not copied. */
struct refusals *refusals_new(struct broker *b, const char *event);
void refusals_free(struct refusals *r); /* records what is still folded */

/* `peer` may be half known: pid, uid and cgroup as far as they are. */
void refusals_add(struct refusals *r, const struct peer *peer, const char *reason);
