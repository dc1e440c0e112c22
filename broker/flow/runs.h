/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs.h - which lines of the log each run of the broker came to write.
 *
 * Records in a ring are marked with the number of the line that they became (ring.h). A broker that
 * is killed before that line is on disk leaves the number to the next one, which gives it to another
 * line; and if that one is killed as well before it has taken the ring over, a third would take the
 * record for written. So each run has a random id, kept with the marks, and RUNTIME/runs (0600) says
 * how many lines were found when it began: those of the run before it end there.
 */
#pragma once

#include <stdint.h>

#include "coffer/err.h"

#define RUNS_MAX \
	1024 /* are remembered: a ring that nobody took over for so long has no container */

struct runs;

/*
 * A run begins, with `found` lines in the log and none of its own yet. 0, or -errno if it could not
 * be noted.
 */
int runs_begin(int runtime_fd, uint64_t found, struct runs **ret, struct err *e);
void runs_free(struct runs *r); /* NULL is fine */

/* Of the present run; never 0. */
uint64_t runs_id(const struct runs *r);

/*
 * The last line that a mark of run `id` may speak of: what is marked with a later one is not in the
 * log. An unknown run's records come again rather than be lost. `id` 0: marks of a build without ids.
 */
uint64_t runs_last_line(const struct runs *r, uint64_t id);
