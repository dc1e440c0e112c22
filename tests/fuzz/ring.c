/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_take on memory that a hostile producer writes: what comes out is what an honest one could
 * have written, and a drain ends. As long as nobody wrote where only the ring's own code does,
 * nothing is lost, nothing is there twice, and the ring is never called corrupt.
 *
 * Input: operations, a byte each with what they need behind it (see `operations`).
 */
#include <errno.h>

#include "coffer/cleanup.h"
#include "coffer/ring.h"
#include "fuzz.h"

#define EFFORT_MAX 8192 /* records of one input: several times as many as the ring holds */

struct play {
	struct ring *ring;
	uint8_t *memory;
	struct fuzz_input *in;
	bool forged, corrupt;
	size_t effort;
	/* events, counting folded ones by their count; honest play only */
	uint64_t put, taken, released;
};

static void put(struct play *p)
{
	struct ring_record record = { .time_ns = 1, .count = 1 };
	uint8_t what = (uint8_t)fuzz_number(p->in, 1);
	size_t times = (size_t)fuzz_number(p->in, 2) % 2048;
	bool wake = false;

	record.event = (uint16_t)(1 + what % RING_EVENT_LAST);
	record.result = what & 0x80 ? -EACCES : 0;
	record.node = what >> 3;
	p->effort += times;
	for (; times > 0; times--) {
		int r = ring_put(p->ring, &record, 0, &wake);

		MUST(r == 0 || r == -ENOSPC);
		p->put += r == 0;
	}
}

static void note_gap(struct play *p)
{
	ring_note_gap(p->ring);
	p->put++;
}

static void sane(const struct ring_record *r)
{
	MUST(r->count >= 1);
	if (r->event == 0) { /* gaps, which nobody named */
		MUST(r->time_ns == 0 && r->last_ns == 0 && r->node == 0 && r->uid == 0);
		return;
	}
	MUST(r->event <= RING_EVENT_LAST && r->result <= 0);
}

/* Up to `limit` records. */
static void take(struct play *p, size_t limit)
{
	size_t records = 0;
	struct ring_record record;

	for (; limit > 0 && ring_take(p->ring, &record, &p->corrupt) == 1; limit--) {
		p->effort++;
		sane(&record);
		records += record.event != 0;
		p->taken += record.count;
	}
	/* Nobody writes meanwhile, so there can be no more than the ring has places. */
	MUST(records <= RING_SLOTS + RING_FOLDS);
	MUST(p->forged || (!p->corrupt && p->taken <= p->put));
}

static void take_some(struct play *p)
{
	take(p, (size_t)fuzz_number(p->in, 2));
}

static void drain(struct play *p)
{
	take(p, 2 * RING_SLOTS);
	MUST(p->forged || p->taken == p->put);
}

static void release(struct play *p)
{
	ring_release(p->ring);
	p->released = p->taken;
}

static void rewind_to_release(struct play *p)
{
	ring_rewind(p->ring, 0);
	p->taken = p->released;
}

static void recover(struct play *p)
{
	ring_recover(p->ring);
}

static void sleep_if_empty(struct play *p)
{
	bool empty = ring_sleep(p->ring);

	p->released = p->taken;
	MUST(p->forged || empty == (p->taken == p->put));
}

/* The producer's bytes anywhere in the memory. */
static void forge(struct play *p)
{
	size_t at = (size_t)(fuzz_number(p->in, 4) % ring_size());
	size_t len = (size_t)fuzz_number(p->in, 1), room = (size_t)ring_size() - at;
	const uint8_t *bytes = fuzz_take(p->in, len < room ? len : room, &len);

	memcpy(p->memory + at, bytes, len);
	p->forged = true;
}

/* The same byte over a range, so that a few bytes of input reach every slot. */
static void forge_range(struct play *p)
{
	size_t at = (size_t)(fuzz_number(p->in, 4) % ring_size());
	size_t len = (size_t)fuzz_number(p->in, 2), room = (size_t)ring_size() - at;

	memset(p->memory + at, (int)fuzz_number(p->in, 1), len < room ? len : room);
	p->forged = true;
}

static void attach_again(struct play *p)
{
	struct ring *ring = ring_attach(p->memory);

	MUST(ring == p->ring || (!ring && p->forged));
}

static void (*const operations[])(struct play *p) = {
	put,     note_gap,       take_some, drain,       release,      rewind_to_release,
	recover, sleep_if_empty, forge,     forge_range, attach_again,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t room = ((size_t)ring_size() + 63) & ~(size_t)63;
	struct play p = { .in = &in, .memory = aligned_alloc(64, room) };

	MUST(p.memory);
	memset(p.memory, 0, room);
	p.ring = ring_format(p.memory);
	while (in.left > 0 && p.effort < EFFORT_MAX)
		operations[fuzz_number(&in, 1) % ARRAY_LEN(operations)](&p);
	drain(&p);
	free(p.memory);
	return 0;
}
