/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/inspection.h"

#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "flow/report.h"

struct inspection {
	struct inspection *next;
	struct containers *set;
	struct inspection_request request;
	struct operation *op;
};

static void inspection_unlink(struct inspection *i)
{
	for (struct inspection **at = &i->set->inspections; *at; at = &(*at)->next)
		if (*at == i) {
			*at = i->next;
			i->set->inspecting--;
			return;
		}
}

static void finish(struct inspection *i, struct container *c, int error, const char *why)
{
	inspection_unlink(i);
	if (i->request.done)
		i->request.done(i->request.arg, c, error, why);
	else if (error < 0)
		log_warn("process %d is not registered: %s", i->request.pid, why);
	else if (c)
		container_step(c);
	free(i);
}

/* Registered already (by its hook, or a moment ago)? Then it stays what it is. */
static struct container *known(struct inspection *i, const struct facts *f)
{
	struct container *c = container_by_pid(i->set, f->fixed.pid, f->fixed.start_time);

	return c ? c : NULL;
}

static void take_facts(struct inspection *i, struct facts *facts)
{
	const struct inspection_request *q = &i->request;
	struct err why = { "" };
	struct container *c = known(i, facts);
	int result = 0;

	if (q->start_time && q->start_time != facts->fixed.start_time) {
		finish(i, NULL, -ESRCH,
		       "the process has ended and its number was given to another");
		return;
	}
	if (q->dry && q->facts)
		q->facts(q->arg, facts);
	if (!c && !q->dry) {
		result = container_register(i->set, facts, q->has_instance ? q->instance : NULL, &c,
		                            &why);
		if (result >= 0) {
			c->hook = q->hook;
			c->explicit = q->explicit;
			c->dev = q->old_dev;
			if (q->detached)
				c->mount = MOUNT_DETACHED;
			registry_save(c);
		}
	} else if (c && q->how == INSPECT_HOOK && !q->running &&
	           strcmp(c->facts.subject.id, q->id) != 0) {
		result = err_set(&why, -EEXIST,
		                 "process %d is registered already, as another container", q->pid);
	}
	finish(i, c, result, why.text);
}

static void on_news(void *arg, struct operation_news *news)
{
	struct inspection *i = arg;
	struct facts facts;
	struct err why;
	int result;

	if (news->event == OPERATION_SLOW)
		return;
	i->op = NULL;
	if (news->event == OPERATION_FAILED) {
		finish(i, NULL, news->error, news->why.text);
		return;
	}
	result = news->record->type == AR_FACTS
	                 ? facts_take(news->record, &facts, &why)
	                 : err_set(&why, -EBADMSG, "the attacher answered out of turn");
	if (result < 0) {
		finish(i, NULL, result, why.text);
		return;
	}
	take_facts(i, &facts);
	facts_clear(&facts);
}

int inspection_start(struct containers *set, const struct inspection_request *request,
                     struct err *e)
{
	struct ar_inspect fixed = { .how = request->how, .pid = request->pid };
	unsigned char texts[sizeof(request->id) + sizeof(request->bundle) + 4];
	struct operation_request ask = {
		.type = AR_INSPECT,
		.payload = &fixed,
		.len = sizeof(fixed),
		.tail = texts,
		.limit_s = INSPECTION_S,
	};
	struct inspection *i;
	int result;

	if (set->inspecting >= INSPECTIONS_MAX)
		return err_set(e, -EBUSY, "%d containers are being looked at already; try again",
		               INSPECTIONS_MAX);
	if (record_put_text(texts, sizeof(texts), &ask.tail_len, request->id) < 0 ||
	    record_put_text(texts, sizeof(texts), &ask.tail_len, request->bundle) < 0)
		return err_set(e, -EINVAL, "the container's id or bundle is too long");
	i = calloc(1, sizeof(*i));
	if (!i)
		return err_set(e, -ENOMEM, "out of memory");
	i->set = set;
	i->request = *request;
	result = operation_start(set->b, &ask, on_news, i, &i->op);
	if (result < 0) {
		free(i);
		return err_errno(e, result, "cannot start an attacher");
	}
	i->next = set->inspections;
	set->inspections = i;
	set->inspecting++;
	return 0;
}

void inspection_drop_all(struct containers *set)
{
	while (set->inspections) {
		struct inspection *i = set->inspections;

		operation_cancel(i->op);
		inspection_unlink(i);
		if (i->request.done)
			i->request.done(i->request.arg, NULL, -ECANCELED,
			                "the broker is going down");
		free(i);
	}
}
