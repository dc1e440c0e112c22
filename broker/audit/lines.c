/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/state.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/times.h"

#define LINE_START_MAX 256 /* seq, time, event */
#define LINE_TAIL ",\"hash\":\""
#define LINE_TAIL_LEN (sizeof(LINE_TAIL) - 1 + 2 * CHAIN_HASH_LEN + sizeof("\"}\n") - 1)
#define FIELDS_MAX (AUDIT_LINE_MAX - LINE_START_MAX - LINE_TAIL_LEN)

_Static_assert(AUDIT_LINE_MAX == CHAIN_LINE_MAX, "what is written must be readable");

/* ASCII only: no terminal takes a C1 control, nor an editor an odd line end, out of the log. */
static char *fields_text(const json_t *fields)
{
	return json_dumps(fields, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
}

/* Put a note of its size in place of the largest field. */
static int shorten_largest(json_t *fields)
{
	const char *key, *largest = NULL;
	size_t largest_len = 0;
	json_t *value;
	char note[64];

	json_object_foreach (fields, key, value) {
		SCOPED(json_text_ptr) char *text = fields_text(value);
		size_t len;

		if (!text)
			return -ENOMEM;
		len = strlen(text) + strlen(key);
		if (len > largest_len) {
			largest_len = len;
			largest = key;
		}
	}
	/* Not even a note helps: far too many fields, which is our own bug; the event itself stays.
	 */
	if (!largest || largest_len < 2 * sizeof(note))
		return json_object_clear(fields);
	snprintf(note, sizeof(note), "left out: %zu bytes", largest_len);
	return json_object_set_new(fields, largest, json_string(note)) < 0 ? -ENOMEM : 0;
}

/* The fields as text that fits in a line; the caller frees. NULL without memory. */
static char *fitting_text(json_t *fields)
{
	static const char *const ours[] = { "seq", "time", "event", "hash" };

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		json_object_del(fields, ours[i]);
	for (;;) {
		SCOPED(json_text_ptr) char *text = fields_text(fields);

		if (!text)
			return NULL;
		if (strlen(text) <= FIELDS_MAX)
			return TAKE_PTR(text);
		if (shorten_largest(fields) < 0)
			return NULL;
	}
}

static int make_room(struct audit *a)
{
	size_t room = a->room ? a->room : (size_t)AUDIT_LINE_MAX;
	char *larger;

	while (room - a->len < AUDIT_LINE_MAX)
		room *= 2;
	if (room == a->room)
		return 0;
	larger = realloc(a->lines, room);
	if (!larger)
		return -ENOMEM;
	a->lines = larger;
	a->room = room;
	return 0;
}

int lines_append(struct audit *a, int64_t time_ns, const char *event, json_t *fields)
{
	SCOPED(json_text_ptr) char *text = NULL;
	char time[TIMES_TEXT_MAX], hex[CHAIN_HEX_LEN];
	char *line;
	size_t inner;
	int len;

	assert(strlen(event) < LINE_START_MAX - 96);
	if (fields) {
		text = fitting_text(fields);
		if (!text)
			return -ENOMEM;
	}
	if (make_room(a) < 0)
		return -ENOMEM;
	line = a->lines + a->len;
	/* "{…}" goes on as ",…": without its braces. */
	inner = text ? strlen(text) - 2 : 0;
	len = snprintf(line, AUDIT_LINE_MAX, "{\"seq\":%llu,\"time\":\"%s\",\"event\":\"%s\"%s%.*s",
	               (unsigned long long)a->seq + 1, times_format(time_ns, time), event,
	               inner ? "," : "", (int)inner, text ? text + 1 : "");
	chain_hash(a->hash, line, (size_t)len, a->hash);
	chain_hex(a->hash, CHAIN_HASH_LEN, hex);
	len += snprintf(line + len, AUDIT_LINE_MAX - (size_t)len, LINE_TAIL "%s\"}\n", hex);
	a->seq++;
	a->len += (size_t)len;
	return 0;
}
