/* SPDX-License-Identifier: Apache-2.0 */
#include "put.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "lint.h"
#include "output.h"

void put_clear(struct put *p)
{
	json_decref(p->items);
	json_decref(p->labels);
	json_decref(p->said);
	lint_free(p->lint);
	for (size_t i = 0; i < p->nfds; i++)
		fd_close(p->fds[i]);
}

void put_warn(void *put, const char *sentence)
{
	struct put *p = put;

	p->warnings++;
	if (p->check)
		output_warning("%s", sentence);
	else
		json_array_append_new(p->said, json_string(sentence));
}

/* What is not stored needs no warning beside the reason. */
static void print_warnings(const struct put *p)
{
	json_t *sentence;
	size_t i;

	json_array_foreach (p->said, i, sentence)
		output_warning("%s", json_string_value(sentence));
}

/* "30d" from now, or a point in time. */
static int take_expiry(struct put *p, const char *text, struct err *e)
{
	int64_t ns = 0;

	if (!text)
		return 0;
	if (times_parse_duration(text, &ns, NULL) == 0)
		ns += times_now();
	else if (times_parse(text, &ns, NULL) < 0)
		return err_set(
			e, CLIENT_USAGE,
			"--expires wants a time to live such as 90s, 15m, 12h, 30d, 2w (at most "
			"10 years), or a point in time such as 2030-01-31T12:00:00Z");
	p->expires = times_format(ns, p->expires_text);
	return 0;
}

int put_begin(struct put *p, const struct options *o, struct err *e)
{
	int r = 0;

	p->items = json_array();
	p->said = json_array();
	p->lint = lint_new();
	if (!p->items || !p->said || !p->lint)
		return err_errno(e, -ENOMEM, "cannot put the question together");
	r = options_number(o, "if-version", 0, INT64_MAX, &p->if_version, e);
	if (r < 0)
		return CLIENT_USAGE;
	p->has_if_version = r == 1;
	p->check = options_has(o, "check");
	r = take_expiry(p, options_text(o, "expires", 0), e);
	if (r == 0)
		r = client_wait_adopted(o, &p->wait_ms, e);
	return r < 0 ? r : labels_from_options(o, &p->labels, e);
}

int put_add(struct put *p, const char *name, struct secret **value, struct err *e)
{
	SCOPED(json_ptr) json_t *item = json_object();
	int r = lint_add(p->lint, name, *value, time(NULL), put_warn, p);
	int fd = r < 0 ? r : secret_to_memfd(*value);

	secret_free_ptr(value);
	if (fd < 0)
		return err_errno(e, fd, "cannot pass the value of %s on", name);
	r = set_text(item, "name", name, e);
	if (r == 0)
		r = set_number(item, "fd", true, (int64_t)p->nfds, e);
	if (r == 0)
		r = set_text(item, "expires", p->expires, e);
	if (r == 0)
		r = set_number(item, "if_version", p->has_if_version, p->if_version, e);
	if (r == 0 && p->labels)
		r = set_new(item, "labels", json_incref(p->labels), e);
	p->fds[p->nfds++] = fd;
	if (r == 0 && json_array_append_new(p->items, TAKE_PTR(item)) < 0)
		r = err_errno(e, -ENOMEM, "cannot put the question together");
	return r;
}

int put_check(const struct client *c, struct put *p, struct err *e)
{
	int r = 0;

	lint_pairs(p->lint, put_warn, p);
	if (p->check)
		r = put_check_beside(c, p, e);
	if (r == 0 && p->check && p->warnings > 0)
		r = err_set(e, -EINVAL,
		            "not stored, for what is warned of above; without --check it would be");
	return r;
}

static void print_stored(const json_t *reply)
{
	json_t *stored = json_object_get(reply, "stored"), *row = NULL;
	char number[FIELD_NUMBER_MAX];
	size_t i = 0;

	json_array_foreach (stored, i, row) {
		output_text(stdout, field_text(row, "name"));
		printf(" %s\n", field_number(row, "version", number));
	}
}

int put_send(const struct client *c, const struct put *p, json_t **ret_reply, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	int r = set_new(parameters, "items", json_incref(p->items), e);

	if (r == 0)
		r = client_change(c,
		                  &(struct client_change){ .method = "Put",
		                                           .parameters = parameters,
		                                           .fds = p->fds,
		                                           .nfds = p->nfds,
		                                           .wait_ms = p->wait_ms },
		                  ret_reply, e);
	if (r == 0)
		print_warnings(p);
	return r;
}

int put_print(const struct client *c, const json_t *reply, struct err *e)
{
	int r = client_changed(c, reply, e);

	if (r == 0)
		print_stored(reply);
	return r < 0 ? r : 0;
}
