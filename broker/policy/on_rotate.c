/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/on_rotate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"

#define SIGNAL_PREFIX "signal:"
#define EXEC_PREFIX "exec:"
#define SHOWN_MAX 64 /* of a refused text, in a sentence */

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "HUP", SIGHUP },   { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 },   { "TERM", SIGTERM },
	{ "INT", SIGINT },   { "QUIT", SIGQUIT }, { "WINCH", SIGWINCH }, { "CONT", SIGCONT },
	{ "ALRM", SIGALRM }, { "ABRT", SIGABRT }, { "URG", SIGURG },     { "IO", SIGIO },
	{ "PWR", SIGPWR },   { "CHLD", SIGCHLD },
};

const char *on_rotate_signal_name(int signal)
{
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (signals[i].number == signal)
			return signals[i].name;
	return "?";
}

static int parse_signal(const char *name, struct on_rotate *o, struct err *e)
{
	const char *plain = strncasecmp(name, "SIG", 3) == 0 ? name + 3 : name;
	char shown[SHOWN_MAX];

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (strcasecmp(signals[i].name, plain) == 0) {
			o->signal = signals[i].number;
			return 0;
		}
	return err_set(e, -EINVAL,
	               "on-rotate: the signal \"%s\" is none of HUP, USR1, USR2, TERM, INT, QUIT, "
	               "WINCH, CONT, ALRM, ABRT, URG, IO, PWR and CHLD",
	               name_escape(name, strlen(name), shown, sizeof(shown)));
}

static int parse_words(const char *command, struct on_rotate *o, struct err *e)
{
	char *rest = o->text, *word;

	memcpy(o->text, command, strlen(command) + 1);
	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		if (o->words >= ON_ROTATE_WORDS_MAX)
			return err_set(e, -EINVAL, "on-rotate: the command has more than %d words",
			               ON_ROTATE_WORDS_MAX);
		o->word[o->words++] = word;
	}
	if (o->words == 0 || o->word[0][0] != '/' || o->word[0][1] == '\0')
		return err_set(e, -EINVAL,
		               "on-rotate: exec: wants the absolute path of a program in the "
		               "container, and its arguments behind it, separated by spaces");
	return 0;
}

int on_rotate_parse(const char *text, struct on_rotate *ret, struct err *e)
{
	size_t len = strlen(text);
	char shown[SHOWN_MAX];

	memset(ret, 0, sizeof(*ret));
	if (len > ON_ROTATE_TEXT_MAX)
		return err_set(e, -EINVAL, "on-rotate: the text is longer than %d bytes",
		               ON_ROTATE_TEXT_MAX);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(e, -EINVAL,
			               "on-rotate: the text contains a control character");
	if (strncmp(text, SIGNAL_PREFIX, strlen(SIGNAL_PREFIX)) == 0)
		return parse_signal(text + strlen(SIGNAL_PREFIX), ret, e);
	if (strncmp(text, EXEC_PREFIX, strlen(EXEC_PREFIX)) == 0)
		return parse_words(text + strlen(EXEC_PREFIX), ret, e);
	return err_set(e, -EINVAL,
	               "on-rotate: \"%s\" is neither signal:NAME nor exec:/PATH ARGUMENT...",
	               name_escape(text, len, shown, sizeof(shown)));
}

const char *on_rotate_format(const struct on_rotate *o, char buffer[ON_ROTATE_SHOWN_MAX])
{
	size_t at;

	if (o->signal) {
		snprintf(buffer, ON_ROTATE_SHOWN_MAX, SIGNAL_PREFIX "%s",
		         on_rotate_signal_name(o->signal));
		return buffer;
	}
	at = (size_t)snprintf(buffer, ON_ROTATE_SHOWN_MAX, "exec:");
	for (unsigned int i = 0; i < o->words && at < ON_ROTATE_SHOWN_MAX; i++)
		at += (size_t)snprintf(buffer + at, ON_ROTATE_SHOWN_MAX - at, "%s%s", i ? " " : "",
		                       o->word[i]);
	return buffer;
}
