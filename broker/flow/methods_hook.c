/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods_hook.c - a runtime says that a container is being made, or has ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/json.h"
#include "flow/container.h"
#include "flow/inspection.h"
#include "flow/report.h"
#include "server/audit_pump.h"
#include "server/config.h"
#include "server/methods.h"

/* how long a container that must not run without its secrets waits */
#define MUST_WAIT_USEC 30000000ULL

struct registering {
	struct broker *b;
	struct call *call;
	struct container *c; /* NULL once it has ended */
	sd_event_source *limit;
};

static void registering_free(struct registering *r)
{
	sd_event_source_disable_unref(r->limit);
	call_unref(r->call);
	free(r);
}

static void on_placed(void *arg, struct container *c, int error, const char *why)
{
	struct registering *r = arg;
	struct err e;

	c->must_wait = false;
	if (vault_state(r->b->vault) != VAULT_UNSEALED)
		error = error < 0 && error != -ENOKEY ? error : -ENOKEY;
	if (error == -ENOKEY)
		why = "the broker is sealed";
	(void)audit_pump_flush(r->b->audit_pump, NULL); /* the record before the answer */
	err_set(&e, error, "%s", why);
	if (error < 0)
		call_fail(r->call, error == -ENOKEY ? error : -ECONNABORTED, &e);
	else
		call_reply(r->call, json_pack("{s:s, s:b}", "instance", c->instance_text, "mounted",
		                              c->mount == MOUNT_UP));
	registering_free(r);
}

static int on_waited(sd_event_source *source, uint64_t usec, void *arg)
{
	struct registering *r = arg;

	container_tell_waiters(
		r->c, -EPERM,
		"it must not run without its secrets, and the broker is still sealed; "
		"unseal it with `coffer unseal` and start the container again");
	return 0;
}

static bool must_wait(const struct config *config, const struct subject *s)
{
	for (size_t i = 0; i < config->waits; i++) {
		const struct config_wait *w = &config->wait[i];
		struct attribute label = { w->label_key, w->label_value, false };
		const struct grant conditions = {
			.runtime = w->runtime,
			.container = w->container,
			.image = w->image,
			.unit = w->unit,
			.label = &label,
			.labels = w->label_key ? 1 : 0,
			.allow_tag = true,
			.allow_weak = true,
			.allow_unverified = true,
		};

		if (policy_matches(&conditions, s, NULL, NULL))
			return true;
	}
	return false;
}

static void on_inspected(void *arg, struct container *c, int error, const char *why)
{
	struct registering *r = arg;
	struct waiter *waiter = c ? calloc(1, sizeof(*waiter)) : NULL;
	struct err e;

	if (!waiter) {
		err_set(&e, error, "%s", c ? "out of memory" : why);
		call_fail(r->call, c ? -ENOMEM : error, &e);
		registering_free(r);
		return;
	}
	r->c = c;
	*waiter = (struct waiter){ .done = on_placed, .arg = r };
	container_wait_mount(c, waiter);
	c->folder_due = true;
	if (vault_state(r->b->vault) != VAULT_UNSEALED &&
	    must_wait(r->b->config, &c->facts.subject)) {
		c->must_wait = true;
		sd_event_add_time_relative(r->b->event, &r->limit, CLOCK_BOOTTIME, MUST_WAIT_USEC,
		                           0, on_waited, r);
	}
	container_step(c);
}

int method_register(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct inspection_request q = { .how = INSPECT_HOOK, .hook = true, .done = on_inspected };
	const char *id = NULL, *bundle = NULL;
	struct registering *r;
	int64_t pid = 0;
	int result = json_get_string(parameters, "id", true, &id, e);

	if (result >= 0)
		result = json_get_string(parameters, "bundle", true, &bundle, e);
	if (result >= 0)
		result = json_get_int(parameters, "pid", true, 2, INT32_MAX, &pid, e);
	if (result < 0)
		return result;
	if (!id[0] || strlen(id) >= sizeof(q.id) || bundle[0] != '/' ||
	    strlen(bundle) >= sizeof(q.bundle))
		return err_set(e, -EINVAL,
		               "id and bundle are of no length or form that a runtime gives");
	q.pid = (pid_t)pid;
	snprintf(q.id, sizeof(q.id), "%s", id);
	snprintf(q.bundle, sizeof(q.bundle), "%s", bundle);
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	*r = (struct registering){ .b = b, .call = call_ref(call) };
	q.arg = r;
	result = inspection_start(b->containers, &q, e);
	if (result < 0)
		registering_free(r);
	return result;
}

int method_unregister(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	const char *id = NULL, *bundle = NULL;
	int result = json_get_string(parameters, "id", true, &id, e);

	if (result >= 0)
		result = json_get_string(parameters, "bundle", true, &bundle, e);
	if (result < 0)
		return result;
	for (struct container *c = b->containers->first; c; c = c->next)
		if (!c->gone && c->hook && strcmp(c->facts.subject.id, id) == 0 &&
		    strcmp(c->facts.bundle, bundle) == 0) {
			container_end(c, "stopped");
			break;
		}
	return call_reply(call, NULL);
}
