/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of the ring of another build, into one of ours: by what ring_layout.h promises of every ring.
 * The memory is the word of a process that may have been taken over, and somebody may still write to
 * it: each number is read once, and checked.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "coffer/ring.h"
#include "ring_layout.h"

#define RECORD_SIZE_MIN 80 /* struct ring_record as of layout 2 */
/* What the first builds of layout 2 had; they left no word of it. */
#define FIRST_HEADER_SIZE 168
#define FIRST_RECORD_SIZE 80
#define RECORD_SIZE_MAX 4096   /* so that sums do not overflow; no record will be that long */
#define PLACES_MAX (1u << 20)  /* slots or folds, likewise */
#define HEADER_SIZE_MAX 65536u /* likewise */
#define HEADER_SIZE_MIN (offsetof(struct ring_head, last) + sizeof(uint32_t))

_Static_assert(sizeof(struct ring_record) >= RECORD_SIZE_MIN, "a record only grows");

struct source {
	struct ring_head head; /* a copy */
	const uint64_t *line;
	const uint8_t *state;
	const unsigned char *fold, *main;
	uint64_t last_line;
};

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static int find_parts(struct source *s, const unsigned char *memory, size_t size)
{
	const struct ring_head *h = &s->head;
	size_t state, fold, main;

	if (size < sizeof(s->head))
		return -EBADMSG;
	memcpy(&s->head, memory, sizeof(s->head));
	atomic_signal_fence(memory_order_seq_cst);
	if (h->layout == 2 && h->header_size == 0 && h->record_size == 0) {
		s->head.header_size = FIRST_HEADER_SIZE;
		s->head.record_size = FIRST_RECORD_SIZE;
	}
	if (h->magic != RING_MAGIC || h->slots == 0 || h->slots > PLACES_MAX ||
	    h->folds > PLACES_MAX || h->header_size < HEADER_SIZE_MIN ||
	    h->header_size > HEADER_SIZE_MAX || h->header_size % 8 != 0 ||
	    h->record_size < RECORD_SIZE_MIN || h->record_size > RECORD_SIZE_MAX ||
	    h->record_size % 8 != 0)
		return -EBADMSG;
	state = round_up(h->header_size + sizeof(uint64_t) * ((size_t)h->slots + h->folds), 64);
	fold = round_up(state + h->folds, 8);
	main = fold + (size_t)h->folds * h->record_size;
	if (main + (size_t)h->slots * h->record_size > size || h->head - h->released > h->slots ||
	    h->taken - h->released > h->head - h->released)
		return -EBADMSG;
	s->line = (const uint64_t *)(const void *)(memory + h->header_size);
	s->state = memory + state;
	s->fold = memory + fold;
	s->main = memory + main;
	return 0;
}

static bool is_logged(const struct source *s, size_t place)
{
	uint64_t line = __atomic_load_n(&s->line[place], __ATOMIC_RELAXED);

	return line != 0 && line <= s->last_line;
}

/* That of an earlier lap says another position. */
static bool is_done(const struct source *s, size_t place, uint64_t at)
{
	return __atomic_load_n(&s->line[place], __ATOMIC_RELAXED) == (RING_DONE | at);
}

/* 1, or 0: what cannot be carried over is counted in *gaps. */
static int carry_record(struct ring *to, const unsigned char *slot, uint64_t *gaps)
{
	struct ring_record record = { 0 };
	bool wake;

	memcpy(&record, slot, RECORD_SIZE_MIN);
	atomic_signal_fence(memory_order_seq_cst);
	if (record.count == 0)
		return 0;
	if (record.event >= 1 && record.event <= RING_EVENT_LAST && record.result <= 0 &&
	    ring_put(to, &record, 0, &wake) == 0)
		return 1;
	*gaps += record.count;
	return 0;
}

static int carry_main(struct ring *to, const struct source *s, uint64_t *gaps)
{
	uint64_t taken = s->head.taken - s->head.released;
	int count = 0;

	for (uint64_t n = 0; n < s->head.head - s->head.released; n++) {
		uint64_t at = s->head.released + n;
		size_t place = at % s->head.slots;

		if ((n < taken && is_logged(s, place)) || is_done(s, place, at))
			continue;
		count += carry_record(to, s->main + place * s->head.record_size, gaps);
	}
	return count;
}

/* What was being filled is not there; what was being added to is, with the sum before or after. */
static int carry_folds(struct ring *to, const struct source *s, uint64_t *gaps)
{
	int count = 0;

	for (size_t i = 0; i < s->head.folds; i++) {
		uint8_t state = __atomic_load_n(&s->state[i], __ATOMIC_RELAXED);

		if (state == FOLD_FULL || state == FOLD_ADDING ||
		    (state == FOLD_TAKEN && !is_logged(s, s->head.slots + i)))
			count += carry_record(to, s->fold + i * s->head.record_size, gaps);
	}
	return count;
}

/* The record of the last request is there: as has_record of ring.c sees it. */
static bool has_last(const struct source *s)
{
	const struct ring_head *h = &s->head;
	struct ring_record record;

	if (h->head != h->head_before)
		return true;
	if (h->fold_used >= h->folds ||
	    __atomic_load_n(&s->state[h->fold_used], __ATOMIC_RELAXED) == FOLD_FILLING)
		return false;
	memcpy(&record, s->fold + (size_t)h->fold_used * h->record_size, RECORD_SIZE_MIN);
	return record.count != h->count_before;
}

uint64_t ring_carry_run(const void *memory, size_t size)
{
	struct source s = { 0 };

	return find_parts(&s, memory, size) < 0 ? 0 : s.head.run;
}

int ring_carry(struct ring *to, const void *memory, size_t size, uint64_t last_line)
{
	struct source s = { .last_line = last_line };
	uint64_t gaps;
	int count, result = find_parts(&s, memory, size);

	if (result < 0)
		return result;
	gaps = s.head.gaps - s.head.gaps_released;
	count = carry_main(to, &s, &gaps);
	count += carry_folds(to, &s, &gaps);
	ring_note_predecessor(to, has_last(&s) ? s.head.request : 0, gaps);
	return count;
}
