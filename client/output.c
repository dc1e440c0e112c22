/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "terminal.h"

#define ESCAPED_BYTE 4 /* \xHH */
#define FACT_COLUMN 14
#define LINE_MAX_BYTES 2048 /* one line on stderr: an error's text and what stands around it */

void output_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		char shown[ESCAPED_BYTE + 1];

		fputs(name_escape(text, 1, shown, sizeof(shown)), out);
	}
}

/* Select Graphic Rendition of each tone. */
static const char *const tones[] = {
	[TONE_PLAIN] = "", [TONE_GOOD] = "32",   [TONE_NOTICE] = "33",
	[TONE_BAD] = "31", [TONE_HEADING] = "1",
};

static const struct {
	const char *state;
	enum output_tone tone;
} states[] = {
	{ "unsealed", TONE_GOOD }, { "sealed", TONE_NOTICE },    { "uninitialised", TONE_NOTICE },
	{ "attached", TONE_GOOD }, { "attaching", TONE_NOTICE }, { "detached", TONE_NOTICE },
	{ "lost", TONE_BAD },      { "failed", TONE_BAD },       { "throttled", TONE_BAD },
	{ "expired", TONE_BAD },
};

enum output_tone output_tone_of(const char *state)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (strcmp(states[i].state, state) == 0)
			return states[i].tone;
	return TONE_PLAIN;
}

void output_toned(FILE *out, enum output_tone tone, const char *text)
{
	bool coloured = tone != TONE_PLAIN && terminal_has_colours(fileno(out));

	if (coloured)
		fprintf(out, "\033[%sm", tones[tone]);
	output_text(out, text);
	if (coloured)
		fputs("\033[0m", out);
}

void output_fact(FILE *out, int indent, const char *label, const char *text)
{
	fprintf(out, "%*s%-*s ", indent, "", FACT_COLUMN - indent, label);
	output_text(out, text && text[0] ? text : "-");
	fputc('\n', out);
}

void output_fact_toned(FILE *out, const char *label, enum output_tone tone, const char *text)
{
	fprintf(out, "%-*s ", FACT_COLUMN, label);
	output_toned(out, tone, text && text[0] ? text : "-");
	fputc('\n', out);
}

void output_names(const json_t *names, char *buffer, size_t size)
{
	char shown[NAME_LEN_MAX + 1];
	size_t used = 0, i = 0;
	json_t *name = NULL;

	buffer[0] = '\0';
	json_array_foreach (names, i, name) {
		const char *text = json_is_string(name) ? json_string_value(name) : "?";
		int n = snprintf(buffer + used, size - used, "%s%s", i ? ", " : "",
		                 name_escape(text, strlen(text), shown, sizeof(shown)));

		if (n < 0 || (size_t)n >= size - used) {
			snprintf(buffer + used, size - used, "%s", "...");
			return;
		}
		used += (size_t)n;
	}
}

int output_json(const json_t *value, struct err *e)
{
	SCOPED(json_text_ptr) char *text = json_text(value);

	if (!text)
		return err_errno(e, -ENOMEM, "cannot print the answer");
	puts(text);
	return 0;
}

/* Names inside were escaped where they were put in; this only guards that a line stays one line. */
__attribute__((format(printf, 2, 0))) static void print_line(const char *kind, const char *format,
                                                             va_list args)
{
	const char *on = "", *off = "";
	char line[LINE_MAX_BYTES];

	if (vsnprintf(line, sizeof(line), format, args) < 0)
		return;
	for (char *p = line; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	if (terminal_has_colours(STDERR_FILENO)) {
		on = !kind[0] ? "\033[31m" : strcmp(kind, "warning: ") == 0 ? "\033[33m" : "";
		off = on[0] ? "\033[0m" : "";
	}
	/* In one piece: others may write to the same stderr. */
	fprintf(stderr, "%scoffer: %s%s%s\n", on, kind, off, line);
}

void output_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("", format, args);
	va_end(args);
}

void output_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("warning: ", format, args);
	va_end(args);
}

void output_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("note: ", format, args);
	va_end(args);
}
