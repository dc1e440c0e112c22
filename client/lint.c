/* SPDX-License-Identifier: Apache-2.0 */
#include "lint.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cert_pair.h"
#include "coffer/cleanup.h"
#include "coffer/name.h"

#define SENTENCE_MAX (CERT_TEXT_MAX + 2 * NAME_LEN_MAX)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define BEGIN "-----BEGIN "

struct item {
	const char *name;
	struct cert_file *file;
};

struct lint {
	struct item *item; /* those that hold a certificate or a key */
	size_t count, room;
};

static bool is_one_line(const struct secret *value)
{
	const unsigned char *end = memchr(value->bytes, '\n', value->len);

	return end && end == value->bytes + value->len - 1 &&
	       !memchr(value->bytes, '\0', value->len);
}

static void lint_pem(const struct secret *value, cert_say say, void *arg)
{
	if (memmem(value->bytes, value->len, "\r\n", 2))
		say(arg,
		    "its lines end in CR LF, as Windows writes them, which some programs refuse: "
		    "convert it (sed 's/\\r$//')");
	if (value->bytes[value->len - 1] != '\n')
		say(arg,
		    "its last line has no line feed at its end: whatever is put behind it ends "
		    "on the same line");
}

void lint_bytes(const struct secret *value, cert_say say, void *arg)
{
	if (value->len == 0) {
		say(arg, "the value is empty");
		return;
	}
	if (value->len >= strlen(BYTE_ORDER_MARK) &&
	    memcmp(value->bytes, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		say(arg, "the value begins with a byte order mark, which few programs expect");
	if (memmem(value->bytes, value->len, BEGIN, strlen(BEGIN)))
		lint_pem(value, say, arg);
	else if (is_one_line(value))
		say(arg,
		    "the value ends with a newline: if that is not meant (a password), make it "
		    "without one (printf %s, tr -d '\\n')");
}

struct lint *lint_new(void)
{
	return calloc(1, sizeof(struct lint));
}

void lint_free(struct lint *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->count; i++)
		cert_file_free(l->item[i].file);
	free(l->item);
	free(l);
}

void lint_free_ptr(struct lint **l)
{
	lint_free(*l);
	*l = NULL;
}

/* The caller's `say`, with a name in front of each sentence. */
struct named {
	const char *name;
	cert_say say;
	void *arg;
};

static void say_named(void *arg, const char *sentence)
{
	const struct named *n = arg;
	char text[SENTENCE_MAX];

	snprintf(text, sizeof(text), "%s: %s", n->name, sentence);
	n->say(n->arg, text);
}

static int keep(struct lint *l, const char *name, struct cert_file **file)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct item *larger = reallocarray(l->item, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		l->item = larger;
		l->room = room;
	}
	l->item[l->count++] = (struct item){ name, TAKE_PTR(*file) };
	return 0;
}

int lint_add(struct lint *l, const char *name, const struct secret *value, int64_t now_s,
             cert_say say, void *arg)
{
	SCOPED(cert_file_free_ptr) struct cert_file *file = NULL;
	struct named named = { name, say, arg };
	int r = cert_file_read(value->bytes, value->len, &file);

	if (r < 0)
		return r;
	lint_bytes(value, say_named, &named);
	cert_file_warn(file, now_s, say_named, &named);
	if (cert_file_count(file) == 0 && cert_file_key(file) != CERT_KEY_READ)
		return 0;
	return keep(l, name, &file);
}

void lint_say_unfit(const char *certificate, const char *key, cert_say say, void *arg)
{
	struct named named = { certificate, say, arg };
	char text[CERT_TEXT_MAX + NAME_LEN_MAX];

	snprintf(text, sizeof(text), "the private key in %s does not fit this certificate", key);
	say_named(&named, text);
}

static void lint_pair(const struct lint *l, const struct item *certificate, const char *const *keys,
                      const size_t *index, size_t count, cert_say say, void *arg)
{
	int chosen = cert_pair_choose(certificate->name, keys, count);

	if (chosen >= 0 && cert_file_fits(certificate->file, l->item[index[chosen]].file) == 0)
		lint_say_unfit(certificate->name, keys[chosen], say, arg);
}

void lint_pairs(const struct lint *l, cert_say say, void *arg)
{
	const char **keys = calloc(l->count + 1, sizeof(*keys));
	size_t *index = calloc(l->count + 1, sizeof(*index)), count = 0;

	for (size_t i = 0; keys && index && i < l->count; i++)
		if (cert_file_key(l->item[i].file) == CERT_KEY_READ) {
			keys[count] = l->item[i].name;
			index[count++] = i;
		}
	for (size_t i = 0; keys && index && i < l->count; i++)
		if (cert_file_wants_key(l->item[i].file) &&
		    cert_file_key(l->item[i].file) == CERT_KEY_NONE)
			lint_pair(l, &l->item[i], keys, index, count, say, arg);
	free(keys);
	free(index);
}

size_t lint_count(const struct lint *l)
{
	return l->count;
}

const char *lint_name(const struct lint *l, size_t i)
{
	return l->item[i].name;
}

const struct cert_file *lint_file(const struct lint *l, size_t i)
{
	return l->item[i].file;
}
