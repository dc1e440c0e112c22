/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "grant_text.h"
#include "grants_file.h"
#include "output.h"

#define DIFFERENT 1 /* exit status, as of diff(1) */

static int ask(const struct client *c, json_t *grants, bool prune, bool dry_run, json_t **ret,
               struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	int r = set_new(parameters, "grants", json_incref(grants), e);

	if (r == 0)
		r = set_true(parameters, "prune", prune, e);
	if (r == 0)
		r = set_true(parameters, "dry_run", dry_run, e);
	return r < 0 ? r : client_call(c, "ApplyGrants", TAKE_PTR(parameters), ret, e);
}

/* "+ tls/ container=web (0123456789abcdef)" */
static int print_rows(const json_t *reply, const char *field, char sign, struct err *e)
{
	json_t *row = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(reply, field), i, row) {
		SCOPED(free_ptr) char *line = grant_line(row);
		const char *id = field_text(row, "id");

		if (!line)
			return err_errno(e, -ENOMEM, "cannot list");
		printf("%c ", sign);
		output_text(stdout, line);
		if (id[0]) {
			fputs(" (", stdout);
			output_text(stdout, id);
			putchar(')');
		}
		putchar('\n');
	}
	return 0;
}

static int print_changes(const json_t *reply, struct err *e)
{
	int r = print_rows(reply, "removed", '-', e);

	return r < 0 ? r : print_rows(reply, "added", '+', e);
}

static void warn_clash(void *arg, const char *sentence)
{
	(void)arg;
	output_warning("%s", sentence);
}

static void note_others(const json_t *reply, bool prune, const char *path)
{
	json_int_t others = json_integer_value(json_object_get(reply, "others"));

	if (!prune && others > 0)
		output_note("%" JSON_INTEGER_FORMAT
		            " grants that are not in %s stay: see coffer diff, and apply --prune",
		            others, path);
}

int verb_apply(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *grants = NULL;
	SCOPED(json_ptr) json_t *reply = NULL;
	bool prune = options_has(o, "prune"), dry_run = options_has(o, "dry-run");
	int r = grants_file_read(o->word[0], &grants, e);

	if (r < 0)
		return r;
	grants_clashes(grants, warn_clash, NULL);
	r = ask(c, grants, prune, dry_run, &reply, e);
	if (r == 0)
		r = client_changed(c, reply, e);
	if (r < 0)
		return r;
	note_others(reply, prune, o->word[0]);
	return r == 0 ? print_changes(reply, e) : 0;
}

int verb_diff(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *grants = NULL;
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = grants_file_read(o->word[0], &grants, e);

	if (r == 0)
		r = ask(c, grants, true, true, &reply, e);
	if (r == 0)
		r = c->json ? output_json(reply, e) : print_changes(reply, e);
	if (r < 0)
		return CLIENT_TROUBLE;
	return json_array_size(json_object_get(reply, "added")) > 0 ||
	                       json_array_size(json_object_get(reply, "removed")) > 0
	               ? DIFFERENT
	               : 0;
}
