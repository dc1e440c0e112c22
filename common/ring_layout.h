/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_layout.h - what of a ring never changes, so that a broker of another build can take the
 * records out of it (ring_carry). Private to ring.c and ring_carry.c.
 *
 *	struct ring_head          its fields keep their places and meanings; new ones come behind
 *	line    [slots + folds]   at header_size: uint64_t each, the line of the log; see ring.h.
 *	                          RING_DONE and a position: that record of main is in the log
 *	state   [folds]           at the next multiple of 64: enum fold_state
 *	fold    [folds]           at the next multiple of 8: records
 *	main    [slots]           right behind: records
 *
 * A record takes record_size bytes; it begins with struct ring_record as of layout 2, new fields
 * come behind. What a build of before does not know of it, it drops; an event that it does not know
 * becomes a noted gap.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define RING_MAGIC 0x52494e47u /* "RING" */
#define RING_DONE (1ULL << 63) /* no log has so many lines */

enum fold_state { FOLD_FREE, FOLD_FILLING, FOLD_FULL, FOLD_ADDING, FOLD_TAKEN };

struct ring_head {
	uint32_t magic, layout, slots, folds, header_size, record_size;
	_Alignas(64) uint64_t head;
	uint64_t gaps;
	uint64_t request, head_before;
	uint32_t fold_used, count_before;
	uint64_t run; /* whose line numbers the marks are; 0 of builds without */
	_Alignas(64) uint64_t released;
	uint64_t taken;
	uint64_t gaps_taken, gaps_released;
	uint32_t sleeping, last;
};
