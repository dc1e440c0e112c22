/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "info.h"
#include "output.h"

static const char *const secret_headings[] = { "NAME",     "VERSION", "SIZE",
	                                       "MODIFIED", "EXPIRES", NULL };
static const char *const version_headings[] = { "VERSION", "SIZE",    "CREATED",
	                                        "EXPIRES", "~LABELS", NULL };

static int no_memory(struct err *e)
{
	return err_errno(e, -ENOMEM, "cannot list");
}

static int print_secrets(const struct client *c, const json_t *secrets, struct err *e)
{
	SCOPED(table_free_ptr) struct table *table = table_new(secret_headings);
	json_t *row = NULL;
	size_t i = 0;

	if (!table)
		return no_memory(e);
	json_array_foreach (secrets, i, row) {
		char version[FIELD_NUMBER_MAX], size[FIELD_NUMBER_MAX];
		const char *cells[] = { field_text(row, "name"),
			                field_number(row, "version", version),
			                field_number(row, "size", size), field_text(row, "created"),
			                field_true(row, "expired") ? "expired"
			                                           : field_text(row, "expires") };

		if (table_add(table, cells) < 0)
			return no_memory(e);
	}
	table_print(table, stdout, c->tty);
	return 0;
}

int verb_ls(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(json_ptr) json_t *answer = NULL;
	int r = set_text(parameters, "prefix", o->words ? o->word[0] : NULL, e);

	if (r == 0)
		r = client_collect(c, "List", parameters, "secrets", &answer, e);
	if (r < 0)
		return r;
	if (c->json)
		return output_json(answer, e);
	return print_secrets(c, json_object_get(answer, "secrets"), e);
}

static int print_versions(const struct client *c, const json_t *versions, struct err *e)
{
	SCOPED(table_free_ptr) struct table *table = table_new(version_headings);
	json_t *row = NULL;
	size_t i = 0;

	if (!table)
		return no_memory(e);
	json_array_foreach (versions, i, row) {
		SCOPED(free_ptr) char *labels = field_labels(row, "labels");
		char version[FIELD_NUMBER_MAX], size[FIELD_NUMBER_MAX];
		const char *cells[] = { field_number(row, "version", version),
			                field_number(row, "size", size), field_text(row, "created"),
			                field_text(row, "expires"), labels };

		if (!labels || table_add(table, cells) < 0)
			return no_memory(e);
	}
	table_print(table, stdout, c->tty);
	return 0;
}

int verb_history(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *reply = NULL;
	SCOPED(json_ptr) json_t *answer = NULL;
	json_t *versions = NULL;
	int r = info_fetch(c, o->word[0], &reply, e);

	if (r < 0)
		return r;
	versions = json_object_get(reply, "versions");
	if (!c->json)
		return print_versions(c, versions, e);
	answer = json_pack("{s:O?}", "versions", versions);
	return answer ? output_json(answer, e) : no_memory(e);
}
