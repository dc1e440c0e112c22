/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h - one record into the ring before bytes leave. No allocation; a system call only if the
 * consumer sleeps.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "coffer/ring.h"

struct audit {
	struct ring *ring; /* in the shared memory, borrowed */
	int wake;          /* eventfd of the ring's consumer, owned by the worker */
	bool serve_when_full;
};

struct audit_event {
	enum ring_event event;
	int result; /* 0 or negative errno */
	uint64_t node, version;
	uint32_t uid, pid;
	const char *text; /* cut to RING_TEXT_MAX; may be NULL */
	uint64_t
		request; /* FUSE's number of it: has one record, however many workers are at it; or 0 */
};

/*
 * 0: recorded, or the ring is full and the rule says to serve all the same (the gap is noted).
 * -EIO: full, and what was to be granted must be refused. For a refusal the result does not
 * matter: it is refused in any case.
 */
int audit_put(const struct audit *a, const struct audit_event *event);
