/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete.c - `complete -- WORD...`: what may stand in the place of the last word.
 *
 * Everything comes from the table of verbs, so that a new verb or option is completed as soon as it
 * is there: verbs and options by name, values by what stands for them in the help (FILE, NAME,
 * CONTAINER...; sources[] below). The shells' scripts in completion/ only ask and show.
 *
 * Nobody wants to read an error while typing: whatever fails, there is nothing to offer.
 */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "complete.h"
#include "fields.h"
#include "output.h"

#define PATIENCE_MS 2000 /* of somebody who pressed a key */

struct completion {
	struct client c;
	const struct verb *verb;        /* NULL: none yet */
	const struct option_row *wants; /* an option whose value is the last word */
	const char *word[2];            /* the verb's first arguments, or NULL */
	size_t words;                   /* how many it has before the last word */
	bool ended;                     /* "--" was there */
	const char *typed;              /* what is there of the last word, behind `kept` */
	const char *kept;               /* what is kept in front: "--runtime=", "db=@" */
	size_t kept_len;
	char **given; /* all words before the last */
	size_t ngiven;
};

/* A shell would act on other characters when the word is in its line: who names a container so? */
static bool is_harmless(const char *value)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789._/:@=+,-";

	return value[0] && value[strspn(value, harmless)] == '\0';
}

static void offer(const struct completion *q, const char *value, const char *what)
{
	if (!is_harmless(value) || strncmp(value, q->typed, strlen(q->typed)) != 0)
		return;
	printf("%.*s%s\t", (int)q->kept_len, q->kept, value);
	output_text(stdout, what ? what : "");
	putchar('\n');
}

/* One question. NULL without an answer. */
static json_t *ask(const struct completion *q, const char *method, json_t *parameters,
                   const char *field)
{
	SCOPED(json_ptr) json_t *owned = parameters;
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *all = json_array();
	bool continues = true;

	if (call_open(q->c.runtime_dir, PATIENCE_MS, &call, NULL) < 0 ||
	    call_send(call,
	              &(struct call_request){
			      .method = method, .parameters = owned, .more = field != NULL },
	              NULL) < 0)
		return NULL;
	while (continues) {
		SCOPED(json_ptr) json_t *reply = NULL;

		if (call_next(call, &reply, &continues, NULL) < 0)
			return NULL;
		if (!field)
			return TAKE_PTR(reply);
		if (json_array_extend(all, json_object_get(reply, field)) < 0)
			return NULL;
	}
	return TAKE_PTR(all);
}

/* The secrets that begin as what is typed. */
static json_t *secrets(const struct completion *q)
{
	return ask(q, "List", json_pack("{s:s}", "prefix", q->typed), "secrets");
}

static void offer_names(const struct completion *q)
{
	SCOPED(json_ptr) json_t *list = secrets(q);
	json_t *row = NULL;
	size_t i = 0;

	json_array_foreach (list, i, row) {
		char version[FIELD_NUMBER_MAX], text[FIELD_NUMBER_MAX + sizeof("version ")];

		snprintf(text, sizeof(text), "version %s", field_number(row, "version", version));
		offer(q, field_text(row, "name"), text);
	}
}

/* "a/", "a/b/" of names that come in order: each once. */
static void offer_prefixes(const struct completion *q)
{
	SCOPED(json_ptr) json_t *list = secrets(q);
	const char *before = "";
	json_t *row = NULL;
	size_t i = 0;

	json_array_foreach (list, i, row) {
		const char *name = field_text(row, "name");

		for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
			size_t len = (size_t)(slash - name) + 1;
			SCOPED(free_ptr) char *prefix = strndup(name, len);

			if (prefix && strncmp(before, prefix, len) != 0)
				offer(q, prefix, "prefix");
		}
		before = name;
	}
}

static void offer_versions(const struct completion *q)
{
	SCOPED(json_ptr) json_t *reply = NULL;
	json_t *row = NULL;
	size_t i = 0;

	if (q->words == 0)
		return;
	reply = ask(q, "Info", json_pack("{s:s}", "name", q->word[0]), NULL);
	json_array_foreach (json_object_get(reply, "versions"), i, row) {
		char version[FIELD_NUMBER_MAX];

		offer(q, field_number(row, "version", version), field_text(row, "created"));
	}
}

static void offer_grants(const struct completion *q)
{
	SCOPED(json_ptr) json_t *list = ask(q, "Grants", NULL, "grants");
	json_t *row = NULL;
	size_t i = 0;

	json_array_foreach (list, i, row)
		offer(q, field_text(row, "id"), field_text(row, "name"));
}

static void offer_containers(const struct completion *q)
{
	SCOPED(json_ptr) json_t *reply = ask(q, "Attachments", NULL, NULL);
	json_t *row = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(reply, "attachments"), i, row)
		offer(q, field_text(row, "container"), field_text(row, "runtime"));
}

/* Verbs by their first word; behind such a word, those that have it and a second. */
static void offer_verbs(const struct completion *q)
{
	const char *first = q->verb && q->words > 0 ? q->word[0] : NULL;

	for (const struct verb *verb = client_verbs; verb->name; verb++) {
		const char *space = strchr(verb->name, ' ');

		if (!first && !space)
			offer(q, verb->name, verb->help);
		else if (first && space && strlen(first) == (size_t)(space - verb->name) &&
		         strncmp(verb->name, first, strlen(first)) == 0)
			offer(q, space + 1, verb->help);
	}
}

/* The shell knows paths, tildes and quotes better. What the path stands behind is kept. */
static void leave_to_shell(const struct completion *q, const char *kind)
{
	const char *word = q->kept;

	printf(":%s %.*s\n", kind, (int)(q->typed - word), word);
}

static void offer_files(const struct completion *q)
{
	leave_to_shell(q, "files");
}

static void offer_folders(const struct completion *q)
{
	leave_to_shell(q, "folders");
}

/* NAME=@FILE, once the name is there. */
static void offer_pair(const struct completion *q)
{
	struct completion file = *q;
	const char *equals = strchr(q->typed, '=');

	if (!equals || equals[1] != '@')
		return;
	file.typed = equals + 2;
	offer_files(&file);
}

static void offer_nothing(const struct completion *q)
{
	(void)q;
}

/* What stands for a value in the table of verbs, and where its values come from. */
static const struct {
	const char *placeholder;
	void (*offer)(const struct completion *q);
} sources[] = {
	{ "NAME", offer_names },
	{ "NAME_OR_PREFIX/", offer_names },
	{ "NAME_OR_PREFIX/", offer_prefixes },
	{ "PREFIX", offer_prefixes },
	{ "PREFIX/", offer_prefixes },
	{ "NAME=@FILE", offer_pair },
	{ "N", offer_versions },
	{ "GRANT-ID", offer_grants },
	{ "CONTAINER", offer_containers },
	{ "COMMAND", offer_verbs },
	{ "FILE", offer_files },
	{ "FILE.json", offer_files },
	{ "DIR", offer_folders },
	{ "FOLDER", offer_folders },
	{ "RUNTIME", offer_nothing }, /* the row has its values */
	{ "WHAT", offer_nothing },
	{ "WORD", offer_nothing },
	{ "PID", offer_nothing },
	{ "CHECK", offer_nothing },
	{ "TIME", offer_nothing },
	{ "KEY=VALUE", offer_nothing },
	{ "REF", offer_nothing },
	{ "UNIT", offer_nothing },
	{ "PATH", offer_nothing },
	{ "M", offer_nothing },
	{ "U", offer_nothing },
	{ "G", offer_nothing },
	{ "CONDITION", offer_nothing }, /* options, which are offered behind a dash */
	{ "OPTION", offer_nothing },
};

bool complete_knows(const char *placeholder)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		if (strcmp(sources[i].placeholder, placeholder) == 0)
			return true;
	return false;
}

static void offer_by_placeholder(const struct completion *q, const char *placeholder)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		if (strcmp(sources[i].placeholder, placeholder) == 0)
			sources[i].offer(q);
}

/* The values that a row lists, or those of what stands for it. */
static void offer_values(const struct completion *q, const struct option_row *row)
{
	SCOPED(free_ptr) char *values = row->values ? strdup(row->values) : NULL;
	char *rest = values, *value = NULL;

	while ((value = strsep(&rest, " ")))
		offer(q, value, "");
	offer_by_placeholder(q, row->argument);
}

static bool was_given(const struct completion *q, const char *name)
{
	for (size_t i = 0; i < q->ngiven; i++) {
		const char *word = q->given[i];

		if (strncmp(word, "--", 2) == 0 && strlen(name) == strcspn(word + 2, "=") &&
		    strncmp(word + 2, name, strlen(name)) == 0)
			return true;
	}
	return false;
}

static void offer_options(const struct completion *q, const struct option_row *row)
{
	for (; row && row->name; row++) {
		char option[COMPLETE_TOKEN_MAX];

		snprintf(option, sizeof(option), "--%s", row->name);
		if (row->repeats || !was_given(q, row->name))
			offer(q, option, row->help);
	}
}

static const struct option_row *find_option(const struct completion *q, const char *word)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");
	const struct option_row *row = q->verb ? options_find(q->verb->options, name, len) : NULL;

	return row ? row : options_find(client_common_options, name, len);
}

bool complete_next_word(const struct verb *verb, const char **synopsis,
                        char token[COMPLETE_TOKEN_MAX])
{
	for (;;) {
		const char *from = *synopsis + strspn(*synopsis, " []|."), *to = NULL;
		const struct option_row *row = NULL;
		size_t len = 0;

		to = from + strcspn(from, " []");
		len = (size_t)(to - from);
		if (len == 0)
			return false;
		*synopsis = to;
		if (strncmp(from, "--", 2) != 0) {
			while (len > 3 && memcmp(from + len - 3, "...", 3) == 0)
				len -= 3;
			snprintf(token, COMPLETE_TOKEN_MAX, "%.*s", (int)len, from);
			return true;
		}
		/* an option, and what stands for its value */
		row = options_find(verb->options, from + 2, len - 2);
		if (row && row->argument && **synopsis == ' ')
			*synopsis += 1 + strcspn(*synopsis + 1, " []");
	}
}

/* Arguments: whatever the synopsis has, since alternatives stand side by side there. */
static void offer_arguments(const struct completion *q)
{
	const char *synopsis = q->verb->synopsis;
	char token[COMPLETE_TOKEN_MAX];

	if (q->words == 0) {
		struct completion second = *q;

		second.word[0] = q->verb->name;
		second.words = 1;
		offer_verbs(&second);
	}
	if (q->words >= q->verb->words_max)
		return;
	while (complete_next_word(q->verb, &synopsis, token))
		offer_by_placeholder(q, token);
}

static void take_word(struct completion *q, size_t *i)
{
	const char *word = q->given[*i];
	int taken = 0;

	if (q->verb) {
		if (q->words < ARRAY_LEN(q->word))
			q->word[q->words] = word;
		q->words++;
		return;
	}
	q->verb = client_find_verb((int)(q->ngiven - *i), q->given + *i, &taken);
	*i += taken > 1;
}

/* What stands before the last word. False for a line that is no command of ours. */
static bool read_given(struct completion *q)
{
	for (size_t i = 0; i < q->ngiven; i++) {
		const char *word = q->given[i], *value = NULL;
		const struct option_row *row = q->wants;

		q->wants = NULL;
		if (row) {
			value = word;
		} else if (!q->ended && strcmp(word, "--") == 0) {
			q->ended = true;
		} else if (!q->ended && strncmp(word, "--", 2) == 0) {
			row = find_option(q, word);
			value = strchr(word, '=');
			value = value ? value + 1 : NULL;
			if (row && row->argument && !value)
				q->wants = row;
		} else {
			take_word(q, &i);
			if (!q->verb)
				return false;
		}
		if (row && value && strcmp(row->name, "runtime-dir") == 0)
			q->c.runtime_dir = value;
	}
	return true;
}

static void answer(struct completion *q)
{
	const char *equals = strchr(q->typed, '=');
	const struct option_row *row = NULL;

	if (q->wants) {
		offer_values(q, q->wants);
	} else if (!q->ended && q->typed[0] == '-' && equals && strncmp(q->typed, "--", 2) == 0) {
		row = find_option(q, q->typed);
		q->kept_len = (size_t)(equals + 1 - q->typed);
		q->typed = equals + 1;
		if (row && row->argument)
			offer_values(q, row);
	} else if (!q->ended && q->typed[0] == '-') {
		offer_options(q, q->verb ? q->verb->options : NULL);
		offer_options(q, client_common_options);
	} else if (!q->verb) {
		offer_verbs(q);
	} else {
		offer_arguments(q);
	}
}

int verb_complete(struct client *c, const struct options *o, struct err *e)
{
	struct completion q = { .c = *c, .given = o->word };

	(void)e;
	if (o->words == 0)
		return 0;
	q.ngiven = o->words - 1;
	q.typed = q.kept = o->word[q.ngiven];
	if (read_given(&q))
		answer(&q);
	return 0;
}
