/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pages.h"

#include <errno.h>
#include <stdlib.h>

#include "server/turn.h"

struct pages {
	struct call *call;
	struct pages_source source;
	sd_event_source *turn;
};

static void pages_free(struct pages *p)
{
	sd_event_source_disable_unref(p->turn);
	p->source.release(p->source.arg);
	call_unref(p->call);
	free(p);
}

static void on_gone(void *arg)
{
	pages_free(arg);
}

/* The answer is over: nothing of ours may be called by what the last reply sets off. */
static struct call *leave(struct pages *p)
{
	struct call *call = call_ref(p->call);

	call_on_gone(call, NULL, NULL);
	call_on_drained(call, NULL, NULL);
	pages_free(p);
	return call;
}

static int on_turn(sd_event_source *source, uint64_t usec, void *arg)
{
	struct pages *p = arg;
	struct call *call;
	struct err e = { 0 };
	json_t *reply = NULL;
	bool last = false;
	int r;

	if (call_backlog(p->call) > 0)
		return 0; /* on_drained comes */
	r = p->source.next(p->source.arg, &reply, &last, &e);
	if (r < 0) {
		call = leave(p);
		call_fail(call, r, &e);
		call_unref(call);
	} else if (reply && last) {
		call = leave(p);
		call_reply(call, reply);
		call_unref(call);
	} else if (reply) {
		/* If this ends the connection, `p` is gone when it returns. */
		call = call_ref(p->call);
		call_reply_more(call, reply);
		call_unref(call);
	}
	return 0;
}

void pages_pull(struct pages *p)
{
	turn_arm(p->turn);
}

static void on_drained(void *arg)
{
	pages_pull(arg);
}

int pages_start(struct broker *b, struct call *call, const struct pages_source *source,
                struct pages **ret, struct err *e)
{
	struct pages *p = calloc(1, sizeof(*p));
	int r = p ? turn_new(b->event, PRIORITY_ANSWERS, on_turn, p, &p->turn) : -ENOMEM;

	if (r < 0) {
		source->release(source->arg);
		free(p);
		return err_errno(e, r, "cannot begin a long answer");
	}
	p->call = call_ref(call);
	p->source = *source;
	call_on_gone(call, on_gone, p);
	call_on_drained(call, on_drained, p);
	if (ret)
		*ret = p;
	return 0;
}
