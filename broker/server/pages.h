/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - a long answer to a call made with "more", page by page, as fast as its reader takes
 * them.
 *
 * The next page is made when the one before has left for the client, from a turn of the loop of its
 * own: neither a long list nor a slow reader holds the loop or fills memory.
 */
#pragma once

#include "server/server.h"

struct pages_source {
	/*
	 * The next page, as parameters of a reply. *ret_last: the answer ends with it. 0 with *ret
	 * NULL: nothing now (pages_pull when there is). A negative errno ends the answer with that
	 * error.
	 */
	int (*next)(void *arg, json_t **ret, bool *ret_last, struct err *e);
	void (*release)(void *arg); /* once: the answer is over, or its reader is gone */
	void *arg;
};

struct pages;

/* Takes source->arg over, also on failure. The first page comes from the loop. */
int pages_start(struct broker *b, struct call *call, const struct pages_source *source,
                struct pages **ret, struct err *e);

/* There may be a page now. Only notes it: safe anywhere, also within next(). */
void pages_pull(struct pages *p);
