/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passes.h - which process is in which pass through a set's files. Pure: a table in memory that
 * outlives the worker, and the clock is the caller's.
 *
 * A pass is what one process opens of one set, each file once, within PASS_NS. It has one
 * generation, which says which version each name stands for. The rules that begin one and hold it
 * together are in sets.h.
 *
 * Two arrays of fixed size (worker_proto.h): the passes, and what has been opened in them. A key is
 * looked for in some places behind its own; what is over its time is free, and where nothing is
 * free the oldest goes. So the table needs no upkeep, takes no memory but what it has, and a process
 * that fills it only loses passes, its own and its neighbours' in the same container: then a file
 * comes in its newest version, as if there were no sets. What is found in the memory of a worker
 * that was taken over can do no more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "coffer/worker_proto.h"

#define PASS_NS 2000000000LL
/* A thread that was sent back and is not here again by then has been ended on its way. */
#define PASS_RETURN_NS (5 * PASS_NS)
/* One that was over longer ago than that did not run out of time: its process had done. */
#define PASS_CUT_NS (5 * PASS_NS)

struct pass_key {
	uint32_t process, thread;
	uint64_t set;
	int64_t now_ns; /* boot-time clock */
};

/* NULL: the process is in no pass. Good until the next call. */
struct worker_pass *passes_find(struct worker_passes *p, const struct pass_key *key);

/*
 * Opening this file begins another pass: it was opened in this one. Or it began the one before, and that
 * ran out of time in the middle: a process that goes through its files again and again and was held up
 * once would else have passes that begin in the middle for ever.
 */
bool passes_ended_by(struct worker_passes *p, const struct worker_pass *pass, uint64_t file);

/* The process opens a file in its pass. */
void passes_add(struct worker_passes *p, struct worker_pass *pass, uint64_t file, int64_t now_ns);

/* It begins another, with that file. */
void passes_begin(struct worker_passes *p, const struct pass_key *key, uint64_t generation,
                  uint64_t file);

/*
 * Whether the calling thread may be sent back: not one that has been, nor while another thread of
 * its process has been and is on its way. The mark outlasts the pass.
 */
bool passes_send_back(struct worker_passes *p, const struct pass_key *key);

/* It has come back, if it was sent. */
void passes_come_back(struct worker_passes *p, const struct pass_key *key);

/*
 * How the last open of the process was decided, to be said once more if the same request comes
 * again: a worker may die between the decision and the answer. False: it was another.
 */
bool passes_decided(struct worker_passes *p, const struct pass_key *key, uint64_t request,
                    bool *ret_sent_back);
void passes_note_decided(struct worker_passes *p, const struct pass_key *key, uint64_t request,
                         bool sent_back);
