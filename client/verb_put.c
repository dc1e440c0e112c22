/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "coffer/secret.h"
#include "input.h"
#include "put.h"

static int never_on_the_command_line(struct err *e)
{
	return err_set(
		e, CLIENT_USAGE,
		"a value on the command line is seen by every user (ps) and kept by the shell: "
		"pipe it into \"coffer put NAME\", or write NAME=@FILE");
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
	return r < 0 ? r : put_add(p, name, &value, e);
}

/* NAME=@FILE. Splits the word in place. */
static int take_pair(struct put *p, char *word, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	char *equals = strchr(word, '=');
	int r = 0;

	assert(equals); /* is_pair */
	*equals = '\0';
	r = name_check(word, e);
	if (r == 0)
		r = input_value_file(equals + 2, &value, e);
	return r < 0 ? r : put_add(p, word, &value, e);
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

static int check_folder_options(const struct options *o, struct err *e)
{
	static const char *const of_folders[] = { "dry-run", "after" };

	if (options_has(o, "from-dir"))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(of_folders); i++)
		if (options_has(o, of_folders[i]))
			return err_set(e, CLIENT_USAGE, "--%s goes with --from-dir", of_folders[i]);
	return o->words > 0 ? 0 : err_set(e, CLIENT_USAGE, "a name is missing: coffer put NAME");
}

int verb_put(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(put_clear) struct put p = { 0 };
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = check_folder_options(o, e);

	if (r == 0 && options_has(o, "from-dir"))
		return put_folder(c, o, e);
	if (r == 0)
		r = check_words(o, e);
	if (r == 0 && o->words > PUT_NAMES_MAX)
		r = err_set(e, CLIENT_USAGE, "at most %d names at once", PUT_NAMES_MAX);
	if (r == 0)
		r = put_begin(&p, o, e);
	if (r == 0)
		r = take_values(&p, o, e);
	if (r == 0)
		r = put_check(c, &p, e);
	if (r == 0)
		r = put_send(c, &p, &reply, e);
	if (r == 0)
		r = put_print(c, reply, e);
	return r < 0 ? r : client_adopted(reply, options_text(o, "wait-adopted", 0), e);
}
