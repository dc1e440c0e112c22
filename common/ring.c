/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of the shared memory. Producer and consumer each write counters of their own, a cache
 * line apart. All counters run on for ever; slot = counter modulo size.
 *
 *	released <= taken <= head <= released + RING_SLOTS
 *
 * `head` is the producer's, `taken` and `released` the consumer's. All lie in memory that a hostile
 * producer can write, so the consumer checks the inequality each time.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "coffer/ring.h"
#include "ring_layout.h"

/* Raised when struct ring or struct ring_record changes, within what ring_layout.h leaves open. */
#define RING_LAYOUT 2u

struct ring {
	uint32_t magic, layout, slots, folds, header_size, record_size;
	/* producer */
	_Alignas(64) _Atomic uint64_t head;
	_Atomic uint64_t gaps;
	/* which request the last put was for, and how head and fold slot were before it: has_record */
	_Atomic uint64_t request;
	uint64_t head_before;
	_Atomic uint32_t fold_used; /* RING_FOLDS: none */
	uint32_t count_before;
	uint64_t run; /* the consumer's, and here since there is room */
	/* consumer */
	_Alignas(64) _Atomic uint64_t released;
	_Atomic uint64_t taken;
	_Atomic uint64_t gaps_taken, gaps_released;
	_Atomic uint32_t sleeping;
	uint32_t
		last; /* the place that was taken last: a slot of main, or RING_SLOTS + one of fold */
	uint64_t line[RING_SLOTS +
	              RING_FOLDS]; /* of the log, by place; 0 not marked, or RING_WAITS */
	/* states stand together: a look over all of them touches four cache lines */
	_Alignas(64) _Atomic uint8_t state[RING_FOLDS];
	struct ring_record fold[RING_FOLDS];
	struct ring_record main[RING_SLOTS];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_CHAR_LOCK_FREE == 2,
               "an atomic with a lock would not work between processes");
_Static_assert((RING_SLOTS & (RING_SLOTS - 1)) == 0, "slots are found by masking");
_Static_assert(offsetof(struct ring, head) == offsetof(struct ring_head, head) &&
                       offsetof(struct ring, fold_used) == offsetof(struct ring_head, fold_used) &&
                       offsetof(struct ring, run) == offsetof(struct ring_head, run) &&
                       offsetof(struct ring, released) == offsetof(struct ring_head, released) &&
                       offsetof(struct ring, last) == offsetof(struct ring_head, last),
               "the head keeps its places");
_Static_assert(offsetof(struct ring, state) % 64 == 0 &&
                       offsetof(struct ring, fold) - offsetof(struct ring, state) ==
                               (RING_FOLDS + 7) / 8 * 8 &&
                       offsetof(struct ring, main) - offsetof(struct ring, fold) ==
                               RING_FOLDS * sizeof(struct ring_record),
               "as ring_layout.h has it");

uint64_t ring_size(void)
{
	return sizeof(struct ring);
}

struct ring *ring_format(void *memory)
{
	struct ring *ring = memory;

	ring->layout = RING_LAYOUT;
	ring->slots = RING_SLOTS;
	ring->folds = RING_FOLDS;
	ring->header_size = offsetof(struct ring, line);
	ring->record_size = sizeof(struct ring_record);
	ring->magic = RING_MAGIC;
	return ring;
}

struct ring *ring_attach(void *memory)
{
	struct ring *ring = memory;

	if (ring->magic != RING_MAGIC || ring->layout != RING_LAYOUT || ring->slots != RING_SLOTS ||
	    ring->folds != RING_FOLDS)
		return NULL;
	return ring;
}

/*
 * A producer may die between any two instructions of a put, and its successor is asked the same
 * again: so that it can tell whether the record is there, the put notes first what it is about to
 * change, and then makes it with a single store (head, or a fold slot's count).
 */
static void begin(struct ring *ring, uint64_t request)
{
	atomic_store_explicit(&ring->request, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	ring->head_before = atomic_load_explicit(&ring->head, memory_order_relaxed);
	atomic_store_explicit(&ring->fold_used, RING_FOLDS, memory_order_relaxed);
	atomic_store_explicit(&ring->request, request, memory_order_release);
}

static void begin_fold(struct ring *ring, size_t i)
{
	ring->count_before = ring->fold[i].count;
	atomic_store_explicit(&ring->fold_used, (uint32_t)i, memory_order_release);
}

static bool has_record(struct ring *ring, uint64_t request)
{
	/* Read once: what a predecessor wrote may be anything. */
	uint32_t fold = atomic_load_explicit(&ring->fold_used, memory_order_acquire);

	if (atomic_load_explicit(&ring->request, memory_order_relaxed) != request)
		return false;
	return atomic_load_explicit(&ring->head, memory_order_relaxed) != ring->head_before ||
	       (fold < RING_FOLDS && ring->fold[fold].count != ring->count_before);
}

uint64_t ring_run(const struct ring *ring)
{
	return __atomic_load_n(&ring->run, __ATOMIC_RELAXED);
}

void ring_set_run(struct ring *ring, uint64_t run)
{
	__atomic_store_n(&ring->run, run, __ATOMIC_RELEASE);
}

static bool put_main(struct ring *ring, const struct ring_record *record)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t used = head - atomic_load_explicit(&ring->released, memory_order_acquire);
	uint64_t limit = record->result ? RING_SLOTS : RING_SLOTS - RING_RESERVED;

	if (used >= limit)
		return false;
	ring->main[head & (RING_SLOTS - 1)] = *record;
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

static bool same_group(const struct ring_record *a, const struct ring_record *b)
{
	return a->uid == b->uid && a->node == b->node && a->version == b->version &&
	       a->event == b->event && a->result == b->result;
}

/* Add to a slot that is ours to write. A new last time may be the earlier one if the clock was set
 * back. */
static void add_to_group(struct ring_record *group, const struct ring_record *record)
{
	group->last_ns = record->last_ns ? record->last_ns : record->time_ns;
	__atomic_store_n(&group->count, group->count + record->count, __ATOMIC_RELEASE);
}

/*
 * The consumer may take a FULL slot at any moment, so it is claimed (ADDING) before it changes. A
 * slot found ADDING is a dead predecessor's, there being one producer: it is ours as it stands.
 */
static bool claim_group(struct ring *ring, size_t i)
{
	uint8_t state = FOLD_FULL;

	if (atomic_compare_exchange_strong_explicit(&ring->state[i], &state, FOLD_ADDING,
	                                            memory_order_acquire, memory_order_relaxed))
		return true;
	return state == FOLD_ADDING;
}

static bool put_fold(struct ring *ring, const struct ring_record *record)
{
	size_t start =
		(size_t)((record->node * 31 + record->uid) * 31 + record->version) + record->event;
	size_t free_slot = RING_FOLDS, free_slots = 0;
	struct ring_record *slot, first;

	/* Slots are freed in any order, so a free one does not end the search for the group. */
	for (size_t n = 0; n < RING_FOLDS; n++) {
		size_t i = (start + n) % RING_FOLDS;
		uint8_t state = atomic_load_explicit(&ring->state[i], memory_order_acquire);

		slot = &ring->fold[i];
		if (state == FOLD_FREE || state == FOLD_FILLING) {
			free_slots++;
			if (free_slot == RING_FOLDS)
				free_slot = i;
			continue;
		}
		if (state == FOLD_TAKEN || !same_group(slot, record) ||
		    slot->count > UINT32_MAX - record->count)
			continue;
		if (!claim_group(ring, i))
			continue;
		begin_fold(ring, i);
		add_to_group(slot, record);
		atomic_store_explicit(&ring->state[i], FOLD_FULL, memory_order_release);
		return true;
	}
	if (free_slots <= (record->result ? 0 : RING_FOLDS_RESERVED))
		return false;
	slot = &ring->fold[free_slot];
	atomic_store_explicit(&ring->state[free_slot], FOLD_FILLING, memory_order_relaxed);
	first = *record;
	if (!first.last_ns)
		first.last_ns = first.time_ns;
	first.count = 0;
	__atomic_store_n(&slot->count, 0, __ATOMIC_RELAXED);
	begin_fold(ring, free_slot);
	*slot = first;
	__atomic_store_n(&slot->count, record->count, __ATOMIC_RELEASE);
	atomic_store_explicit(&ring->state[free_slot], FOLD_FULL, memory_order_release);
	return true;
}

void ring_note_predecessor(struct ring *ring, uint64_t request, uint64_t gaps)
{
	begin(ring, request);
	ring->head_before--; /* as if that put had moved it: has_record */
	atomic_fetch_add_explicit(&ring->gaps, gaps, memory_order_release);
}

void ring_forget_request(struct ring *ring)
{
	atomic_store_explicit(&ring->request, 0, memory_order_relaxed);
}

int ring_put(struct ring *ring, const struct ring_record *record, uint64_t request, bool *wake)
{
	struct ring_record copy = *record;

	if (copy.count == 0)
		copy.count = 1;
	*wake = false;
	if (request != 0 && has_record(ring, request))
		return 0;
	begin(ring, request);
	if (!put_main(ring, &copy) && !put_fold(ring, &copy))
		return -ENOSPC;
	/* Pairs with the fence of ring_sleep: either we see the flag, or the consumer sees the
	 * record. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&ring->sleeping, memory_order_relaxed))
		*wake = atomic_exchange_explicit(&ring->sleeping, 0, memory_order_relaxed) != 0;
	return 0;
}

void ring_note_gap(struct ring *ring)
{
	atomic_fetch_add_explicit(&ring->gaps, 1, memory_order_release);
}

/* A copy that the producer can no longer change, and that the compiler may not read again from the
 * slot. */
static void copy_slot(struct ring_record *ret, const struct ring_record *slot)
{
	memcpy(ret, slot, sizeof(*ret));
	atomic_signal_fence(memory_order_seq_cst);
}

static bool record_sane(const struct ring_record *r)
{
	return r->event >= 1 && r->event <= RING_EVENT_LAST && r->result <= 0 && r->count >= 1;
}

/* Where the record lay that ring_mark is about to speak of; it has no line yet. */
static void note_place(struct ring *ring, uint32_t place)
{
	ring->line[place] = 0;
	__atomic_store_n(&ring->last, place, __ATOMIC_RELAXED);
}

/* The mark of a record of main that is in the log, though one in front of it is not: passed over. */
static uint64_t done(uint64_t position)
{
	return RING_DONE | position;
}

static bool take_main(struct ring *ring, struct ring_record *ret, bool *corrupt)
{
	uint64_t released = atomic_load_explicit(&ring->released, memory_order_relaxed);
	uint64_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

	if (head - released > RING_SLOTS || taken - released > head - released) {
		*corrupt = true;
		atomic_store_explicit(&ring->taken, head, memory_order_relaxed);
		atomic_store_explicit(&ring->released, head, memory_order_release);
		return false;
	}
	while (taken != head) {
		if (ring->line[taken & (RING_SLOTS - 1)] == done(taken)) {
			atomic_store_explicit(&ring->taken, ++taken, memory_order_relaxed);
			continue;
		}
		copy_slot(ret, &ring->main[taken & (RING_SLOTS - 1)]);
		note_place(ring, taken & (RING_SLOTS - 1));
		taken++;
		atomic_store_explicit(&ring->taken, taken, memory_order_relaxed);
		if (record_sane(ret))
			return true;
		*corrupt = true;
	}
	return false;
}

static bool take_fold(struct ring *ring, struct ring_record *ret, bool *corrupt)
{
	for (size_t i = 0; i < RING_FOLDS; i++) {
		uint8_t state = atomic_load_explicit(&ring->state[i], memory_order_relaxed);

		if (state > FOLD_TAKEN) {
			*corrupt = true;
			atomic_store_explicit(&ring->state[i], FOLD_FREE, memory_order_release);
		}
		if (state != FOLD_FULL)
			continue;
		/* First: one taken with the mark of a record before it would pass for logged. */
		note_place(ring, RING_SLOTS + (uint32_t)i);
		if (!atomic_compare_exchange_strong_explicit(&ring->state[i], &state, FOLD_TAKEN,
		                                             memory_order_acq_rel,
		                                             memory_order_relaxed))
			continue;
		copy_slot(ret, &ring->fold[i]);
		if (record_sane(ret))
			return true;
		*corrupt = true;
	}
	return false;
}

static bool take_gaps(struct ring *ring, struct ring_record *ret)
{
	uint64_t taken = atomic_load_explicit(&ring->gaps_taken, memory_order_relaxed);
	uint64_t gaps = atomic_load_explicit(&ring->gaps, memory_order_acquire) - taken;

	if (gaps == 0)
		return false;
	if (gaps > UINT32_MAX)
		gaps = UINT32_MAX;
	atomic_store_explicit(&ring->gaps_taken, taken + gaps, memory_order_relaxed);
	__atomic_store_n(&ring->last, UINT32_MAX, __ATOMIC_RELAXED); /* it has no place */
	memset(ret, 0, sizeof(*ret));
	ret->count = (uint32_t)gaps;
	return true;
}

int ring_take(struct ring *ring, struct ring_record *ret, bool *corrupt)
{
	struct ring_record record;

	if (!take_main(ring, &record, corrupt) && !take_fold(ring, &record, corrupt) &&
	    !take_gaps(ring, &record))
		return 0;
	*ret = record;
	return 1;
}

int ring_take_main(struct ring *ring, struct ring_record *ret, bool *corrupt)
{
	struct ring_record record;

	if (!take_main(ring, &record, corrupt))
		return 0;
	*ret = record;
	return 1;
}

/* Every fold slot in state `from` gets state `to`. */
static void fold_states(struct ring *ring, uint8_t from, uint8_t to)
{
	for (size_t i = 0; i < RING_FOLDS; i++) {
		uint8_t state = from;

		atomic_compare_exchange_strong_explicit(&ring->state[i], &state, to,
		                                        memory_order_release, memory_order_relaxed);
	}
}

void ring_mark(struct ring *ring, uint64_t line)
{
	/* Read once: the producer may write it too. */
	uint32_t place = __atomic_load_n(&ring->last, __ATOMIC_RELAXED);

	if (place < RING_SLOTS + RING_FOLDS)
		ring->line[place] = line;
}

void ring_mark_waiting(struct ring *ring, uint64_t line)
{
	for (size_t i = 0; i < RING_SLOTS + RING_FOLDS; i++)
		if (ring->line[i] == RING_WAITS)
			ring->line[i] = line;
}

static bool is_taken(struct ring *ring, size_t fold)
{
	return atomic_load_explicit(&ring->state[fold], memory_order_relaxed) == FOLD_TAKEN;
}

void ring_release(struct ring *ring)
{
	uint64_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	uint64_t released = atomic_load_explicit(&ring->released, memory_order_relaxed);
	uint64_t gaps = atomic_load_explicit(&ring->gaps_taken, memory_order_relaxed);

	for (size_t i = 0; i < RING_FOLDS; i++)
		if (is_taken(ring, i) && ring->line[RING_SLOTS + i] != RING_WAITS)
			atomic_store_explicit(&ring->state[i], FOLD_FREE, memory_order_release);
	/* A hostile producer may have written both; the loop ends within a ring's length all the same. */
	for (size_t n = 0; n < RING_SLOTS && released != taken; n++, released++)
		if (ring->line[released & (RING_SLOTS - 1)] == RING_WAITS)
			break;
	atomic_store_explicit(&ring->gaps_released, gaps, memory_order_relaxed);
	atomic_store_explicit(&ring->released, released, memory_order_release);
}

static bool is_logged(const struct ring *ring, size_t place, uint64_t last_line)
{
	return ring->line[place] != 0 && ring->line[place] <= last_line;
}

void ring_rewind(struct ring *ring, uint64_t last_line)
{
	uint64_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	uint64_t released = atomic_load_explicit(&ring->released, memory_order_relaxed);
	uint64_t gaps = atomic_load_explicit(&ring->gaps_released, memory_order_relaxed);

	for (size_t i = 0; i < RING_FOLDS; i++)
		if (is_taken(ring, i))
			atomic_store_explicit(
				&ring->state[i],
				is_logged(ring, RING_SLOTS + i, last_line) ? FOLD_FREE : FOLD_FULL,
				memory_order_release);
	/*
	 * One that waited may stand in front of one that was a line at once. Room is given back from
	 * the front only; what is in the log behind that is passed over when it is taken.
	 */
	for (uint64_t n = 0; n < RING_SLOTS && released + n != taken; n++) {
		size_t place = (released + n) & (RING_SLOTS - 1);

		if (is_logged(ring, place, last_line))
			ring->line[place] = done(released + n);
	}
	for (size_t n = 0; n < RING_SLOTS && released != taken; n++, released++)
		if (ring->line[released & (RING_SLOTS - 1)] != done(released))
			break;
	atomic_store_explicit(&ring->gaps_taken, gaps, memory_order_relaxed);
	atomic_store_explicit(&ring->released, released, memory_order_release);
	atomic_store_explicit(&ring->taken, released, memory_order_relaxed);
}

void ring_recover(struct ring *ring)
{
	fold_states(ring, FOLD_ADDING, FOLD_FULL);
	for (size_t i = 0; i < RING_FOLDS; i++)
		if (atomic_load_explicit(&ring->state[i], memory_order_acquire) == FOLD_FILLING)
			__atomic_store_n(&ring->fold[i].count, 0,
			                 __ATOMIC_RELAXED); /* has_record */
	fold_states(ring, FOLD_FILLING, FOLD_FREE);
}

static bool something_there(struct ring *ring)
{
	if (atomic_load_explicit(&ring->head, memory_order_acquire) !=
	    atomic_load_explicit(&ring->taken, memory_order_relaxed))
		return true;
	if (atomic_load_explicit(&ring->gaps, memory_order_relaxed) !=
	    atomic_load_explicit(&ring->gaps_taken, memory_order_relaxed))
		return true;
	for (size_t i = 0; i < RING_FOLDS; i++) {
		if (atomic_load_explicit(&ring->state[i], memory_order_relaxed) == FOLD_FULL)
			return true;
	}
	return false;
}

bool ring_sleep(struct ring *ring)
{
	ring_release(ring);
	atomic_store_explicit(&ring->sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!something_there(ring))
		return true;
	atomic_store_explicit(&ring->sleeping, 0, memory_order_relaxed);
	return false;
}
