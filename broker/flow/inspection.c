/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/inspection.h"

#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "flow/adopt.h"
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
			i->set->inspecting_peers -= i->request.peer;
			return;
		}
}

/*
 * Of what somebody wanted to be a container. A peer of the workload socket has its own record, and
 * a name that nothing has is no refusal.
 */
static void record_refusal(const struct inspection *i, int error, const char *why)
{
	const struct inspection_request *q = &i->request;

	if (error >= 0 || q->dry || !(q->hook || q->explicit) ||
	    (q->how == INSPECT_NAME && error == -ENOENT))
		return;
	report_refused_container(i->set->b, q->id, q->pid, why);
}

static void finish(struct inspection *i, struct container *c, int error, const char *why)
{
	struct containers *set = i->set;

	inspection_unlink(i);
	if (!c)
		record_refusal(i, error, why);
	if (i->request.done)
		i->request.done(i->request.arg, c, error, why);
	else if (error < 0)
		log_warn("process %d is not registered: %s", i->request.pid, why);
	else if (c)
		container_step(c);
	set->restoring -= i->request.saved != NULL;
	if (i->request.saved && error < 0)
		registry_give_up(set, i->request.saved, error);
	json_decref(i->request.saved);
	free(i);
	registry_load_more(set);
	registry_note_loaded(set);
}

static void take_facts(struct inspection *i, struct facts *facts)
{
	const struct inspection_request *q = &i->request;
	struct err why = { "" };
	/* Registered already (by its hook, or a moment ago)? Then it stays what it is. */
	struct container *c = container_by_pid(i->set, facts->fixed.pid, facts->fixed.start_time);
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
			if (q->saved)
				adopt_begin(c, q->saved);
			registry_save(c);
		}
	} else if (c && q->how == INSPECT_HOOK && !q->running &&
	           strcmp(c->facts.subject.id, q->id) != 0) {
		result = err_set(&why, -EEXIST,
		                 "process %d is registered already, as another container", q->pid);
	}
	if (c && result >= 0 && !q->dry &&
	    ((q->hook && !c->hook) || (q->explicit && !c->explicit))) {
		c->hook |= q->hook; /* first seen by its socket, say */
		c->explicit |= q->explicit;
		registry_save(c);
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

	if (set->inspecting >= INSPECTIONS_MAX ||
	    (request->peer && set->inspecting_peers >= INSPECTIONS_PEERS_MAX))
		return err_set(e, -EBUSY, "%zu containers are being looked at already; try again",
		               set->inspecting);
	if (record_put_text(texts, sizeof(texts), &ask.tail_len, request->id) < 0 ||
	    record_put_text(texts, sizeof(texts), &ask.tail_len, request->bundle) < 0)
		return err_set(e, -EINVAL, "the container's id or bundle is too long");
	i = calloc(1, sizeof(*i));
	if (!i)
		return err_set(e, -ENOMEM, "out of memory");
	i->set = set;
	i->request = *request;
	json_incref(i->request.saved);
	result = operation_start(set->b, &ask, on_news, i, &i->op);
	if (result < 0) {
		json_decref(i->request.saved);
		free(i);
		return err_errno(e, result, "cannot start an attacher");
	}
	i->next = set->inspections;
	set->inspections = i;
	set->inspecting++;
	set->inspecting_peers += i->request.peer;
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
