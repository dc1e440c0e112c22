/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "coffer/secret.h"

#define INT_DIGITS_SAFE 18 /* every whole number of so many digits fits into 64 bits */

void json_use_secret_memory(void)
{
	json_set_alloc_funcs(secret_malloc, secret_mfree);
	/* Against keys chosen to collide; jansson's own way opens /dev/urandom, which a sandbox may
	 * lack. */
	json_object_seed(randombytes_random() | 1);
}

/*
 * jansson's own limit (2048) is above what our stack and our patience want, so brackets outside of
 * strings are counted first. What is no JSON at all is counted wrongly and then refused by jansson.
 */
static bool is_too_deep(const char *text, size_t len)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_DEPTH_LIMIT)
				return true;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return false;
}

/* Our words, since jansson's quote the text around the error, and that may be a secret. */
static const char *describe(enum json_error_code code)
{
	switch (code) {
	case json_error_premature_end_of_input:
		return "it ends too early";
	case json_error_end_of_input_expected:
		return "something stands behind its end";
	case json_error_invalid_utf8:
		return "it is not UTF-8";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "it contains a NUL byte";
	case json_error_duplicate_key:
		return "a key is there twice";
	case json_error_numeric_overflow:
		return "a number is out of range";
	case json_error_stack_overflow:
		return "it is nested too deep";
	default:
		return "it is malformed";
	}
}

int json_parse(const char *text, size_t len, json_t **ret, struct err *e)
{
	json_error_t error;
	json_t *value = NULL;

	if (memchr(text, '\0', len))
		return err_set(e, -EINVAL, "this is not JSON as we take it: %s",
		               describe(json_error_null_character));
	if (is_too_deep(text, len))
		return err_set(e, -EINVAL,
		               "this is not JSON as we take it: it is nested deeper than %d",
		               JSON_DEPTH_LIMIT);
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!value) {
		enum json_error_code code = json_error_code(&error);

		if (code == json_error_out_of_memory)
			return err_set(e, -ENOMEM, "out of (locked) memory while reading JSON");
		return err_set(e, -EINVAL,
		               "this is not JSON as we take it: %s (line %d, column %d)",
		               describe(code), error.line, error.column);
	}
	*ret = value;
	return 0;
}

/* Behind the string that begins at `i`, or `len`. */
static size_t skip_string(const char *text, size_t len, size_t i)
{
	for (i++; i < len && text[i] != '"'; i++)
		if (text[i] == '\\')
			i++;
	return i < len ? i + 1 : len;
}

/* A whole number that jansson may find too big becomes a real one of the same length. */
static void soften_numbers(char *text, size_t len)
{
	static const char part[] = "0123456789+-.eE";
	size_t i = 0;

	while (i < len) {
		size_t digits, end = i;

		if (text[i] == '"') {
			i = skip_string(text, len, i);
			continue;
		}
		digits = strspn(text + i, "0123456789");
		end += strspn(text + i, part);
		if (digits > INT_DIGITS_SAFE && i + digits == end) {
			text[end - 2] = '.';
			text[end - 1] = '0';
		}
		/* behind a number, or its sign alone, so that its digits are seen as one */
		i = digits > 0 ? end : i + 1;
	}
}

int json_parse_foreign(const char *text, size_t len, json_t **ret, struct err *e)
{
	SCOPED(free_ptr) char *copy = malloc(len + 1);

	if (!copy)
		return err_set(e, -ENOMEM, "out of memory while reading JSON");
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	soften_numbers(copy, len);
	return json_parse(copy, len, ret, e);
}

/* 1 and the field if it is there, 0 if it may be absent and is, else -EINVAL. */
static int find(const json_t *object, const char *key, bool required, json_t **ret, struct err *e)
{
	json_t *value = json_object_get(object, key);

	if (value && !json_is_null(value)) {
		*ret = value;
		return 1;
	}
	if (!required)
		return 0;
	if (!json_is_object(object))
		return err_set(e, -EINVAL, "an object with a field \"%s\" is expected here", key);
	return err_set(e, -EINVAL, "the field \"%s\" is missing", key);
}

int json_get_string(const json_t *object, const char *key, bool required, const char **ret,
                    struct err *e)
{
	json_t *value = NULL;
	int r = find(object, key, required, &value, e);

	if (r <= 0)
		return r;
	if (!json_is_string(value))
		return err_set(e, -EINVAL, "the field \"%s\" must be text", key);
	*ret = json_string_value(value);
	return 0;
}

int json_get_int(const json_t *object, const char *key, bool required, int64_t min, int64_t max,
                 int64_t *ret, struct err *e)
{
	json_t *value = NULL;
	int64_t number;
	int r = find(object, key, required, &value, e);

	if (r <= 0)
		return r;
	if (!json_is_integer(value))
		return err_set(e, -EINVAL, "the field \"%s\" must be a whole number", key);
	number = json_integer_value(value);
	if (number < min || number > max)
		return err_set(e, -EINVAL, "the field \"%s\" must be %lld to %lld, not %lld", key,
		               (long long)min, (long long)max, (long long)number);
	*ret = number;
	return 0;
}

int json_get_bool(const json_t *object, const char *key, bool required, bool *ret, struct err *e)
{
	json_t *value = NULL;
	int r = find(object, key, required, &value, e);

	if (r <= 0)
		return r;
	if (!json_is_boolean(value))
		return err_set(e, -EINVAL, "the field \"%s\" must be true or false", key);
	*ret = json_is_true(value);
	return 0;
}

int json_get_array(const json_t *object, const char *key, bool required, size_t max, json_t **ret,
                   struct err *e)
{
	json_t *value = NULL;
	int r = find(object, key, required, &value, e);

	if (r <= 0)
		return r;
	if (!json_is_array(value))
		return err_set(e, -EINVAL, "the field \"%s\" must be a list", key);
	if (json_array_size(value) > max)
		return err_set(e, -EINVAL, "the list \"%s\" may have at most %zu entries", key,
		               max);
	*ret = value;
	return 0;
}

int json_get_object(const json_t *object, const char *key, bool required, json_t **ret,
                    struct err *e)
{
	json_t *value = NULL;
	int r = find(object, key, required, &value, e);

	if (r <= 0)
		return r;
	if (!json_is_object(value))
		return err_set(e, -EINVAL, "the field \"%s\" must be an object", key);
	*ret = value;
	return 0;
}

static bool is_known(const char *key, const char *const *known)
{
	for (; *known; known++)
		if (strcmp(key, *known) == 0)
			return true;
	return false;
}

int json_only_keys(const json_t *object, const char *const *known, struct err *e)
{
	/* Iterators take the object without const but do not change it. */
	json_t *iterated = (json_t *)(uintptr_t)object;
	char shown[64];

	for (void *i = json_object_iter(iterated); i; i = json_object_iter_next(iterated, i)) {
		const char *key = json_object_iter_key(i);

		if (!is_known(key, known))
			return err_set(e, -EINVAL, "the field \"%s\" is unknown here",
			               name_escape(key, strlen(key), shown, sizeof(shown)));
	}
	return 0;
}

char *json_text(const json_t *value)
{
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

void json_text_free(char *text)
{
	json_free_t release;

	/* json_dumps took it from whatever allocator is set. */
	json_get_alloc_funcs(NULL, &release);
	release(text);
}
