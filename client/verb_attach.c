/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "output.h"
#include "which.h"

#define HELD_SHOWN 4 /* versions in one cell; more are counted */
#define HELD_TEXT_MAX ((HELD_SHOWN + 1) * FIELD_NUMBER_MAX)

static const char *const ps_headings[] = { "CONTAINER", "RUNTIME", "PID",         "STATE", "FILE",
	                                   "VERSION",   "OPENED",  "LAST-OPENED", "HELD",  NULL };

int verb_attach(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = NULL;
	SCOPED(json_ptr) json_t *reply = NULL;
	const json_t *attachment = NULL;
	int r = which_container(o, &parameters, e);

	if (r == 0)
		r = client_call(c, "Attach", TAKE_PTR(parameters), &reply, e);
	if (r < 0)
		return r;
	if (c->json)
		return output_json(reply, e);
	attachment = json_object_get(reply, "attachment");
	output_text(stdout, field_text(attachment, "container"));
	fputs(" ", stdout);
	output_toned(stdout, output_tone_of(field_text(attachment, "state")),
	             field_text(attachment, "state"));
	putchar('\n');
	return 0;
}

int verb_detach(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = set_text(parameters, "container", o->word[0], e);

	if (r == 0)
		r = client_call(c, "Detach", TAKE_PTR(parameters), &reply, e);
	return r == 0 && c->json ? output_json(reply, e) : r;
}

/* "1,2,5,6,+3": the oldest first, and how many more there are. */
static const char *held_text(const json_t *held, char buffer[HELD_TEXT_MAX])
{
	size_t count = json_array_size(held), used = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < count && i < HELD_SHOWN; i++)
		used += (size_t)snprintf(buffer + used, HELD_TEXT_MAX - used,
		                         "%s%" JSON_INTEGER_FORMAT, i ? "," : "",
		                         json_integer_value(json_array_get(held, i)));
	if (count > HELD_SHOWN)
		snprintf(buffer + used, HELD_TEXT_MAX - used, ",+%zu", count - HELD_SHOWN);
	return buffer;
}

static int add_file(struct table *table, const json_t *attachment, const json_t *file)
{
	char pid[FIELD_NUMBER_MAX], version[FIELD_NUMBER_MAX], opened[FIELD_NUMBER_MAX];
	char held[HELD_TEXT_MAX];
	const char *cells[] = { field_text(attachment, "container"),
		                field_text(attachment, "runtime"),
		                field_number(attachment, "pid", pid),
		                field_text(attachment, "state"),
		                field_text(file, "path"),
		                field_number(file, "version", version),
		                field_number(file, "opened_version", opened),
		                field_text(file, "opened"),
		                held_text(json_object_get(file, "held"), held) };

	return table_add(table, cells);
}

/* One line for each file; a container without files has one line too. */
static int add_attachment(struct table *table, const json_t *attachment)
{
	json_t *files = json_object_get(attachment, "files"), *file = NULL;
	size_t i = 0;

	if (json_array_size(files) == 0)
		return add_file(table, attachment, NULL);
	json_array_foreach (files, i, file) {
		if (add_file(table, attachment, file) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Behind the table: what grants wanted done in the container and was not. */
static void print_reactions(const json_t *attachment)
{
	json_t *reaction = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(attachment, "reactions"), i, reaction) {
		const char *result = field_text(reaction, "result");

		if (!result[0] || strcmp(result, "ok") == 0)
			continue;
		output_text(stdout, field_text(attachment, "container"));
		fputs(": ", stdout);
		output_text(stdout, field_text(reaction, "on_rotate"));
		fputs(" of grant ", stdout);
		output_text(stdout, field_text(reaction, "grant"));
		fputc(' ', stdout);
		output_toned(stdout, TONE_BAD, "failed");
		fputs(" at ", stdout);
		output_text(stdout, field_text(reaction, "last"));
		fputs(": ", stdout);
		output_text(stdout, result);
		putchar('\n');
	}
}

int verb_ps(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(table_free_ptr) struct table *table = table_new(ps_headings);
	SCOPED(json_ptr) json_t *reply = NULL;
	json_t *attachment = NULL;
	size_t i = 0;
	int r = client_call(c, "Attachments", NULL, &reply, e);

	(void)o;
	if (r < 0)
		return r;
	if (c->json)
		return output_json(reply, e);
	r = table ? 0 : -ENOMEM;
	json_array_foreach (json_object_get(reply, "attachments"), i, attachment) {
		if (r == 0)
			r = add_attachment(table, attachment);
	}
	if (r < 0)
		return err_errno(e, r, "cannot list");
	table_print(table, stdout, c->tty);
	json_array_foreach (json_object_get(reply, "attachments"), i, attachment)
		print_reactions(attachment);
	return 0;
}
