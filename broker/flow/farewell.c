/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/farewell.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/json.h"
#include "flow/adopt.h"
#include "flow/inspection.h"
#include "flow/registry_json.h"
#include "server/config.h"

static int take_names(struct container *c, const json_t *saved)
{
	struct subject *s = &c->facts.subject;
	const char *id = "", *name = "", *runtime = "";

	/* A build before wrote the id alone. */
	if (json_get_string(saved, "id", true, &id, NULL) < 0 ||
	    json_get_string(saved, "name", false, &name, NULL) < 0 ||
	    json_get_string(saved, "runtime", false, &runtime, NULL) < 0)
		return -EBADMSG;
	s->id = strdup(id);
	s->name = strdup(name && name[0] ? name : id);
	s->runtime = strdup(runtime ? runtime : "");
	s->unit = strdup("");
	return s->id && s->name && s->runtime && s->unit ? 0 : -ENOMEM;
}

int farewell_begin(struct containers *set, const json_t *saved, const char *why)
{
	struct inspection_request request = { 0 };
	struct container *c = calloc(1, sizeof(*c));
	int result = c ? registry_request(saved, &request, NULL) : -ENOMEM;

	if (result < 0) {
		free(c);
		return result;
	}
	container_init(c, set, request.instance);
	c->gone = true;
	c->dev = request.old_dev;
	c->facts.fixed.pid = request.pid;
	c->facts.fixed.start_time = request.start_time;
	result = take_names(c, saved);
	if (result < 0) {
		facts_clear(&c->facts);
		free(c);
		return result;
	}
	err_set(&c->reason, -ESRCH, "%s", why);
	c->next = set->first;
	set->first = c;
	set->count++;
	adopt_begin(c, saved);
	return 0;
}

void farewell_end(struct container *c)
{
	const struct err why = c->reason;

	container_end(c, why.text);
}
