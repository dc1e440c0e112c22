/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods_container.c - the operator's methods on containers.
 */
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/times.h"
#include "flow/container.h"
#include "flow/describe.h"
#include "flow/inspection.h"
#include "flow/report.h"
#include "server/audit_pump.h"
#include "server/config.h"
#include "server/lifecycle.h"
#include "server/methods.h"

#define ID_MAX 1024 /* bytes of a container's id or name; engines use 64 */
/* how long a container that must not run without its secrets waits for an unseal */

/* No engine gives its containers such names or ids. */
static bool is_unit(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (strcmp(dot, ".service") == 0 || strcmp(dot, ".scope") == 0);
}

/* {container} or {pid}, exactly one. */
static int target(json_t *parameters, struct inspection_request *q, struct err *e)
{
	const char *name = NULL;
	int64_t pid = 0;
	int result = json_get_string(parameters, "container", false, &name, e);

	if (result >= 0)
		result = json_get_int(parameters, "pid", false, 1, INT32_MAX, &pid, e);
	if (result < 0)
		return result;
	if (!name == !pid)
		return err_set(e, -EINVAL, "name either a container or a pid");
	if (name && (!name[0] || strlen(name) > ID_MAX))
		return err_set(e, -EINVAL, "a container's name has 1 to %d bytes", ID_MAX);
	q->how = !name ? INSPECT_PID : is_unit(name) ? INSPECT_UNIT : INSPECT_NAME;
	q->pid = (pid_t)pid;
	q->running = true;
	snprintf(q->id, sizeof(q->id), "%s", name ? name : "");
	return 0;
}

/* 0 and the container that is registered by that name, or NULL. */
static int registered(struct broker *b, const char *name, struct container **ret, struct err *e)
{
	bool ambiguous = false;

	*ret = name[0] ? container_find(b->containers, name, &ambiguous) : NULL;
	if (ambiguous)
		return err_set(
			e, -EINVAL,
			"several containers are called that; name one as RUNTIME/NAME or by its "
			"instance (coffer ps --json)");
	return 0;
}

static void on_attached(void *arg, struct container *c, int error, const char *why)
{
	struct call *call = arg;
	struct err e;

	(void)audit_pump_flush(c->set->b->audit_pump, NULL); /* the record before the answer */
	if (error < 0) {
		err_set(&e, error, "%s", why);
		call_fail(call, -ECONNABORTED, &e);
	} else {
		call_reply(call, json_pack("{s:o}", "attachment", describe_attachment(c)));
	}
	call_unref(call);
}

/* The container is known: mount, and answer when that is done. */
static int attach_now(struct container *c, struct call *call, struct err *e)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return err_set(e, -ENOMEM, "out of memory");
	*waiter = (struct waiter){ .done = on_attached, .arg = call_ref(call) };
	container_wait_mount(c, waiter);
	c->explicit = true;
	c->peer_asked = false;
	throttle_lift(c);
	if (c->mount != MOUNT_UP && c->mount != MOUNT_MAKING) {
		c->mount = MOUNT_NONE;
		c->reason.text[0] = '\0';
	}
	registry_save(c);
	container_step(c);
	return 0;
}

static void on_attach_inspected(void *arg, struct container *c, int error, const char *why)
{
	struct call *call = arg;
	struct err e;

	if (!c || attach_now(c, call, &e) < 0) {
		err_set(&e, error, "%s", c ? e.text : why);
		call_fail(call, error == -ENOENT ? error : -ECONNABORTED, &e);
	}
	call_unref(call);
}

static int inspect_for(struct broker *b, struct call *call, struct inspection_request *q,
                       inspection_done done, struct err *e)
{
	int result;

	q->done = done;
	q->arg = call_ref(call);
	result = inspection_start(b->containers, q, e);
	if (result < 0)
		call_unref(call);
	return result;
}

int method_attach(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct inspection_request q = { 0 };
	struct container *c;
	int result = lifecycle_may_change(b, e);

	if (result >= 0)
		result = target(parameters, &q, e);
	if (result < 0)
		return result;
	q.explicit = true;
	result = registered(b, q.id, &c, e);
	if (result < 0)
		return result;
	if (c && c->flow == FLOW_DETACHING)
		return err_set(e, -EBUSY, "it is being detached; try again");
	if (c && c->holds_up && c->flow != FLOW_IDLE)
		return err_set(e, -EBUSY, "%s", HOLDS_UP_REASON);
	return c ? attach_now(c, call, e) : inspect_for(b, call, &q, on_attach_inspected, e);
}

static void on_detached(void *arg, struct container *c, int error, const char *why)
{
	struct call *call = arg;
	struct err e;

	(void)audit_pump_flush(c->set->b->audit_pump, NULL);
	err_set(&e, error, "%s", why);
	if (error < 0)
		call_fail(call, error, &e);
	else
		call_reply(call, NULL);
	call_unref(call);
}

int method_detach(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	const char *name = NULL;
	struct waiter *waiter;
	struct container *c;
	int result = json_get_string(parameters, "container", true, &name, e);

	if (result < 0)
		return result;
	result = registered(b, name, &c, e);
	if (result < 0)
		return result;
	if (!c)
		return err_set(e, -ENOENT,
		               "no container of that name is known; `coffer ps` lists them");
	if (c->flow != FLOW_IDLE)
		return err_set(e, -EBUSY, "a change of that container is under way; try again");
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		return err_set(e, -ENOMEM, "out of memory");
	*waiter = (struct waiter){ .done = on_detached, .arg = call_ref(call) };
	container_wait_mount(c, waiter);
	c->explicit = false;
	result = mount_detach(c);
	if (result < 0)
		container_tell_waiters(c, result, "no attacher could be started");
	return 0;
}

int method_attachments(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	json_t *list = json_array();

	containers_drain(b->containers); /* so that "last opened" is of now */
	for (struct container *c = b->containers->first; c; c = c->next)
		if (!c->gone)
			json_array_append_new(list, describe_attachment(c));
	return call_reply(call, json_pack("{s:o}", "attachments", list));
}

struct explaining {
	struct broker *b;
	struct call *call;
	bool answered;
};

static void on_explain_facts(void *arg, const struct facts *f)
{
	struct explaining *x = arg;
	struct container *c = container_by_pid(x->b->containers, f->fixed.pid, f->fixed.start_time);

	x->answered = true;
	call_reply(x->call, describe_explanation(x->b->containers, f, c));
}

static void on_explained(void *arg, struct container *c, int error, const char *why)
{
	struct explaining *x = arg;
	struct err e;

	if (!x->answered) {
		err_set(&e, error, "%s", why);
		call_fail(x->call, error, &e);
	}
	call_unref(x->call);
	free(x);
}

int method_explain(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct inspection_request q = { .dry = true,
		                        .facts = on_explain_facts,
		                        .done = on_explained };
	struct explaining *x;
	struct container *c;
	int result = target(parameters, &q, e);

	if (result < 0)
		return result;
	result = registered(b, q.id, &c, e);
	if (result < 0)
		return result;
	if (c)
		return call_reply(call, describe_explanation(b->containers, &c->facts, c));
	x = calloc(1, sizeof(*x));
	if (!x)
		return err_set(e, -ENOMEM, "out of memory");
	*x = (struct explaining){ .b = b, .call = call_ref(call) };
	q.arg = x;
	result = inspection_start(b->containers, &q, e);
	if (result < 0) {
		call_unref(call);
		free(x);
	}
	return result;
}
