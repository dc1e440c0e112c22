/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "output.h"
#include "which.h"

#define INDENT 2
#define DEEPER 6

/* "name        value  (source)" */
static void print_facts(const json_t *facts)
{
	json_t *fact = NULL;
	size_t i = 0;

	puts("facts");
	json_array_foreach (facts, i, fact) {
		SCOPED(free_ptr) char *text = NULL;

		if (asprintf(&text, "%s  (from %s)", field_text(fact, "value"),
		             field_text(fact, "source")) < 0) {
			text = NULL;
			continue;
		}
		output_fact(stdout, INDENT, field_text(fact, "name"), text);
	}
}

/* "  3fa9…  db-password  matches, weak: …", and its paths below. */
static void print_matches(const json_t *matches)
{
	json_t *match = NULL, *path = NULL;
	size_t i = 0, j = 0;

	puts("grants");
	json_array_foreach (matches, i, match) {
		const char *strength = field_text(match, "strength");

		printf("%*s", INDENT, "");
		output_text(stdout, field_text(match, "grant"));
		printf("  ");
		output_text(stdout, field_text(match, "name"));
		printf("  ");
		if (field_true(match, "matches"))
			output_toned(stdout, TONE_GOOD, "matches");
		else
			output_toned(stdout, TONE_NOTICE, "does not match");
		if (strength[0]) {
			printf(", ");
			output_text(stdout, strength);
		}
		printf(": ");
		output_text(stdout, field_text(match, "reason"));
		putchar('\n');
		json_array_foreach (json_object_get(match, "paths"), j, path) {
			printf("%*sas ", DEEPER, "");
			output_text(stdout, json_is_string(path) ? json_string_value(path) : "?");
			putchar('\n');
		}
	}
}

/* "  db-password  is db/password version 3 by grant 3fa9…, mode 0400, owner 0:0" */
static void print_files(const json_t *files)
{
	json_t *file = NULL;
	size_t i = 0;

	puts("files");
	json_array_foreach (files, i, file) {
		const char *mode = field_text(file, "mode");
		char version[FIELD_NUMBER_MAX], uid[FIELD_NUMBER_MAX], gid[FIELD_NUMBER_MAX];

		printf("%*s", INDENT, "");
		output_text(stdout, field_text(file, "path"));
		printf("  is ");
		output_text(stdout, field_text(file, "name"));
		printf(" version %s by grant ", field_number(file, "version", version));
		output_text(stdout, field_text(file, "grant"));
		if (mode[0]) {
			printf(", mode ");
			output_text(stdout, mode);
			printf(", owner %s:%s", field_number(file, "uid", uid),
			       field_number(file, "gid", gid));
		}
		putchar('\n');
	}
}

static void print_notes(const json_t *notes)
{
	json_t *note = NULL;
	size_t i = 0;

	if (json_array_size(notes) == 0)
		return;
	puts("notes");
	json_array_foreach (notes, i, note) {
		printf("%*s", INDENT, "");
		output_text(stdout, json_is_string(note) ? json_string_value(note) : "?");
		putchar('\n');
	}
}

int verb_explain(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = NULL;
	SCOPED(json_ptr) json_t *reply = NULL;
	const char *instance = NULL;
	int r = which_container(o, &parameters, e);

	if (r == 0)
		r = client_call(c, "Explain", TAKE_PTR(parameters), &reply, e);
	if (r < 0)
		return r;
	if (c->json)
		return output_json(reply, e);
	instance = field_text(reply, "instance");
	output_fact(stdout, 0, "instance", instance[0] ? instance : "none: it is not registered");
	print_facts(json_object_get(reply, "facts"));
	print_matches(json_object_get(reply, "matches"));
	print_files(json_object_get(reply, "files"));
	print_notes(json_object_get(reply, "notes"));
	return 0;
}
