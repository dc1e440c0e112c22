/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.h - a change of a tree that somebody sees, as it is carried out (see update.c for its way).
 */
#pragma once

#include "flow/container.h"

struct update_step {
	uint32_t kind; /* enum worker_stage_kind */
	uint64_t node; /* PUT, MKDIR: the new one; UNLINK, RMDIR: the one that goes */
};

struct update {
	uint8_t token[16]; /* names the staging folder; tells this change from every other */
	struct update_step *step;
	size_t steps;
	size_t made;      /* of those: by an attacher */
	size_t making;    /* and these it is at */
	uint64_t *denied; /* nodes whose pages are to be dropped */
	size_t denials;
	size_t dropped;  /* of those: pages are gone */
	size_t dropping; /* and these the attacher is at */
	bool more;       /* the plan was cut: plan again afterwards */
	bool repeated;   /* at once, after an attacher that was killed */
	struct err
		why; /* what was to come could not be had: only what goes is in it; "" if all is */
	bool said;   /* a failure of this change is in the log already */
};

/* An empty change with room for as many. NULL without memory. */
struct update *update_new(size_t steps, size_t denials);
