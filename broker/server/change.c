/* SPDX-License-Identifier: Apache-2.0 */
#include "server/change.h"

#include <errno.h>
#include <stdlib.h>

#include "flow/containers.h"
#include "server/audit_pump.h"

struct settling {
	struct call *call;
	json_t *reply;
};

static int stands(struct err *e, int r)
{
	return err_prefix(e, r,
	                  "the change was made, but its audit record could not be written (it is "
	                  "kept in memory; see status)");
}

int change_add(struct broker *b, struct call *call, const char *event, json_t *fields,
               struct err *e)
{
	int r = fields ? 0 : -ENOMEM;

	if (r == 0) {
		call_describe(call, fields);
		if (vault_state(b->vault) == VAULT_UNSEALED)
			audit_set_epoch(b->audit, vault_epoch(b->vault));
		r = audit_add(b->audit, event, fields);
	}
	if (r == 0)
		return 0;
	err_errno(e, r, "the audit log takes no more lines");
	return stands(e, r);
}

int change_flush(struct broker *b, struct err *e)
{
	int r = audit_pump_flush(b->audit_pump, e);

	return r < 0 ? stands(e, r) : 0;
}

int change_record(struct broker *b, struct call *call, const char *event, json_t *fields,
                  struct err *e)
{
	int r = change_add(b, call, event, fields, e);

	if (r == 0)
		r = change_flush(b, e);
	if (r < 0) /* it stands all the same: containers show it */
		(void)containers_refresh(b->containers, NULL, NULL);
	return r;
}

static void settled(void *arg, const char *const *lagging, size_t count)
{
	struct settling *s = arg;
	json_t *names = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(names, json_string(lagging[i]));
	json_object_set_new(s->reply, "lagging", names);
	call_reply(s->call, s->reply);
	call_unref(s->call);
	free(s);
}

int change_settle(struct broker *b, struct call *call, json_t *reply, struct err *e)
{
	struct settling *s = calloc(1, sizeof(*s));
	int r;

	if (!s || !reply) {
		free(s);
		json_decref(reply);
		return err_set(e, -ENOMEM,
		               "the change was made, but there is no memory to bring "
		               "the containers up to date");
	}
	s->call = call_ref(call);
	s->reply = reply;
	r = containers_refresh(b->containers, settled, s);
	if (r < 0) {
		call_unref(call);
		json_decref(reply);
		free(s);
		return err_errno(e, r,
		                 "the change was made, but the containers could not be brought up "
		                 "to date");
	}
	return 0;
}
