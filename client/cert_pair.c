/* SPDX-License-Identifier: Apache-2.0 */
#include "cert_pair.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"

/* Words that say which half it is, or in what form, and not whose. */
static const char *const plain_words[] = { "pem",     "crt",     "cer",         "cert",
	                                   "certs",   "der",     "certificate", "key",
	                                   "privkey", "private", "priv",        "fullchain",
	                                   "chain",   "bundle",  "pub",         "public" };

struct stem {
	char text[NAME_LEN_MAX + 2];
};

static bool is_plain(const char *word, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(plain_words); i++)
		if (strlen(plain_words[i]) == len && memcmp(plain_words[i], word, len) == 0)
			return true;
	return false;
}

/* "web-2" of "web-2-cert.pem". */
static void take_stem(const char *name, struct stem *ret)
{
	const char *at = name_last_segment(name);
	size_t used = 0;

	ret->text[0] = '\0';
	while (*at) {
		size_t len = strcspn(at, "._-");

		if (len > 0 && !is_plain(at, len) && used + len + 2 < sizeof(ret->text))
			used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used,
			                         "%s%.*s", used ? "-" : "", (int)len, at);
		at += len + (at[len] != '\0');
	}
}

const char *cert_pair_folder(const char *name, char *folder, size_t size)
{
	snprintf(folder, size, "%.*s", (int)(name_last_segment(name) - name), name);
	return folder;
}

static bool same_folder(const char *a, const char *b)
{
	size_t len = (size_t)(name_last_segment(a) - a);

	return len == (size_t)(name_last_segment(b) - b) && memcmp(a, b, len) == 0;
}

int cert_pair_choose(const char *certificate, const char *const *keys, size_t count)
{
	int equal = CERT_PAIR_NONE, any = CERT_PAIR_NONE;
	struct stem wanted;

	take_stem(certificate, &wanted);
	for (size_t i = 0; i < count; i++) {
		struct stem stem;

		if (!same_folder(certificate, keys[i]) || strcmp(certificate, keys[i]) == 0)
			continue;
		any = any == CERT_PAIR_NONE ? (int)i : CERT_PAIR_SEVERAL;
		take_stem(keys[i], &stem);
		if (strcmp(stem.text, wanted.text) == 0)
			equal = equal == CERT_PAIR_NONE ? (int)i : CERT_PAIR_SEVERAL;
	}
	if (equal != CERT_PAIR_NONE)
		return equal;
	return wanted.text[0] ? CERT_PAIR_NONE : any;
}
