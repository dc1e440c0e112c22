/* SPDX-License-Identifier: Apache-2.0 */
/* json_parse: what it takes is shallow, prints as one line, and reads back as the same. */
#include "coffer/json.h"
#include "fuzz.h"

static size_t depth(json_t *value)
{
	size_t deepest = 0, below, i;
	const char *key;
	json_t *part;

	if (json_is_array(value)) {
		json_array_foreach (value, i, part)
			if ((below = depth(part)) > deepest)
				deepest = below;
		return deepest + 1;
	}
	if (json_is_object(value)) {
		json_object_foreach (value, key, part)
			if ((below = depth(part)) > deepest)
				deepest = below;
		return deepest + 1;
	}
	return 0;
}

static size_t members(json_t *value)
{
	size_t count = 0, i;
	const char *key;
	json_t *part;

	json_array_foreach (value, i, part)
		count += members(part);
	json_object_foreach (value, key, part)
		count += 1 + members(part);
	return count;
}

/* Every ':' outside of a text makes a member: none hid another. */
static size_t colons(const char *text, size_t len)
{
	bool in_text = false;
	size_t count = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_text && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_text = !in_text;
		else
			count += !in_text && text[i] == ':';
	}
	return count;
}

static void reads_back(json_t *value)
{
	char *text = json_text(value);
	json_t *again = NULL;
	struct err e = { 0 };

	MUST(text);
	for (const char *c = text; *c; c++)
		MUST((unsigned char)*c >= ' ');
	MUST(json_parse(text, strlen(text), &again, &e) == 0);
	MUST(json_equal(value, again));
	json_decref(again);
	json_text_free(text);
}

/* A getter gives what is of its type and in range, or a sentence. */
static void getters_keep_their_word(const json_t *object)
{
	static const char *const known[] = { "s", "i", "b", "a", "o", NULL };
	const char *text = NULL;
	int64_t number = 7;
	bool flag = false;
	json_t *part = NULL;
	struct err e = { 0 };
	int r = json_get_string(object, "s", true, &text, &e);

	r == 0 ? MUST(text) : fuzz_refused(r, &e);
	r = json_get_int(object, "i", true, -5, 5, &number, &e);
	r == 0 ? MUST(number >= -5 && number <= 5) : MUST(number == 7);
	r = json_get_bool(object, "b", false, &flag, &e);
	MUST(r == 0 || !flag);
	r = json_get_array(object, "a", true, 3, &part, &e);
	r == 0 ? MUST(json_array_size(part) <= 3) : MUST(!part);
	part = NULL;
	r = json_get_object(object, "o", true, &part, &e);
	r == 0 ? MUST(json_is_object(part)) : MUST(!part);
	r = json_only_keys(object, known, &e);
	r == 0 ? MUST(json_object_size(object) <= 5) : fuzz_refused(r, &e);
}

/* What is taken strictly is taken here too, and all of it; its texts are not touched. */
static void foreign_is_no_stricter(const uint8_t *data, size_t size, json_t *strict)
{
	json_t *value = NULL;
	struct err e = { 0 };
	int r = json_parse_foreign((const char *)data, size, &value, &e);

	if (r < 0) {
		MUST(!value && !strict);
		fuzz_refused(r, &e);
		return;
	}
	MUST(depth(value) <= JSON_DEPTH_LIMIT);
	if (strict)
		MUST(members(value) == members(strict) && depth(value) == depth(strict));
	if (json_is_string(strict))
		MUST(json_equal(value, strict));
	json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *value = NULL;
	struct err e = { 0 };
	int r = json_parse((const char *)data, size, &value, &e);

	foreign_is_no_stricter(data, size, value);
	if (r < 0) {
		MUST(!value);
		fuzz_refused(r, &e);
		return 0;
	}
	MUST(r == 0 && value && !memchr(data, '\0', size));
	MUST(members(value) == colons((const char *)data, size));
	MUST(depth(value) <= JSON_DEPTH_LIMIT);
	reads_back(value);
	getters_keep_their_word(value);
	json_decref(value);
	return 0;
}
