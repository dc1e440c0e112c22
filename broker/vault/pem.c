/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/pem.h"

#include <string.h>

#define BEGIN "-----BEGIN "
#define DASHES "-----"
#define LABEL_MAX 64 /* the longest in use has 22 characters */

static bool ends_with(const char *text, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len >= end_len && memcmp(text + len - end_len, end, end_len) == 0;
}

static bool is_label_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ';
}

bool pem_has_private_key(const void *bytes, size_t len)
{
	const char *at = bytes, *end = at + len;

	while ((at = memmem(at, (size_t)(end - at), BEGIN, strlen(BEGIN)))) {
		size_t label = 0, left;

		at += strlen(BEGIN);
		left = (size_t)(end - at);
		while (label < left && label <= LABEL_MAX && is_label_byte(at[label]))
			label++;
		if (left - label >= strlen(DASHES) &&
		    memcmp(at + label, DASHES, strlen(DASHES)) == 0 &&
		    (ends_with(at, label, "PRIVATE KEY") ||
		     ends_with(at, label, "PRIVATE KEY BLOCK")))
			return true;
	}
	return false;
}
