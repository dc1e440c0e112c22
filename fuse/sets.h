/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sets.h - the files of a set change as one for each process: which version it is given. Pure.
 *
 * A process that has opened one file of a set and then opens another gets it of the same generation,
 * even if a rotation falls in between. Opening a file for the second time begins a new pass, at the
 * current generation; a pass ends after PASS_NS. Who was held up so long in the middle goes on in a pass
 * of its own, which ends with the first file of the one before: so that the next time around begins with
 * that again.
 *
 * A name is looked up for a caller: it finds the version of its pass, so that the size and the bytes
 * that it sees are of one file. The kernel keeps names, though, and does not ask for each open. So
 * what is opened is held against the pass once more, and a caller that comes with another version
 * than its pass has is sent back once: of an open that fails with ESTALE the kernel walks the path
 * again and asks for each name, kept or not. No rotation has to wait until the kernel has forgotten
 * names, and there is no moment between two steps in which a name could be kept that should not be.
 *
 * Who comes with another version all the same (it opens a descriptor again through /proc, or a
 * neighbouring thread has begun another pass meanwhile) begins a new pass with it.
 */
#pragma once

#include "passes.h"
#include "tree.h"

struct sets_call {
	struct worker_passes *passes;
	uint64_t generation;      /* the current one */
	uint32_t process, thread; /* the caller; process 0: it is gone */
	int64_t boot_ns, wall_ns; /* now, by either clock */
	uint64_t request;         /* open: tells it from every other; not 0 */
};

/* What a name stands for to the caller; `n` is any of the versions of that name. */
struct tree_node *sets_look_up(const struct sets_call *call, struct tree_node *n);

/* The caller opens `n`. False: it is to be sent back. */
bool sets_open(const struct sets_call *call, struct tree_node *n);
