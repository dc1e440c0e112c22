/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"
#include "coffer/secret.h"
#include "coffer/varlink.h"

#define METHOD_MAX 255           /* bytes of a method's full name */
#define ROOM_MIN ((size_t)4096)  /* a read smaller than this is not worth its system call */
#define KEEP_MAX ((size_t)65536) /* an empty buffer above this gives its locked memory back */

/* "io.coffer.operator.Put": the interface in letters, digits, '-' and '.', then '.' and the method.
 */
static bool is_method(const char *text)
{
	const char *dot = strrchr(text, '.');

	if (!dot || dot == text || strlen(text) > METHOD_MAX)
		return false;
	if (dot[1] < 'A' || dot[1] > 'Z')
		return false;
	for (const char *c = text; *c; c++) {
		bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
		bool digit = *c >= '0' && *c <= '9';

		if (!letter && !digit && (c > dot || (*c != '.' && *c != '-')))
			return false;
	}
	return true;
}

static int read_call(struct varlink_call *call, struct err *e)
{
	static const char *const known[] = { "method", "parameters", "more",
		                             "oneway", "upgrade",    NULL };
	bool upgrade = false;
	char shown[96];
	int r;

	if (!json_is_object(call->message))
		return err_set(e, -EINVAL, "a call is a JSON object");
	r = json_only_keys(call->message, known, e);
	if (r == 0)
		r = json_get_string(call->message, "method", true, &call->method, e);
	if (r == 0)
		r = json_get_object(call->message, "parameters", false, &call->parameters, e);
	if (r == 0)
		r = json_get_bool(call->message, "more", false, &call->more, e);
	if (r == 0)
		r = json_get_bool(call->message, "oneway", false, &call->oneway, e);
	if (r == 0)
		r = json_get_bool(call->message, "upgrade", false, &upgrade, e);
	if (r < 0)
		return r;
	if (!is_method(call->method))
		return err_set(
			e, -EINVAL, "\"%s\" is not the name of a method",
			name_escape(call->method, strlen(call->method), shown, sizeof(shown)));
	if (upgrade)
		return err_set(e, -EINVAL, "no method here changes the protocol (upgrade)");
	if (call->more && call->oneway)
		return err_set(e, -EINVAL, "a call cannot ask for more replies and for none");
	if (call->parameters)
		return 0;
	call->parameters = json_object();
	if (json_object_set_new(call->message, "parameters", call->parameters) < 0)
		return err_set(e, -ENOMEM, "out of memory while reading a call");
	return 0;
}

int varlink_parse_call(const char *text, size_t len, struct varlink_call *ret, struct err *e)
{
	struct varlink_call call = { 0 };
	int r = json_parse(text, len, &call.message, e);

	if (r == 0)
		r = read_call(&call, e);
	if (r < 0) {
		varlink_call_clear(&call);
		return r;
	}
	*ret = call;
	return 0;
}

void varlink_call_clear(struct varlink_call *call)
{
	json_decref(call->message);
	*call = (struct varlink_call){ 0 };
}

/* {KEY: NAME, "parameters": …, FLAG: true}; a NULL key or flag is left out. */
static char *message_text(const char *key, const char *name, json_t *parameters, const char *flag)
{
	SCOPED(json_ptr) json_t *message = json_object();
	json_t *given = parameters ? json_incref(parameters) : json_object();

	if (key && json_object_set_new(message, key, json_string(name)) < 0) {
		json_decref(given);
		return NULL;
	}
	if (json_object_set_new(message, "parameters", given) < 0)
		return NULL;
	if (flag && json_object_set_new(message, flag, json_true()) < 0)
		return NULL;
	return json_text(message);
}

char *varlink_call_text(const char *method, json_t *parameters, bool more)
{
	return message_text("method", method, parameters, more ? "more" : NULL);
}

char *varlink_reply_text(json_t *parameters, bool continues)
{
	return message_text(NULL, NULL, parameters, continues ? "continues" : NULL);
}

char *varlink_error_text(const char *error, json_t *parameters)
{
	return message_text("error", error, parameters, NULL);
}

/*
 *	0        start      scanned     filled       size
 *	├────────┼──────────┼───────────┼────────────┤
 *	  handed   no NUL     not looked   free
 *	  out      in here    at
 */
struct varlink_buffer {
	char *text;
	size_t max;
	size_t start, scanned, filled, size;
	size_t shown; /* bytes before `start` that the caller may still look at */
};

struct varlink_buffer *varlink_buffer_new(size_t max)
{
	struct varlink_buffer *b = calloc(1, sizeof(*b));

	if (b)
		b->max = max;
	return b;
}

void varlink_buffer_free(struct varlink_buffer *b)
{
	if (!b)
		return;
	secret_mfree(b->text);
	free(b);
}

/* The message handed out last is over: it may have held a value. */
static void wipe_shown(struct varlink_buffer *b)
{
	sodium_memzero(b->text + b->start - b->shown, b->shown);
	b->shown = 0;
}

static void move_to_front(struct varlink_buffer *b)
{
	size_t left = b->filled - b->start;

	if (b->start == 0)
		return;
	memmove(b->text, b->text + b->start, left);
	sodium_memzero(b->text + left, b->filled - left);
	b->scanned -= b->start;
	b->start = 0;
	b->filled = left;
}

/* `size` bytes instead of what there is; the content is kept, the old memory wiped. */
static int resize(struct varlink_buffer *b, size_t size)
{
	char *text = secret_malloc(size);

	if (!text)
		return -ENOMEM;
	if (b->filled > 0)
		memcpy(text, b->text, b->filled);
	secret_mfree(b->text);
	b->text = text;
	b->size = size;
	return 0;
}

int varlink_buffer_room(struct varlink_buffer *b, char **ret, size_t *ret_size)
{
	if (b->text) {
		wipe_shown(b);
		move_to_front(b);
	}
	if (b->filled == 0 && b->size > KEEP_MAX) {
		secret_mfree(TAKE_PTR(b->text));
		b->size = 0;
	}
	if (b->size - b->filled < ROOM_MIN && b->size < b->max) {
		size_t larger = b->size < ROOM_MIN ? ROOM_MIN : b->size * 2;
		int r = resize(b, larger < b->max ? larger : b->max);

		if (r < 0)
			return r;
	}
	if (b->filled == b->size)
		return -EMSGSIZE;
	*ret = b->text + b->filled;
	*ret_size = b->size - b->filled;
	return 0;
}

void varlink_buffer_filled(struct varlink_buffer *b, size_t len)
{
	assert(len <= b->size - b->filled);
	b->filled += len;
}

int varlink_buffer_next(struct varlink_buffer *b, const char **ret, size_t *ret_len)
{
	char *end;
	size_t len;

	if (!b->text)
		return 0;
	wipe_shown(b);
	end = memchr(b->text + b->scanned, '\0', b->filled - b->scanned);
	if (!end) {
		b->scanned = b->filled;
		return 0;
	}
	len = (size_t)(end - (b->text + b->start));
	*ret = b->text + b->start;
	*ret_len = len;
	b->shown = len + 1;
	b->start = b->scanned = b->start + b->shown;
	return 1;
}
