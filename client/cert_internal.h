/* SPDX-License-Identifier: Apache-2.0 */
/* cert_internal.h - shared by cert.c (reading), cert_facts.c (describing) and cert_warn.c. */
#pragma once

#include <openssl/x509.h>

#include "cert.h"

struct cert_file {
	X509 *certificate[CERT_BLOCKS_MAX];
	size_t count;
	size_t unread; /* blocks that call themselves certificates and are none */
	EVP_PKEY *key; /* the first that could be read */
	enum cert_key state;
};

/* Seconds since 1970 of a certificate's time. False: it is none. */
bool cert_time(const ASN1_TIME *time, int64_t *ret_s);

#define CERT_TIME_TEXT_MAX 32
/* RFC 3339 in UTC, to the second; years up to 9999, beyond what nanoseconds hold. Returns `text`. */
const char *cert_time_text(const ASN1_TIME *time, char text[CERT_TIME_TEXT_MAX]);

/* Whole days, rounded down: 0 on the last day, negative once it is over. */
int64_t cert_days(int64_t from_s, int64_t to_s);

/* "CN=web.example,O=Example", printable ASCII, cut to fit. Returns `text`. */
const char *cert_name_text(const X509_NAME *name, char *text, size_t size);
