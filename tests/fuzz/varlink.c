/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varlink_buffer and varlink_parse_call: however the stream is cut, the same messages come out;
 * what is taken for a call has the shape of one.
 *
 * Input: the limit and the size of the reads (a byte each, in units of their own), then the stream.
 */
#include <errno.h>

#include "coffer/varlink.h"
#include "fuzz.h"

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void is_a_methods_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	MUST(dot && dot > name && strlen(name) <= 255 && dot[1] >= 'A' && dot[1] <= 'Z');
	for (const char *c = name; *c; c++)
		MUST(is_word(*c) || (c <= dot && (*c == '.' || *c == '-')));
}

static void call_reads_back(const struct varlink_call *call)
{
	char *text = varlink_call_text(call->method, call->parameters, call->more);
	struct varlink_call again = { 0 };
	struct err e = { 0 };

	MUST(text && varlink_parse_call(text, strlen(text), &again, &e) == 0);
	MUST(strcmp(again.method, call->method) == 0 && again.more == call->more && !again.oneway);
	MUST(json_equal(again.parameters, call->parameters));
	varlink_call_clear(&again);
	json_text_free(text);
}

static void parse(const char *text, size_t len)
{
	struct varlink_call call = { 0 };
	struct err e = { 0 };
	int r = varlink_parse_call(text, len, &call, &e);

	if (r < 0) {
		MUST(!call.message);
		fuzz_refused(r, &e);
		return;
	}
	is_a_methods_name(call.method);
	MUST(json_is_object(call.parameters));
	MUST(!call.more || !call.oneway);
	call_reads_back(&call);
	varlink_call_clear(&call);
	MUST(!call.message);
}

/* Every whole message in the buffer is the next one of the stream. Returns the bytes they took. */
static size_t messages_follow(struct varlink_buffer *b, const uint8_t *stream, size_t size)
{
	size_t at = 0, len;
	const char *text;

	while (varlink_buffer_next(b, &text, &len) > 0) {
		MUST(len < size - at);
		MUST(memcmp(text, stream + at, len) == 0 && text[len] == '\0');
		MUST(!memchr(text, '\0', len) && stream[at + len] == '\0');
		parse(text, len);
		at += len + 1;
	}
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t max = (size_t)fuzz_number(&in, 1) * 64 + 1;
	size_t step = (size_t)fuzz_number(&in, 1) * 16 + 1;
	struct varlink_buffer *b = varlink_buffer_new(max);
	size_t fed = 0, taken = 0;

	MUST(b);
	while (fed < in.left) {
		char *room = NULL;
		size_t size_of_room = 0, n;
		int r = varlink_buffer_room(b, &room, &size_of_room);

		if (r < 0) { /* just as much as the limit is there, and no end of a message in it */
			MUST(r == -EMSGSIZE && fed - taken == max);
			break;
		}
		n = size_of_room < step ? size_of_room : step;
		n = n < in.left - fed ? n : in.left - fed;
		MUST(n > 0 && fed - taken + n <= max);
		memcpy(room, in.at + fed, n);
		varlink_buffer_filled(b, n);
		fed += n;
		taken += messages_follow(b, in.at + taken, fed - taken);
		MUST(!memchr(in.at + taken, '\0', fed - taken));
	}
	varlink_buffer_free(b);
	return 0;
}
