/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "coffer/secret.h"
#include "coffer/times.h"
#include "fields.h"
#include "input.h"
#include "lint.h"
#include "output.h"

#define PUT_NAMES_MAX 128 /* what the broker takes in one transaction */

struct put {
	json_t *items;
	const char *expires; /* borrowed from expires_text, or NULL */
	char expires_text[TIMES_TEXT_MAX];
	json_t *labels;
	bool has_if_version;
	int64_t wait_ms; /* --wait-adopted */
	int64_t if_version;
	int fds[PUT_NAMES_MAX];
	size_t nfds;
	struct lint *lint;
};

static void put_clear(struct put *p)
{
	json_decref(p->items);
	json_decref(p->labels);
	lint_free(p->lint);
	for (size_t i = 0; i < p->nfds; i++)
		fd_close(p->fds[i]);
}

static void warn(void *arg, const char *sentence)
{
	(void)arg;
	output_warning("%s", sentence);
}

static int never_on_the_command_line(struct err *e)
{
	return err_set(
		e, CLIENT_USAGE,
		"a value on the command line is seen by every user (ps) and kept by the shell: "
		"pipe it into \"coffer put NAME\", or write NAME=@FILE");
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

static int take_options(struct put *p, const struct options *o, struct err *e)
{
	int r = options_number(o, "if-version", 0, INT64_MAX, &p->if_version, e);

	if (r < 0)
		return CLIENT_USAGE;
	p->has_if_version = r == 1;
	r = take_expiry(p, options_text(o, "expires", 0), e);
	if (r == 0)
		r = client_wait_adopted(o, &p->wait_ms, e);
	return r < 0 ? r : labels_from_options(o, &p->labels, e);
}

/* One more value, which is consumed: into a sealed memfd, and its name into the message. */
static int add(struct put *p, const char *name, struct secret **value, struct err *e)
{
	SCOPED(json_ptr) json_t *item = json_object();
	int r = lint_add(p->lint, name, *value, time(NULL), warn, NULL);
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

/* NAME, whose value comes from --file or standard input. */
static int take_single(struct put *p, const struct options *o, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	const char *name = o->word[0], *file = options_text(o, "file", 0);
	int r = name_check(name, e);

	if (r < 0)
		return r;
	r = file ? input_value_file(file, &value, e) : input_value_stdin(name, &value, e);
	return r < 0 ? r : add(p, name, &value, e);
}

/* NAME=@FILE. Splits the word in place. */
static int take_pair(struct put *p, char *word, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	char *equals = strchr(word, '=');
	int r = 0;

	*equals = '\0';
	r = name_check(word, e);
	if (r == 0)
		r = input_value_file(equals + 2, &value, e);
	return r < 0 ? r : add(p, word, &value, e);
}

static bool is_pair(const char *word)
{
	const char *equals = strchr(word, '=');

	return equals && equals[1] == '@';
}

/* Before anything is read: either one NAME, or NAME=@FILE throughout. */
static int check_words(const struct options *o, struct err *e)
{
	size_t pairs = 0;

	for (size_t i = 0; i < o->words; i++)
		pairs += is_pair(o->word[i]);
	if (pairs == o->words && options_has(o, "file"))
		return err_set(e, CLIENT_USAGE, "--file goes with a single NAME");
	if (pairs == o->words)
		return 0;
	if (o->words == 1 && !strchr(o->word[0], '='))
		return 0;
	return never_on_the_command_line(e);
}

static int take_values(struct put *p, const struct options *o, struct err *e)
{
	int r = 0;

	if (!is_pair(o->word[0]))
		return take_single(p, o, e);
	for (size_t i = 0; i < o->words && r == 0; i++)
		r = take_pair(p, o->word[i], e);
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

static int send_all(const struct client *c, const struct put *p, const struct options *o,
                    struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = set_new(parameters, "items", json_incref(p->items), e);

	if (r == 0)
		r = client_change(c,
		                  &(struct client_change){ .method = "Put",
		                                           .parameters = parameters,
		                                           .fds = p->fds,
		                                           .nfds = p->nfds,
		                                           .wait_ms = p->wait_ms },
		                  &reply, e);
	if (r == 0)
		r = client_changed(c, reply, e);
	if (r == 0)
		print_stored(reply);
	return r < 0 ? r : client_adopted(reply, options_text(o, "wait-adopted", 0), e);
}

int verb_put(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(put_clear) struct put p = { .items = json_array(), .lint = lint_new() };
	int r = p.lint ? check_words(o, e) : err_errno(e, -ENOMEM, "cannot put");

	if (r == 0)
		r = take_options(&p, o, e);
	if (r == 0 && o->words > PUT_NAMES_MAX)
		r = err_set(e, CLIENT_USAGE, "at most %d names at once", PUT_NAMES_MAX);
	if (r == 0)
		r = take_values(&p, o, e);
	if (r < 0)
		return r;
	lint_pairs(p.lint, warn, NULL);
	return send_all(c, &p, o, e);
}
