/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "output.h"

enum shape { TEXT, NUMBER };

/* What is shown of a broker's status, in this order; what it does not say is left out. */
static const struct {
	const char *label, *field;
	enum shape shape;
} lines[] = {
	{ "state", "state", TEXT },
	{ "version", "version", TEXT },
	{ "store", "store_id", TEXT },
	{ "epoch", "epoch", NUMBER },
	{ "secrets", "secrets", NUMBER },
	{ "grants", "grants", NUMBER },
	{ "attachments", "attachments", NUMBER },
	{ "audit lines", "audit_lines", NUMBER },
	{ "state folder", "state_dir", TEXT },
	{ "runtime folder", "runtime_dir", TEXT },
};

static void print_slots(const json_t *slots)
{
	json_t *slot = NULL;
	size_t i = 0;

	json_array_foreach (slots, i, slot) {
		char id[FIELD_NUMBER_MAX];
		SCOPED(free_ptr) char *text = NULL;

		if (asprintf(&text, "%s: %s", field_number(slot, "id", id),
		             field_text(slot, "kind")) < 0) {
			text = NULL;
			continue;
		}
		output_fact(stdout, 0, "unseal slot", text);
	}
}

int verb_status(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *reply = NULL;
	json_t *warning = NULL;
	size_t i = 0;
	int r = client_call(c, "Status", NULL, &reply, e);

	(void)o;
	if (r < 0)
		return r;
	if (c->json)
		return output_json(reply, e);
	for (size_t line = 0; line < ARRAY_LEN(lines); line++) {
		char number[FIELD_NUMBER_MAX];
		const char *text = lines[line].shape == TEXT
		                           ? field_text(reply, lines[line].field)
		                           : field_number(reply, lines[line].field, number);

		if (text[0])
			output_fact_toned(stdout, lines[line].label, output_tone_of(text), text);
	}
	print_slots(json_object_get(reply, "slots"));
	json_array_foreach (json_object_get(reply, "warnings"), i, warning) {
		output_fact_toned(stdout, "warning", TONE_NOTICE,
		                  json_is_string(warning) ? json_string_value(warning) : "?");
	}
	return 0;
}
