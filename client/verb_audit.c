/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "output.h"

/* Members that have a place of their own in a readable line, or none: the chain's. */
static const char *const placed[] = { "time", "event", "seq", "hash", NULL };

/* The usual members first, in this order; whatever else a line has follows. */
static const char *const usual[] = { "container", "name", "version", "uid", "result", NULL };

static bool is_in(const char *const *list, const char *key)
{
	for (; *list; list++)
		if (strcmp(*list, key) == 0)
			return true;
	return false;
}

static void print_member(const char *key, const json_t *value)
{
	SCOPED(json_text_ptr) char *text = NULL;

	if (!value || json_is_null(value))
		return;
	putchar(' ');
	output_text(stdout, key);
	putchar('=');
	if (json_is_string(value)) {
		output_text(stdout, json_string_value(value));
		return;
	}
	text = json_text(value);
	output_text(stdout, text ? text : "?");
}

/* "TIME EVENT container=… name=…"; a line that is no JSON is shown as it is, escaped. */
static void print_readable(const char *line)
{
	SCOPED(json_ptr) json_t *record = NULL;
	const char *key = NULL;
	json_t *value = NULL;

	if (json_parse(line, strlen(line), &record, NULL) < 0 || !json_is_object(record)) {
		output_text(stdout, line);
		putchar('\n');
		return;
	}
	output_text(stdout, field_text(record, "time"));
	putchar(' ');
	output_text(stdout, field_text(record, "event"));
	for (size_t i = 0; usual[i]; i++)
		print_member(usual[i], json_object_get(record, usual[i]));
	json_object_foreach (record, key, value) {
		if (!is_in(placed, key) && !is_in(usual, key))
			print_member(key, value);
	}
	putchar('\n');
}

static int print_lines(const struct client *c, const json_t *reply, struct err *e)
{
	const json_t *lines = json_object_get(reply, "lines");
	json_t *line = NULL;
	size_t i = 0;

	json_array_foreach (lines, i, line) {
		if (!json_is_string(line))
			return err_set(e, -EBADMSG,
			               "the broker's answer holds what is no line: are client and "
			               "broker of one version?");
		if (c->json)
			puts(json_string_value(line));
		else
			print_readable(json_string_value(line));
	}
	/* A reader of --follow wants each line when it comes. */
	if (fflush(stdout) != 0)
		return err_errno(e, -errno, "cannot write to standard output");
	return 0;
}

int verb_audit(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *parameters = json_object();
	bool continues = true, follow = options_has(o, "follow");
	int r = set_true(parameters, "follow", follow, e);

	if (r == 0)
		r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);
	if (r < 0)
		return r;
	if (follow)
		call_set_timeout(call, CALL_FOREVER);
	r = call_send(
		call,
		&(struct call_request){ .method = "Audit", .parameters = parameters, .more = true },
		e);
	while (r == 0 && continues) {
		SCOPED(json_ptr) json_t *reply = NULL;

		r = call_next(call, &reply, &continues, e);
		if (r == 0)
			r = print_lines(c, reply, e);
	}
	return r;
}
