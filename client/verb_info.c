/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"
#include "info.h"
#include "output.h"

#define INDENT 2

static int no_memory(struct err *e)
{
	return err_errno(e, -ENOMEM, "cannot describe it");
}

static int print_known(const json_t *reply, struct err *e)
{
	const json_t *secret = json_object_get(reply, "secret");
	SCOPED(free_ptr) char *labels = field_labels(secret, "labels");
	char version[FIELD_NUMBER_MAX], size[FIELD_NUMBER_MAX];

	if (!labels)
		return no_memory(e);
	output_fact(stdout, 0, "name", field_text(secret, "name"));
	output_fact(stdout, 0, "version", field_number(secret, "version", version));
	output_fact(stdout, 0, "size", field_number(secret, "size", size));
	output_fact(stdout, 0, "modified", field_text(secret, "created"));
	output_fact(stdout, 0, "expires", field_text(secret, "expires"));
	output_fact(stdout, 0, "expired", field_true(secret, "expired") ? "yes" : "no");
	output_fact(stdout, 0, "private key", field_true(secret, "private_key") ? "yes" : "no");
	output_fact(stdout, 0, "labels", labels);
	printf("%-14s %zu\n", "versions", json_array_size(json_object_get(reply, "versions")));
	return 0;
}

/* "RSA, 2048 bits", "EC, prime256v1, 256 bits" */
static void print_key_kind(const json_t *certificate)
{
	const char *curve = field_text(certificate, "key_curve");
	char bits[FIELD_NUMBER_MAX], text[256];

	snprintf(text, sizeof(text), "%s%s%s, %s bits", field_text(certificate, "key_type"),
	         curve[0] ? ", " : "", curve, field_number(certificate, "key_bits", bits));
	output_fact(stdout, INDENT, "public key", text);
}

static void print_one(const json_t *certificate, size_t number)
{
	json_t *names = json_object_get(certificate, "names"), *name = NULL;
	char text[FIELD_NUMBER_MAX];
	size_t i = 0;

	snprintf(text, sizeof(text), "%zu", number);
	output_fact(stdout, 0, "certificate", text);
	output_fact(stdout, INDENT, "subject", field_text(certificate, "subject"));
	output_fact(stdout, INDENT, "issuer", field_text(certificate, "issuer"));
	json_array_foreach (names, i, name)
		output_fact(stdout, INDENT, "name", json_string_value(name));
	output_fact(stdout, INDENT, "not before", field_text(certificate, "not_before"));
	output_fact(stdout, INDENT, "not after", field_text(certificate, "not_after"));
	output_fact(stdout, INDENT, "days left", field_number(certificate, "days_left", text));
	output_fact(stdout, INDENT, "serial", field_text(certificate, "serial"));
	print_key_kind(certificate);
	output_fact(stdout, INDENT, "self-signed",
	            field_true(certificate, "self_signed") ? "yes" : "no");
	output_fact(stdout, INDENT, "authority", field_true(certificate, "ca") ? "yes" : "no");
}

/* "tls/key fits", "tls/key does not fit", "unknown: none beside it..." */
static void print_key(const json_t *key)
{
	const json_t *fits = json_object_get(key, "fits");
	const char *name = field_text(key, "name");
	char text[512];

	if (json_is_boolean(fits))
		snprintf(text, sizeof(text), "%s %s", name,
		         json_is_true(fits) ? "fits" : "does not fit");
	else
		snprintf(text, sizeof(text), "%s%sunknown: %s", name, name[0] ? " " : "",
		         field_text(key, "reason"));
	output_fact(stdout, 0, "its key", text);
}

static void print_certificate(const json_t *certificate)
{
	json_t *row = NULL;
	size_t i = 0;

	output_fact(stdout, 0, "chain", field_text(certificate, "chain"));
	print_key(json_object_get(certificate, "key"));
	json_array_foreach (json_object_get(certificate, "warnings"), i, row)
		output_fact(stdout, 0, "warning", json_string_value(row));
	json_array_foreach (json_object_get(certificate, "certificates"), i, row)
		print_one(row, i + 1);
}

static int check_options(const struct options *o, struct err *e)
{
	if (options_has(o, "no-value") && (options_has(o, "certificate") || options_has(o, "key")))
		return err_set(e, CLIENT_USAGE,
		               "--no-value goes with neither --certificate nor --key, for which "
		               "values are read");
	return 0;
}

/* A value that cannot be had or read is no failure of what the broker knows of the name. */
static int add_certificate(const struct client *c, const struct options *o, json_t *reply,
                           struct err *e)
{
	const json_t *secret = json_object_get(reply, "secret");
	bool asked = options_has(o, "certificate") || options_has(o, "key");
	json_t *certificate = NULL;
	int r = 0;

	if (options_has(o, "no-value") || !(asked || field_true(secret, "certificate")))
		return 0;
	if (field_true(secret, "expired") && !asked)
		return 0;
	r = info_certificate(c, field_text(secret, "name"), options_text(o, "key", 0), &certificate,
	                     e);
	if (r < 0 && asked)
		return r;
	if (r < 0) {
		output_warning("%s", e->text);
		return 0;
	}
	return set_new(reply, "certificate", certificate, e);
}

int verb_info(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = check_options(o, e);

	if (r == 0)
		r = info_fetch(c, o->word[0], &reply, e);
	if (r == 0)
		r = add_certificate(c, o, reply, e);
	if (r < 0)
		return r;
	if (c->json)
		return output_json(reply, e);
	r = print_known(reply, e);
	if (r == 0 && json_object_get(reply, "certificate"))
		print_certificate(json_object_get(reply, "certificate"));
	return r;
}
