/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fold.h - records out of workers' rings become lines of the log, within a budget for each
 * container.
 *
 * Pure: time comes in, lines go to a sink. A container has two budgets of `budget` lines a minute,
 * one for what was granted and one for what was refused. Within it each record is a line of its
 * own. Beyond it equal records (uid, node, version, event, result) add up here and become one
 * counted line at the next flush (at the end of the minute, or before), so that no container fills the disk for all and no count
 * is lost; a refusal can't be hidden by a flood of opens. FOLD_GROUPS_MAX distinct groups are told
 * apart; what is beyond adds up by event and result alone, marked "mixed".
 *
 * If the sink refuses a line (log full), the record is kept as a count likewise and tried again by
 * the next flush.
 *
 * Counts that wait are in memory only: whoever takes records out of rings keeps them there until the
 * counts have become lines (ring.h, RING_WAITS), so that a killed broker loses none.
 *
 * The record is a hostile worker's: every field is checked or shown as what it is (numbers, escaped
 * text).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "coffer/ring.h"

#define FOLD_WINDOW_NS (60LL * 1000000000)
/* Of one container: so many lines a second beyond its budget at the most, and some 128 KiB. */
#define FOLD_GROUPS_MAX 128

/* Whose record it is, and what its node is. All borrowed for the call. */
struct ring_context {
	const char *instance;  /* the key of the budget; never NULL */
	const char *container; /* may be NULL, as the following */
	const char *runtime;
	const char *name; /* of the secret */
	const char *path; /* below the mount */
};

/* Takes `fields` over. 0, or -errno: the line was not taken. audit_add_at fits, with the log as
 * `arg`. */
typedef int (*audit_fold_sink)(void *arg, int64_t time_ns, const char *event, json_t *fields);

struct audit_fold;

int audit_fold_new(uint64_t budget, audit_fold_sink sink, void *arg, struct audit_fold **ret);
void audit_fold_free(struct audit_fold *f); /* what waits is lost: flush before */

/*
 * One record out of a ring (event 0 too, ring_take's count of gaps). 1: it became a line; 0: it waits;
 * -ENOMEM: it is not kept.
 */
int audit_fold_add(struct audit_fold *f, const struct ring_context *context,
                   const struct ring_record *record, int64_t now_ns);

/*
 * Write the counted lines of windows that are over at `now_ns`; with `all` those still running too
 * (before the log is shown, at the end). 0, or the sink's error: what it did not take waits on.
 */
int audit_fold_flush(struct audit_fold *f, int64_t now_ns, bool all);

/* When the next flush is due (on the clock of now_ns; 0: at once), INT64_MAX if nothing waits. */
int64_t audit_fold_due(const struct audit_fold *f);

/* A container is gone: its counts are written, its budget forgotten. */
void audit_fold_forget(struct audit_fold *f, const char *instance, int64_t now_ns);
