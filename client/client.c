/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "help.h"
#include "output.h"
#include "progress.h"
#include "terminal.h"

const struct verb *client_find_verb(int argc, char **argv, int *ret_taken)
{
	const struct verb *found = NULL;

	for (const struct verb *verb = client_verbs; verb->name; verb++) {
		const char *space = strchr(verb->name, ' ');
		size_t first = space ? (size_t)(space - verb->name) : strlen(verb->name);

		if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], verb->name, first) != 0)
			continue;
		if (!space && !found) {
			found = verb;
			*ret_taken = 1;
		} else if (space && argc > 1 && strcmp(argv[1], space + 1) == 0) {
			*ret_taken = 2;
			return verb;
		}
	}
	return found;
}

static int finish(const struct verb *verb, int result, const struct err *e)
{
	if (result >= 0 && (fflush(stdout) != 0 || ferror(stdout))) {
		output_error("cannot write the answer: standard output is closed or full");
		return EXIT_FAILURE;
	}
	if (result >= 0)
		return result;
	fflush(stdout);
	if (result == CLIENT_USAGE) {
		bool asks = e->text[0] && e->text[strlen(e->text) - 1] == '?';

		output_error("%s%s see: coffer help%s%s", e->text, asks ? "" : ";", verb ? " " : "",
		             verb ? verb->name : "");
		return CLIENT_EXIT_USAGE;
	}
	output_error("%s", e->text);
	return result == CLIENT_TROUBLE ? CLIENT_EXIT_USAGE : EXIT_FAILURE;
}

static void settle(struct client *c, const struct options *o)
{
	const char *dir = options_text(o, "runtime-dir", 0);

	if (!dir)
		dir = getenv("COFFER_RUNTIME_DIR");
	c->runtime_dir = dir && dir[0] ? dir : CLIENT_RUNTIME_DIR;
	c->json = options_has(o, "json");
	c->tty = terminal_is(STDOUT_FILENO);
}

static int check_words(const struct verb *verb, const struct options *o, struct err *e)
{
	const char *near = NULL;

	if (o->words < verb->words_min)
		return err_set(e, CLIENT_USAGE, "something is missing: coffer %s %s", verb->name,
		               verb->synopsis);
	near = o->words > verb->words_max ? help_nearest_pair(verb->name, o->word[0]) : NULL;
	if (near)
		return err_set(e, CLIENT_USAGE, "too many arguments: did you mean coffer %s?",
		               near);
	if (o->words > verb->words_max)
		return err_set(e, CLIENT_USAGE, "too many arguments: coffer %s %s", verb->name,
		               verb->synopsis);
	return 0;
}

/* Before the verb: --help and --version stand for a verb of their own. Returns the exit status. */
static int run_without_verb(struct client *c, const struct options *o, struct err *e)
{
	if (options_has(o, "version"))
		return finish(NULL, verb_version(c, o, e), e);
	if (options_has(o, "help"))
		return finish(NULL, verb_help(c, o, e), e);
	help_print_overview(stderr);
	return CLIENT_EXIT_USAGE;
}

int client_run(int argc, char **argv)
{
	const struct verb *verb = NULL;
	struct client c = { CLIENT_RUNTIME_DIR, false, false };
	struct options o;
	struct err e = { "" };
	int taken = 0, used = 0, result = 0;

	argc = argc > 0 ? argc - 1 : 0;
	argv++;
	options_begin(&o, client_common_options);
	used = options_leading(&o, argc, argv, &e);
	if (used < 0)
		return finish(NULL, CLIENT_USAGE, &e);
	settle(&c, &o);
	if (used == argc || options_has(&o, "version"))
		return run_without_verb(&c, &o, &e);
	verb = client_find_verb(argc - used, argv + used, &taken);
	if (!verb)
		return finish(NULL, help_no_such_verb(1, argv + used, &e), &e);
	used += taken;
	if (options_rest(&o, verb->options, argc - used, argv + used, &e) < 0)
		return finish(verb, CLIENT_USAGE, &e);
	if (options_has(&o, "help")) {
		help_print_verb(stdout, verb);
		return finish(verb, 0, &e);
	}
	settle(&c, &o);
	result = check_words(verb, &o, &e);
	if (result == 0)
		result = verb->run(&c, &o, &e);
	return finish(verb, result, &e);
}

int client_call(const struct client *c, const char *method, json_t *parameters, json_t **ret,
                struct err *e)
{
	SCOPED(json_ptr) json_t *owned = parameters;
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(progress_end) struct progress waiting;
	int r = 0;

	progress_begin(&waiting, c, "waiting for the broker", PROGRESS_WAIT, 0);
	r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);
	if (r < 0)
		return r;
	call_set_tick(call, progress_tick, &waiting);
	return call_once(call, &(struct call_request){ .method = method, .parameters = owned }, ret,
	                 e);
}

int client_collect(const struct client *c, const char *method, json_t *parameters,
                   const char *field, json_t **ret, struct err *e)
{
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *answer = json_object();
	SCOPED(progress_end) struct progress waiting;
	json_t *all = json_array();
	bool continues = true;
	int r = 0;

	progress_begin(&waiting, c, "reading the list", PROGRESS_ITEMS, 0);
	if (json_object_set_new(answer, field, all) < 0)
		return err_errno(e, -ENOMEM, "cannot ask the broker");
	r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);
	if (r == 0)
		call_set_tick(call, progress_tick, &waiting);
	if (r == 0)
		r = call_send(call,
		              &(struct call_request){
				      .method = method, .parameters = parameters, .more = true },
		              e);
	while (r == 0 && continues) {
		SCOPED(json_ptr) json_t *reply = NULL;

		r = call_next(call, &reply, &continues, e);
		if (r == 0 && json_array_extend(all, json_object_get(reply, field)) < 0)
			r = err_set(e, -EBADMSG, "the broker's answer holds no list of %s", field);
		progress_set(&waiting, json_array_size(all));
	}
	if (r == 0)
		*ret = TAKE_PTR(answer);
	return r;
}

static void warn_lagging(const json_t *lagging)
{
	char names[ERR_TEXT_MAX];

	output_names(lagging, names, sizeof(names));
	output_warning("done, but not yet shown in %s; see: coffer ps", names);
}

int client_changed(const struct client *c, const json_t *reply, struct err *e)
{
	const json_t *lagging = json_object_get(reply, "lagging");

	if (json_array_size(lagging) > 0)
		warn_lagging(lagging);
	if (!c->json)
		return 0;
	int r = output_json(reply, e);

	return r < 0 ? r : 1;
}
