/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/name.h"
#include "nearest.h"

#define OPTION_SHOWN_MAX 64 /* bytes of an unknown option that its error shows */

const struct option_row *options_find(const struct option_row *table, const char *name, size_t len)
{
	for (; table && table->name; table++)
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

static const struct option_row *find(const struct options *o, const char *name, size_t len)
{
	const struct option_row *row = options_find(o->own, name, len);

	return row ? row : options_find(o->common, name, len);
}

void options_begin(struct options *o, const struct option_row *common)
{
	memset(o, 0, sizeof(*o));
	o->common = common;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* What is behind '=' may be a value that does not belong on a terminal: only the name is shown. */
static int unknown(const struct options *o, const char *word, struct err *e)
{
	const char *name = word + strspn(word, "-");
	struct nearest near = { .typed = name, .len = strcspn(name, "=") };
	char shown[OPTION_SHOWN_MAX];

	for (const struct option_row *row = o->own; row && row->name; row++)
		nearest_look(&near, row->name);
	for (const struct option_row *row = o->common; row && row->name; row++)
		nearest_look(&near, row->name);
	name_escape(word, strcspn(word, "="), shown, sizeof(shown));
	if (!near.found)
		return err_set(e, -EINVAL, "there is no option %s here", shown);
	return err_set(e, -EINVAL, "there is no option %s here: did you mean --%s?", shown,
	               near.found);
}

/* One option at argv[0]: 1 or 2 elements taken, or -EINVAL. */
static int take(struct options *o, int argc, char **argv, struct err *e)
{
	const char *word = argv[0], *name = NULL, *value = NULL;
	const struct option_row *row = NULL;
	size_t len = 0;
	int taken = 1;

	if (strcmp(word, "-h") == 0)
		word = "--help";
	if (strncmp(word, "--", 2) != 0)
		return unknown(o, word, e);
	name = word + 2;
	len = strcspn(name, "=");
	row = find(o, name, len);
	if (!row)
		return unknown(o, word, e);
	if (name[len] == '=')
		value = name + len + 1;
	if (!row->argument && value)
		return err_set(e, -EINVAL, "--%s takes no value", row->name);
	if (row->argument && !value) {
		if (argc < 2)
			return err_set(e, -EINVAL, "--%s wants a value: --%s %s", row->name,
			               row->name, row->argument);
		value = argv[1];
		taken = 2;
	}
	if (!row->repeats && options_has(o, row->name))
		return err_set(e, -EINVAL, "--%s is given twice", row->name);
	if (o->ngiven == OPTIONS_GIVEN_MAX)
		return err_set(e, -EINVAL, "more than %d options", OPTIONS_GIVEN_MAX);
	o->given[o->ngiven++] = (struct option_given){ row, value ? value : "" };
	return taken;
}

int options_leading(struct options *o, int argc, char **argv, struct err *e)
{
	int i = 0;

	while (i < argc && is_option(argv[i])) {
		int taken = take(o, argc - i, argv + i, e);

		if (taken < 0)
			return taken;
		i += taken;
	}
	return i;
}

int options_rest(struct options *o, const struct option_row *own, int argc, char **argv,
                 struct err *e)
{
	bool ended = false;

	o->own = own;
	o->word = argv;
	o->words = 0;
	for (int i = 0; i < argc;) {
		if (!ended && strcmp(argv[i], "--") == 0) {
			ended = true;
			i++;
		} else if (!ended && is_option(argv[i])) {
			int taken = take(o, argc - i, argv + i, e);

			if (taken < 0)
				return taken;
			i += taken;
		} else {
			argv[o->words++] = argv[i++];
		}
	}
	return 0;
}

bool options_has(const struct options *o, const char *name)
{
	return options_text(o, name, 0) != NULL;
}

const char *options_text(const struct options *o, const char *name, size_t n)
{
	const struct option_row *row = find(o, name, strlen(name));

	assert(row);
	for (size_t i = 0; i < o->ngiven; i++)
		if (o->given[i].row == row && n-- == 0)
			return o->given[i].value;
	return NULL;
}

int options_number(const struct options *o, const char *name, int64_t min, int64_t max,
                   int64_t *ret, struct err *e)
{
	const char *text = options_text(o, name, 0);
	char *end = NULL;
	long long value = 0;

	if (!text)
		return 0;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || (text[0] != '-' && (text[0] < '0' || text[0] > '9')) ||
	    value < min || value > max)
		return err_set(e, -EINVAL, "--%s is a number from %" PRId64 " to %" PRId64, name,
		               min, max);
	*ret = value;
	return 1;
}
