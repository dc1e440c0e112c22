/* SPDX-License-Identifier: Apache-2.0 */
#include "hook_register.h"

#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"

/*
 * Annotations that a condition can name; longer ones are an engine's documents, which nobody
 * matches.
 */

static const struct {
	int code;
	enum hook_outcome outcome;
} outcomes[] = {
	{ -ENOENT, HOOK_ABSENT }, { -ECONNREFUSED, HOOK_SEALED }, { -ECONNRESET, HOOK_SEALED },
	{ -ENOKEY, HOOK_SEALED }, { -ENODATA, HOOK_SEALED },      { -ETIMEDOUT, HOOK_SILENT },
};

/*
 * An answer of the broker is an answer, whatever errno it maps to: only two of them are not
 * final.
 */
static enum hook_outcome outcome_of(int code, const struct call *call)
{
	bool answered = call && call_error(call);

	if (answered && code != -ENOKEY && code != -ENODATA)
		return HOOK_REFUSED;
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		if (outcomes[i].code == code)
			return outcomes[i].outcome;
	return HOOK_REFUSED;
}

void hook_attempt_clear(struct hook_attempt *a)
{
	call_free_ptr(&a->call);
}

static int put_together(const struct hook_state *s, json_t *parameters, struct err *e)
{
	int r = set_text(parameters, "id", s->id, e);

	if (r == 0)
		r = set_text(parameters, "bundle", s->bundle, e);
	return r;
}

static enum hook_outcome await_answer(struct hook_attempt *a, struct err *e)
{
	SCOPED(json_ptr) json_t *reply = NULL;
	bool continues = false;
	enum hook_outcome outcome = HOOK_DONE;
	int r = call_next(a->call, &reply, &continues, e);

	if (r < 0)
		outcome = outcome_of(r, a->call);
	if (outcome != HOOK_SILENT)
		hook_attempt_clear(a);
	return outcome;
}

enum hook_outcome hook_register(const char *runtime_dir, const struct hook_state *s, int timeout_ms,
                                struct hook_attempt *ret, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(hook_attempt_clear) struct hook_attempt a = { 0 };
	enum hook_outcome outcome = HOOK_REFUSED;
	int r = put_together(s, parameters, e);

	if (r == 0)
		r = set_number(parameters, "pid", true, s->pid, e);
	if (r < 0)
		return HOOK_REFUSED;
	r = call_open(runtime_dir, timeout_ms, &a.call, e);
	if (r == 0)
		r = call_send(
			a.call,
			&(struct call_request){ .method = "Register", .parameters = parameters },
			e);
	if (r == -ETIMEDOUT) /* it does not even take the question: ask again later */
		return HOOK_SEALED;
	if (r < 0)
		return outcome_of(r, NULL);
	outcome = await_answer(&a, e);
	ret->call = TAKE_PTR(a.call);
	return outcome;
}

enum hook_outcome hook_register_await(struct hook_attempt *a, int timeout_ms, struct err *e)
{
	call_set_timeout(a->call, timeout_ms);
	return await_answer(a, e);
}

bool hook_is_held_back(const char *runtime_dir, int timeout_ms)
{
	SCOPED(json_ptr) json_t *reply = NULL;
	SCOPED(call_free_ptr) struct call *call = NULL;

	return call_open(runtime_dir, timeout_ms, &call, NULL) == 0 &&
	       call_once(call, &(struct call_request){ .method = "Status" }, &reply, NULL) == 0 &&
	       strcmp(field_text(reply, "state"), "unsealed") != 0;
}

int hook_unregister(const char *runtime_dir, const struct hook_state *s, int timeout_ms,
                    struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(json_ptr) json_t *reply = NULL;
	SCOPED(call_free_ptr) struct call *call = NULL;
	int r = put_together(s, parameters, e);

	if (r == 0)
		r = call_open(runtime_dir, timeout_ms, &call, e);
	if (r == 0)
		r = call_once(
			call,
			&(struct call_request){ .method = "Unregister", .parameters = parameters },
			&reply, e);
	switch (r) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ENOKEY:
	case -ENODATA:
		return 0;
	default:
		return r;
	}
}
