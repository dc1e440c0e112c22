/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <string.h>

#include "coffer/name.h"
#include "coffer/version.h"
#include "nearest.h"

#define HELP_COLUMN 26 /* where explanations begin */
#define TOPIC_COLUMN 15
#define WORD_SHOWN_MAX 64
#define USAGE "usage: coffer [OPTION]... COMMAND [ARGUMENT | OPTION]...\n"

static void print_options(FILE *out, const struct option_row *table)
{
	for (; table && table->name; table++) {
		int width = fprintf(out, "  --%s%s%s", table->name, table->argument ? " " : "",
		                    table->argument ? table->argument : "");

		fprintf(out, "%*s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 1, "",
		        table->help);
	}
}

/* The topic that begins at this verb, or NULL. */
static const char *topic_at(const struct verb *verb)
{
	for (const struct topic *topic = client_topics; topic->title; topic++)
		if (strcmp(topic->first, verb->name) == 0)
			return topic->title;
	return NULL;
}

void help_print_overview(FILE *out)
{
	fputs(USAGE, out);
	for (const struct verb *verb = client_verbs; verb->name; verb++) {
		const char *title = topic_at(verb), *space = strchr(verb->name, ' ');

		if (title)
			fprintf(out, "\n  %-*s", TOPIC_COLUMN - 2, title);
		/* "audit" stands for "audit verify" too */
		if (!space)
			fprintf(out, " %s", verb->name);
	}
	fputs("\n\n\"coffer help\" says what each does, \"coffer help COMMAND\" all about one.\n",
	      out);
}

void help_print_all(FILE *out)
{
	fputs(USAGE, out);
	for (const struct verb *verb = client_verbs; verb->name; verb++) {
		const char *title = topic_at(verb);

		if (title)
			fprintf(out, "\n%s\n", title);
		fprintf(out, "  %-*s%s\n", HELP_COLUMN - 2, verb->name, verb->help);
	}
	fputs("\nOptions of every command\n", out);
	print_options(out, client_common_options);
	fputs("\nExit status: 0 done; 1 failed, with one line on stderr; 2 wrong usage.\n"
	      "\"coffer help COMMAND\" says more about one.\n",
	      out);
}

void help_print_verb(FILE *out, const struct verb *verb)
{
	fprintf(out, "usage: coffer %s%s%s\n\n%s.\n", verb->name, verb->synopsis[0] ? " " : "",
	        verb->synopsis, verb->help);
	if (verb->details)
		fprintf(out, "\n%s\n", verb->details);
	if (verb->options) {
		fputs("\nOptions\n", out);
		print_options(out, verb->options);
	}
	fputs("\nOptions of every command\n", out);
	print_options(out, client_common_options);
}

static const char *nearest_verb(const char *typed)
{
	struct nearest near = { .typed = typed, .len = strlen(typed) };

	for (const struct verb *verb = client_verbs; verb->name; verb++)
		nearest_look(&near, verb->name);
	return near.found;
}

const char *help_nearest_pair(const char *first, const char *second)
{
	char typed[NEAREST_WORD_MAX + 1];
	int n = snprintf(typed, sizeof(typed), "%s %s", first, second);
	const char *found = n > 0 && (size_t)n < sizeof(typed) ? nearest_verb(typed) : NULL;

	return found && strchr(found, ' ') ? found : NULL;
}

int help_no_such_verb(size_t words, char **word, struct err *e)
{
	char shown[WORD_SHOWN_MAX], second[WORD_SHOWN_MAX] = "";
	const char *near = NULL;
	int taken = 0;
	bool pair = client_find_verb((int)words, word, &taken) && words > 1;

	near = pair ? help_nearest_pair(word[0], word[1]) : nearest_verb(word[0]);
	name_escape(word[0], strlen(word[0]), shown, sizeof(shown));
	if (pair)
		name_escape(word[1], strlen(word[1]), second, sizeof(second));
	if (!near)
		return err_set(e, CLIENT_USAGE, "there is no command %s%s%s", shown,
		               pair ? " " : "", second);
	return err_set(e, CLIENT_USAGE, "there is no command %s%s%s: did you mean coffer %s?",
	               shown, pair ? " " : "", second, near);
}

int verb_help(struct client *c, const struct options *o, struct err *e)
{
	const struct verb *verb = NULL;
	int taken = 0;

	(void)c;
	if (o->words == 0) {
		help_print_all(stdout);
		return 0;
	}
	verb = client_find_verb((int)o->words, o->word, &taken);
	if (!verb || (size_t)taken != o->words)
		return help_no_such_verb(o->words, o->word, e);
	help_print_verb(stdout, verb);
	return 0;
}

int verb_version(struct client *c, const struct options *o, struct err *e)
{
	(void)o;
	(void)e;
	if (c->json)
		printf("{\"version\":\"%s\"}\n", COFFER_VERSION);
	else
		printf("coffer %s\n", COFFER_VERSION);
	return 0;
}
