/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_check against the same rule as a regular expression, and name_escape: printable, never
 * longer than its buffer, and undone it gives the text back.
 *
 * Input: the size of the buffer (a byte), then the text.
 */
#include <errno.h>
#include <regex.h>

#include "coffer/name.h"
#include "fuzz.h"

#define SEGMENT                                  \
	"[abcdefghijklmnopqrstuvwxyz0123456789]" \
	"[abcdefghijklmnopqrstuvwxyz0123456789._-]*"

static bool is_name(const char *text, size_t len)
{
	static regex_t rule;
	static bool compiled;

	if (!compiled)
		MUST(regcomp(&rule, "^" SEGMENT "(/" SEGMENT "){0,7}$", REG_EXTENDED | REG_NOSUB) ==
		     0);
	compiled = true;
	/* A newline is an ordinary byte to regexec without REG_NEWLINE. */
	return len <= NAME_LEN_MAX && regexec(&rule, text, 0, NULL, 0) == 0;
}

static void check(const char *text)
{
	size_t len = strlen(text);
	struct err e = { 0 };
	int r = name_check(text, &e);

	MUST((r == 0) == is_name(text, len));
	if (r < 0)
		fuzz_refused(r, &e);
	MUST(name_check_path(text, NULL) == r);
	if (r == 0) {
		MUST(*name_last_segment(text) && !strchr(name_last_segment(text), '/'));
		MUST(name_check(name_last_segment(text), NULL) == 0);
	}
	r = name_check_prefix(text, &e);
	if (r == 0) {
		char *name = strndup(text, len - 1);

		MUST(text[len - 1] == '/' && is_name(name, len - 1));
		MUST(!name_has_prefix(name, text) && !name_has_prefix(text, text));
		free(name);
	} else {
		fuzz_refused(r, &e);
	}
}

/* \xHH back to bytes. Returns how many. */
static size_t unescape(const char *text, size_t len, uint8_t *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned int byte = (unsigned char)text[i];

		if (byte == '\\') {
			MUST(sscanf(text + i, "\\x%2x", &byte) == 1);
			i += 3;
		}
		ret[count++] = (uint8_t)byte;
	}
	return count;
}

static void escape(const uint8_t *data, size_t len, size_t size)
{
	char *whole = malloc(4 * len + 1), *cut = malloc(size ? size : 1);
	uint8_t *back = malloc(len + 1);
	size_t shown;

	MUST(whole && cut && back);
	MUST(name_escape((const char *)data, len, whole, 4 * len + 1) == whole);
	MUST(fuzz_printable(whole));
	MUST(unescape(whole, strlen(whole), back) == len && memcmp(back, data, len) == 0);
	if (size > 0) {
		name_escape((const char *)data, len, cut, size);
		shown = strlen(cut);
		MUST(shown < size && fuzz_printable(cut));
		if (strlen(whole) < size) {
			MUST(strcmp(whole, cut) == 0);
		} else {
			/* Whole escapes, then dots as far as there is room for any. */
			size_t dots = size - 1 < 3 ? size - 1 : 3;

			MUST(shown >= dots && strspn(cut + shown - dots, ".") == dots);
			MUST(strncmp(whole, cut, shown - dots) == 0);
			unescape(cut, shown - dots, back);
		}
	}
	free(whole);
	free(cut);
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t room = (size_t)fuzz_number(&in, 1), len;
	const uint8_t *bytes = fuzz_take(&in, SIZE_MAX, &len);
	char *text = fuzz_text(bytes, len);

	check(text);
	escape(bytes, len, room);
	free(text);
	return 0;
}
