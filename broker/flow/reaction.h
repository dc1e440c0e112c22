/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reaction.h - what grants ask to happen in a container when a version replaces another (policy's
 * on_rotate.h says what that may be).
 *
 *	a change is begun        reaction_note: what the grants of its files ask for is kept, since the
 *	                         change may end while the store is sealed or with another broker
 *	a file is replaced       reaction_replaced: due
 *	the change is over       reaction_run: an attacher does it
 *
 * One for each container and grant, one at a time in each container, independent of the flows that
 * change its mount. What becomes due again meanwhile is done once more afterwards. What is due or
 * under way stands in the registration, so that a next broker does it: at least once. A failure is
 * recorded, shown, and not repeated before the next change.
 */
#pragma once

#include "flow/container.h"

#define REACTIONS_MAX 64    /* grants of one container that ask for one */
#define REACTION_LIMIT_S 30 /* a program is killed then */
#define REACTION_GRACE_S 10 /* and then, or for a signal, the attacher */
#define REACTION_TRIES 3    /* of an attacher that was killed */
#define REACTION_PATHS_MAX 4000

struct reaction {
	struct reaction *next;
	char grant[POLICY_ID_LEN + 1];
	char *on_rotate;
	bool due, running;
	unsigned int tries;
	char *paths, *running_paths; /* replaced, separated by spaces; NULL: none */
	int64_t last_ns;             /* when it was last done; 0: never */
	struct err result;           /* of that: "" it went well */
};

void reaction_note(struct container *c);
void reaction_replaced(struct container *c, const struct node *old, const struct node *n);
void reaction_run(struct container *c);
void reaction_drop(struct container *c); /* all that is under way is ended and forgotten */

/* reaction_json.c: an Attachment's `reactions`, and the same for the registration. */
json_t *reaction_describe(const struct container *c);
json_t *reaction_to_json(const struct container *c);
int reaction_restore(struct container *c, const json_t *object, struct err *e);

/* The container's for this grant, made if it isn't there. NULL without memory, or above
 * REACTIONS_MAX. */
struct reaction *reaction_get(struct container *c, const char *grant, const char *on_rotate);
