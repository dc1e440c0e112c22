/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - the audit ring in memory shared by one worker (producer) and the broker (consumer).
 *
 * The worker writes a record here before bytes leave it; the broker takes records out, checks them
 * and writes them to the log. No lock, no system call, no allocation on the worker's side: single
 * producer, single consumer, two counters. The memory outlives either process.
 *
 * Three parts:
 *	main      RING_SLOTS records; opens and API reads. The last RING_RESERVED free slots are
 *	          for refusals only.
 *	folds     RING_FOLDS counted records: when main runs short, equal events (same uid, node,
 *	          version, event, result) add up in one slot with a count and first and last time,
 *	          so that ordinary life of a container never runs out of room.
 *	sleeping  1 while the consumer sleeps: only then is its eventfd worth the 6 µs of a write.
 *
 * The consumer copies a slot, then checks the copy: the producer may be a hostile process.
 *
 * Either side may die at any instruction. What was taken stays in the ring until ring_release: a
 * broker that dies before its log is written leaves it for the next one (who then calls ring_rewind;
 * no record is lost, none comes twice). A worker that dies within ring_put has sent no byte, and
 * its successor, asked the same again, sees whether that record is there.
 *
 * Fold slots have a state each:
 *
 *	FREE ──producer──► FILLING ──► FULL ◄──► ADDING (producer, a few instructions)
 *	  ▲                             │ consumer: ring_take
 *	  └──── ring_release ──── TAKEN ◄┘      (ring_rewind: back to FULL)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* power of two; 96 KiB: 1,000 opens between two drains before folding starts */
#ifndef RING_SLOTS
#define RING_SLOTS 1024
#endif
#define RING_RESERVED 128 /* slots that only refusals may use */
#define RING_FOLDS 256    /* distinct (uid, node, event, result) that can fold between two drains */
#define RING_FOLDS_RESERVED 32 /* of these, what only refusals may use */
#define RING_TEXT_MAX 32       /* bytes of a refused API name that are kept */

enum ring_event {
	RING_OPEN = 1,        /* open(2) of a file in the mount */
	RING_OPENDIR = 2,     /* refused listing only: granted ones are not records */
	RING_LOOKUP = 3,      /* refused (from outside the container) only */
	RING_WRITE = 4,       /* a write-like call was refused; text says which */
	RING_API_GET = 5,     /* workload socket: Get */
	RING_API_LIST = 6,    /* workload socket: List */
	RING_API_REFUSED = 7, /* workload socket: limits, malformed message */
	RING_READ = 8,        /* a read of a revoked file was refused */
	RING_EVENT_LAST = RING_READ,
};

struct ring_record {
	int64_t time_ns;  /* CLOCK_REALTIME */
	int64_t last_ns;  /* last of a folded group, else 0 */
	uint64_t node;    /* node id in the mount, 0 if none */
	uint64_t version; /* of the secret, 0 if none */
	uint32_t uid;     /* caller's fsuid, host side */
	uint32_t pid;     /* caller's thread id as the mount reports it; 0 is "from outside" */
	uint32_t count;   /* 1, or how many were folded */
	uint16_t event;   /* enum ring_event */
	int16_t result;   /* 0 granted, else negative errno */
	char text[RING_TEXT_MAX]; /* not NUL-terminated if full */
};

struct ring;

/* Bytes of shared memory that a ring takes. */
uint64_t ring_size(void);

/* Lay out a fresh ring in zeroed memory of ring_size() bytes, aligned to 64. Returns the same
 * address as a ring. */
struct ring *ring_format(void *memory);

/* Attach to a formatted ring (either side). NULL if the memory is not a ring of this layout. */
struct ring *ring_attach(void *memory);

/*
 * Producer. Returns 0 (written or folded; *wake true if the consumer sleeps and must be woken
 * through its eventfd), or -ENOSPC when nothing took it. `result != 0` makes it a refusal.
 *
 * `request`: what is recorded, by a number that is never used again (FUSE's `unique`), or 0. If the
 * last put of a producer that died was for the same request, and had come so far that the record
 * is there, this does nothing: a successor that is asked the same again records it once.
 */
int ring_put(struct ring *ring, const struct ring_record *record, uint64_t request, bool *wake);

/*
 * Producer, of ring_carry: the last put of a predecessor was for that request, and its record is
 * there. `count` more events found no room in its ring.
 */
void ring_note_predecessor(struct ring *ring, uint64_t request, uint64_t gaps);

/* Producer: requests are numbered anew from here on. */
void ring_forget_request(struct ring *ring);

/* Producer: note one event that found no room (kept only under the "serve and record the gap"
 * rule). */
void ring_note_gap(struct ring *ring);

/*
 * Consumer. Take the oldest record: 1, or 0 when empty (main first, then folds, then one record of
 * event 0 with the count of noted gaps and no times). Copies; never trusts indices: a counter out
 * of range is clamped, a record that no honest producer writes is skipped, and both set *corrupt
 * (which is never cleared here), after which the caller should end the worker. A hostile producer
 * can go on for ever: bound the loop (2 * RING_SLOTS is enough for what was there at its start).
 */
int ring_take(struct ring *ring, struct ring_record *ret, bool *corrupt);

/*
 * Consumer: the same, of main only. What is folded goes on adding up in its slots: each that is
 * taken is one less for the producer until ring_release, so they are left while records wait.
 */
int ring_take_main(struct ring *ring, struct ring_record *ret, bool *corrupt);

/*
 * Consumer, after each ring_take: the number of the log's line that the record has become, or
 * RING_WAITS if it is added up in memory and becomes a line later (then ring_mark_waiting tells all of
 * those their line).
 */
#define RING_WAITS UINT64_MAX
void ring_mark(struct ring *ring, uint64_t line);
void ring_mark_waiting(struct ring *ring, uint64_t line);

/*
 * Consumer: what was taken so far is safe in the log; its room is the producer's again, up to the
 * first that waits. To be called after each flush of the log, also while records keep coming: until
 * then the ring only fills.
 */
void ring_release(struct ring *ring);

/*
 * Consumer, at the start of a new broker: what its predecessor took and did not release comes again,
 * but for what is in the log: `last_line` is the last line that was found in it.
 */
void ring_rewind(struct ring *ring, uint64_t last_line);

/*
 * Consumer: whose numbers the marks are, so that `last_line` can be told of those. Set when the ring
 * is made, and after ring_rewind, before anything is taken. 0: never set.
 */
uint64_t ring_run(const struct ring *ring);
void ring_set_run(struct ring *ring, uint64_t run);

/*
 * Consumer: the producer is known to be dead. A fold slot it died in becomes takeable (an event it
 * had not finished to write is dropped: it was not answered either). Drain afterwards, since it may
 * have died before its wake-up.
 */
void ring_recover(struct ring *ring);

/*
 * Consumer: about to sleep, the log being flushed: releases what was taken. False if something
 * arrived meanwhile (then drain again).
 */
bool ring_sleep(struct ring *ring);

/*
 * Between a ring of any build, whose producer is dead, and one of ours: what lies in `memory` (`size`
 * bytes) and is not in the log yet (`last_line` as for ring_rewind) is put into `to`, of which
 * nothing was taken so far; so is which request the last record was for. Where `to` is shorter, records
 * fold. Returns how many records were carried over, or -EBADMSG: it is no ring.
 */
int ring_carry(struct ring *to, const void *memory, size_t size, uint64_t last_line);

/* ring_run of what lies there; 0 also if it is no ring. */
uint64_t ring_carry_run(const void *memory, size_t size);
