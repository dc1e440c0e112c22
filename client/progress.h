/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - one line on stderr that tells how far long work is.
 *
 *	SCOPED(progress_end) struct progress p;
 *	progress_begin(&p, c, "verifying the audit log", PROGRESS_BYTES, size);
 *	while (...)
 *		progress_set(&p, offset);
 *	progress_end(&p);                before anything else is printed
 *
 * Drawn only where stderr is a terminal of ours (terminal_is_ours) and --json was not given; else
 * all of this does nothing. The line appears when the work has taken half a second, changes at most
 * ten times a second, never wraps, and is wiped at the end. Only printable ASCII is drawn.
 *
 * While the broker is waited for there is nobody to count. call_set_tick(call, progress_tick, &p)
 * keeps the line alive meanwhile:
 *
 *	coffer: storing | 7 s                                        PROGRESS_WAIT
 *	coffer: reading [#######.............]  35% 42 of 120       PROGRESS_ITEMS
 *	coffer: writing [##############......]  70% 1.4 GiB of 2.0 GiB  PROGRESS_BYTES
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"

#define PROGRESS_LINE_MAX 512 /* of a line, whatever the terminal's width */
#define PROGRESS_NOTE_MAX 64  /* of a note, escaped */

enum progress_unit {
	PROGRESS_WAIT,  /* nothing is counted: the seconds are shown */
	PROGRESS_ITEMS, /* `done` of `total` things */
	PROGRESS_BYTES,
};

struct progress {
	int fd;           /* -1: nothing is drawn */
	const char *what; /* borrowed: "verifying the audit log" */
	enum progress_unit unit;
	uint64_t done, total; /* total 0: not known */
	int64_t began, drawn; /* boot-time clock, ns; drawn 0: there is no line yet */
	unsigned turn;        /* of the spinner */
	char note[PROGRESS_NOTE_MAX];
};

void progress_begin(struct progress *p, const struct client *c, const char *what,
                    enum progress_unit unit, uint64_t total);

/* How much is done by now, in all; or how much more. */
void progress_set(struct progress *p, uint64_t done);
void progress_add(struct progress *p, uint64_t more);

/* What is worked on, such as a file's name; shown behind the rest where there is room. Copied. */
void progress_note(struct progress *p, const char *note);

/* Nothing is known to have come further, but time has. The argument is a struct progress. */
void progress_tick(void *progress);

/* Wipe the line. May be called again, and on a struct that is all zero. */
void progress_end(struct progress *p);

/* Pure: whether the line may be drawn at `now`, and what it is within `columns`. */
bool progress_due(const struct progress *p, int64_t now);
void progress_line(const struct progress *p, int64_t now, unsigned columns,
                   char buffer[PROGRESS_LINE_MAX]);
