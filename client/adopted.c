/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopted.c - --wait-adopted: a change is answered when its readers have opened it.
 */
#include <errno.h>
#include <stdio.h>

#include "call.h"
#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/times.h"
#include "fields.h"
#include "output.h"
#include "progress.h"

#define WAIT_MAX_NS (3600 * NS_PER_S) /* as the broker takes it */

int client_wait_adopted(const struct options *o, int64_t *ret_ms, struct err *e)
{
	const char *text = options_text(o, "wait-adopted", 0);
	int64_t ns = 0;

	*ret_ms = 0;
	if (!text)
		return 0;
	if (times_parse_duration(text, &ns, NULL) < 0 || ns > WAIT_MAX_NS)
		return err_set(e, CLIENT_USAGE,
		               "--wait-adopted wants a time such as 30s or 5m, at most 1h");
	*ret_ms = ns / (NS_PER_S / 1000);
	return 0;
}

int client_change(const struct client *c, const struct client_change *change, json_t **ret,
                  struct err *e)
{
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(progress_end) struct progress waiting;
	int r = 0;

	progress_begin(&waiting, c,
	               change->wait_ms > 0 ? "waiting until every reader has opened it"
	                                   : "waiting until every container shows it",
	               PROGRESS_WAIT, 0);
	r = call_open(c->runtime_dir, CALL_TIMEOUT_MS + (int)change->wait_ms, &call, e);
	if (r == 0)
		call_set_tick(call, progress_tick, &waiting);
	if (r == 0)
		r = set_number(change->parameters, "wait_adopted", change->wait_ms > 0,
		               change->wait_ms, e);
	if (r == 0)
		r = call_once(call,
		              &(struct call_request){ .method = change->method,
		                                      .parameters = change->parameters,
		                                      .fds = change->fds,
		                                      .nfds = change->nfds },
		              ret, e);
	if (r == -ECONNRESET && change->wait_ms > 0)
		return err_set(e, r,
		               "the broker went away while it was waited for: coffer info says "
		               "whether the change was made, coffer ps who has opened it");
	return r;
}

int client_adopted(const json_t *reply, const char *text, struct err *e)
{
	const json_t *names = json_object_get(reply, "unadopted");
	char shown[ERR_TEXT_MAX];

	if (json_array_size(names) == 0)
		return 0;
	output_names(names, shown, sizeof(shown));
	return err_set(e, -ETIME,
	               "stored and shown, but within %s not opened again by %s; see: coffer ps",
	               text, shown);
}
