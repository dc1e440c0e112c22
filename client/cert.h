/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h - what a value says that holds X.509 certificates or a private key. Bytes in, answer out;
 * the parsing is libcrypto's.
 *
 * Read are PEM blocks (RFC 7468) in any order with anything between them, and a single DER
 * certificate. A private key is read so that its public half can be compared; nothing else is done
 * with it. A key that is encrypted is recognised, never asked a passphrase for. The process calls
 * crypto_memory_use first, so that what libcrypto makes of a key lies in locked, wiped memory.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERT_BLOCKS_MAX 512 /* PEM blocks looked at; Debian's bundle of all authorities has 140 */
#define CERT_TEXT_MAX 256   /* of a sentence */

struct cert_file;

/* 0 whatever the bytes are; -ENOMEM. Nothing of `bytes` is kept but what was parsed. */
int cert_file_read(const void *bytes, size_t len, struct cert_file **ret);
void cert_file_free(struct cert_file *f);
void cert_file_free_ptr(struct cert_file **f);

/* How many certificates could be read. */
size_t cert_file_count(const struct cert_file *f);

enum cert_key {
	CERT_KEY_NONE,
	CERT_KEY_READ,
	CERT_KEY_ENCRYPTED,
	CERT_KEY_UNREAD, /* there is one, of a kind or in a state that cannot be read */
};
enum cert_key cert_file_key(const struct cert_file *f);

/*
 * Whether the first certificate is one that somebody shows with a key beside it: no authority's,
 * or its own issuer's (self-signed certificates of test set-ups are often both).
 */
bool cert_file_wants_key(const struct cert_file *f);

/* Whether the private key of `key` belongs to the first certificate: 1, 0, or -ENOTSUP. */
int cert_file_fits(const struct cert_file *f, const struct cert_file *key);

enum cert_chain {
	CERT_CHAIN_SINGLE,
	CERT_CHAIN_BUNDLE, /* authorities only: no chain, whose order does not matter */
	CERT_CHAIN_IN_ORDER,
	CERT_CHAIN_OUT_OF_ORDER,
};
enum cert_chain cert_file_chain(const struct cert_file *f);
const char *cert_chain_text(enum cert_chain chain); /* "in order" */

/*
 * One object for each certificate, in the value's order: subject, issuer, names, not_before,
 * not_after, days_left, serial, key_type, key_bits, self_signed, ca. All text is printable ASCII.
 * NULL without memory. `now_s` is seconds since 1970.
 */
json_t *cert_file_describe(const struct cert_file *f, int64_t now_s);

/* A sentence for each thing that an operator should know before somebody else finds out. */
typedef void (*cert_say)(void *arg, const char *sentence);
void cert_file_warn(const struct cert_file *f, int64_t now_s, cert_say say, void *arg);
