/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <string.h>

#include "coffer/name.h"
#include "coffer/version.h"

#define HELP_COLUMN 26 /* where explanations begin */
#define WORD_SHOWN_MAX 64

static void print_options(FILE *out, const struct option_row *table)
{
	for (; table && table->name; table++) {
		int width = fprintf(out, "  --%s%s%s", table->name, table->argument ? " " : "",
		                    table->argument ? table->argument : "");

		fprintf(out, "%*s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 1, "",
		        table->help);
	}
}

void help_print_all(FILE *out)
{
	fputs("usage: coffer [OPTION]... COMMAND [ARGUMENT | OPTION]...\n\nCommands\n", out);
	for (const struct verb *verb = client_verbs; verb->name; verb++)
		fprintf(out, "  %-*s%s\n", HELP_COLUMN - 2, verb->name, verb->help);
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

int verb_help(struct client *c, const struct options *o, struct err *e)
{
	const struct verb *verb = NULL;
	char shown[WORD_SHOWN_MAX];
	int taken = 0;

	(void)c;
	if (o->words == 0) {
		help_print_all(stdout);
		return 0;
	}
	verb = client_find_verb((int)o->words, o->word, &taken);
	if (!verb || (size_t)taken != o->words)
		return err_set(e, CLIENT_USAGE, "there is no command %s",
		               name_escape(o->word[0], strlen(o->word[0]), shown, sizeof(shown)));
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
