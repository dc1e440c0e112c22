/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coffer/name.h"

#define SHOWN_MAX 128 /* bytes of a refused name that a message shows */

static bool is_first(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_further(char c)
{
	return is_first(c) || c == '.' || c == '_' || c == '-';
}

/* The rule that `len` bytes at `text` break, or NULL. */
static const char *broken_rule(const char *text, size_t len)
{
	size_t segments = 1;

	if (len == 0)
		return "it is empty";
	if (len > NAME_LEN_MAX)
		return "it is longer than 255 bytes";
	for (size_t i = 0; i < len; i++) {
		bool start = i == 0 || text[i - 1] == '/';

		if (text[i] == '/') {
			if (start)
				return "it has an empty segment (a '/' at the start or two in a "
				       "row)";
			segments++;
		} else if (start && !is_first(text[i])) {
			return "each segment starts with a letter a-z or a digit";
		} else if (!is_further(text[i])) {
			return "only a-z, 0-9, '.', '_', '-' and '/' between segments are allowed";
		}
	}
	if (text[len - 1] == '/')
		return "it ends with '/'";
	if (segments > NAME_SEGMENTS_MAX)
		return "it has more than 8 segments";
	return NULL;
}

static int check(const char *what, const char *text, size_t len, struct err *e)
{
	const char *rule = broken_rule(text, len);
	char shown[SHOWN_MAX];

	if (!rule)
		return 0;
	return err_set(e, -EINVAL, "\"%s\" is not %s: %s",
	               name_escape(text, strlen(text), shown, sizeof(shown)), what, rule);
}

int name_check(const char *name, struct err *e)
{
	return check("a secret's name", name, strlen(name), e);
}

int name_check_prefix(const char *prefix, struct err *e)
{
	size_t len = strlen(prefix);
	char shown[SHOWN_MAX];

	if (len == 0 || prefix[len - 1] != '/')
		return err_set(e, -EINVAL, "\"%s\" is not a prefix: a prefix ends with '/'",
		               name_escape(prefix, len, shown, sizeof(shown)));
	return check("a prefix", prefix, len - 1, e);
}

int name_check_path(const char *path, struct err *e)
{
	return check("a path below the mount", path, strlen(path), e);
}

const char *name_last_segment(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

bool name_has_prefix(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return len > 0 && prefix[len - 1] == '/' && strncmp(name, prefix, len) == 0 &&
	       name[len] != '\0';
}

/* One byte as it is shown; returns its length (1 or 4). */
static size_t escape_byte(unsigned char c, char shown[5])
{
	static const char digits[] = "0123456789abcdef";

	if (c >= 0x20 && c < 0x7f && c != '\\') {
		shown[0] = (char)c;
		return 1;
	}
	shown[0] = '\\';
	shown[1] = 'x';
	shown[2] = digits[c >> 4];
	shown[3] = digits[c & 15];
	return 4;
}

const char *name_escape(const char *text, size_t len, char *buffer, size_t size)
{
	static const char dots[] = "...";
	size_t out = 0, cut = 0;

	if (size == 0)
		return "";
	for (size_t i = 0; i < len; i++) {
		char shown[5];
		size_t n = escape_byte((unsigned char)text[i], shown);

		if (out + n > size - 1) {
			size_t room = size - 1 - cut;
			size_t mark = room < sizeof(dots) - 1 ? room : sizeof(dots) - 1;

			memcpy(buffer + cut, dots, mark);
			out = cut + mark;
			break;
		}
		memcpy(buffer + out, shown, n);
		out += n;
		/* The last place at which whole escapes leave room for the dots. */
		if (out + sizeof(dots) - 1 <= size - 1)
			cut = out;
	}
	buffer[out] = '\0';
	return buffer;
}
