/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "coffer/err.h"

/* How many bytes the UTF-8 sequence has that this one leads, 0 for a byte that leads none. */
static size_t sequence_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc0)
		return 0;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* A cut inside a UTF-8 sequence would make the text unfit for JSON: take its first bytes off, too.
 */
static void drop_torn_sequence(char *text, size_t len)
{
	size_t lead = len;

	while (lead > 0 && sequence_length((unsigned char)text[lead - 1]) == 0)
		lead--;
	if (lead > 0 && lead - 1 + sequence_length((unsigned char)text[lead - 1]) > len)
		text[lead - 1] = '\0';
}

static void store(struct err *e, const char *text, size_t would_be)
{
	size_t len = strlen(text);

	memcpy(e->text, text, len + 1);
	if (would_be > len)
		drop_torn_sequence(e->text, len);
}

/*
 * The arguments may point into e->text ("%s" of an earlier message), so every function writes to a
 * buffer of its own first.
 */
int err_set(struct err *e, int code, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;
	int n;

	assert(code <= 0);
	if (!e)
		return code;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	store(e, n < 0 ? "" : text, n < 0 ? 0 : (size_t)n);
	return code;
}

/* `text` holds what vsnprintf made of `n` bytes; append `more`. Returns the length an endless
 * buffer would have. */
static size_t append(char text[ERR_TEXT_MAX], int n, const char *more)
{
	size_t used, add = strlen(more), room;

	if (n < 0) {
		text[0] = '\0';
		n = 0;
	}
	used = strlen(text);
	room = ERR_TEXT_MAX - 1 - used;
	memcpy(text + used, more, add < room ? add : room);
	text[used + (add < room ? add : room)] = '\0';
	return (size_t)n + add;
}

int err_prefix(struct err *e, int code, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;
	int n;

	assert(code <= 0);
	if (!e)
		return code;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	append(text, n, ": ");
	store(e, text, append(text, (int)strlen(text), e->text));
	return code;
}

int err_errno(struct err *e, int code, const char *format, ...)
{
	const char *description = strerrordesc_np(-code);
	char text[ERR_TEXT_MAX], behind[128];
	va_list args;
	int n;

	assert(code <= 0);
	if (!e)
		return code;
	if (description)
		snprintf(behind, sizeof(behind), ": %s", description);
	else
		snprintf(behind, sizeof(behind), ": error %d", -code);
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	store(e, text, append(text, n, behind));
	return code;
}
