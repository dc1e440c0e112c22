/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put --check: what is put is also held against the key, or the certificate, that is stored beside
 * it already. For that the one beside it is read.
 */
#include <stdlib.h>
#include <string.h>

#include "cert_pair.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "info.h"
#include "lint.h"
#include "put.h"

static bool is_put(const struct lint *l, const char *name)
{
	for (size_t i = 0; i < lint_count(l); i++)
		if (strcmp(lint_name(l, i), name) == 0)
			return true;
	return false;
}

/* A certificate that is put, and the key that is stored. */
static int check_key(const struct client *c, struct put *p, size_t i, struct err *e)
{
	SCOPED(json_ptr) json_t *answer = NULL;
	SCOPED(free_ptr) const char **keys = NULL;
	SCOPED(cert_file_free_ptr) struct cert_file *key = NULL;
	const char *name = lint_name(p->lint, i);
	size_t count = 0;
	int chosen = 0;
	int r = info_beside(c, name, "private_key", &answer, &keys, &count, e);

	if (r < 0)
		return r;
	chosen = cert_pair_choose(name, keys, count);
	if (chosen < 0 || is_put(p->lint, keys[chosen]))
		return 0; /* lint_pairs sees to those of one transaction */
	r = info_read(c, keys[chosen], &key, e);
	if (r == 0 && cert_file_fits(lint_file(p->lint, i), key) == 0)
		lint_say_unfit(name, keys[chosen], put_warn, p);
	return r;
}

/* A key that is put, and the certificates that are stored and go with it. */
static int check_certificates(const struct client *c, struct put *p, size_t i, struct err *e)
{
	SCOPED(json_ptr) json_t *in_keys = NULL;
	SCOPED(json_ptr) json_t *in_certificates = NULL;
	SCOPED(free_ptr) const char **keys = NULL;
	SCOPED(free_ptr) const char **names = NULL;
	const char *key = lint_name(p->lint, i);
	size_t count = 0, certificates = 0;
	bool there = false;
	int r = info_beside(c, key, "private_key", &in_keys, &keys, &count, e);

	if (r == 0)
		r = info_beside(c, key, "certificate", &in_certificates, &names, &certificates, e);
	for (size_t k = 0; r == 0 && k < count; k++)
		there |= strcmp(keys[k], key) == 0;
	if (r == 0 && !there)
		keys[count++] = key;
	for (size_t k = 0; r == 0 && k < certificates; k++) {
		SCOPED(cert_file_free_ptr) struct cert_file *file = NULL;
		int chosen = cert_pair_choose(names[k], keys, count);

		if (chosen < 0 || strcmp(keys[chosen], key) != 0 || is_put(p->lint, names[k]))
			continue;
		r = info_read(c, names[k], &file, e);
		if (r == 0 && cert_file_wants_key(file) && cert_file_key(file) == CERT_KEY_NONE &&
		    cert_file_fits(file, lint_file(p->lint, i)) == 0)
			lint_say_unfit(names[k], key, put_warn, p);
	}
	return r;
}

int put_check_beside(const struct client *c, struct put *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < lint_count(p->lint); i++) {
		const struct cert_file *file = lint_file(p->lint, i);

		if (cert_file_wants_key(file) && cert_file_key(file) == CERT_KEY_NONE)
			r = check_key(c, p, i, e);
		else if (cert_file_count(file) == 0 && cert_file_key(file) == CERT_KEY_READ)
			r = check_certificates(c, p, i, e);
	}
	return r;
}
