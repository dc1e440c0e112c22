/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "output.h"

int verb_rollback(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(json_ptr) json_t *reply = NULL;
	const json_t *stored = NULL;
	char version[FIELD_NUMBER_MAX];
	int64_t to = 0, wait_ms = 0;
	int r = options_number(o, "to", 1, INT64_MAX, &to, e);

	if (r < 0)
		return CLIENT_USAGE;
	if (r == 0)
		return err_set(e, CLIENT_USAGE,
		               "rollback wants --to N; coffer history shows which");
	r = client_wait_adopted(o, &wait_ms, e);
	if (r == 0)
		r = set_text(parameters, "name", o->word[0], e);
	if (r == 0)
		r = set_number(parameters, "to", true, to, e);
	if (r == 0)
		r = client_change(c,
		                  &(struct client_change){ .method = "Rollback",
		                                           .parameters = parameters,
		                                           .wait_ms = wait_ms },
		                  &reply, e);
	if (r == 0)
		r = client_changed(c, reply, e);
	if (r == 0) {
		stored = json_object_get(reply, "stored");
		output_text(stdout, field_text(stored, "name"));
		printf(" %s\n", field_number(stored, "version", version));
	}
	return r < 0 ? r : client_adopted(reply, options_text(o, "wait-adopted", 0), e);
}

int verb_rm(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = set_text(parameters, "name", o->word[0], e);

	if (r == 0)
		r = client_call(c, "Remove", TAKE_PTR(parameters), &reply, e);
	if (r == 0)
		r = client_changed(c, reply, e);
	return r < 0 ? r : 0;
}
