/* SPDX-License-Identifier: Apache-2.0 */
#include "cert.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "cert_internal.h"
#include "coffer/cleanup.h"
#include "crypto_memory.h"

#define DER_SEQUENCE 0x30
#define BEGIN "-----BEGIN "
#define LABEL_MAX 64 /* longer ones are none of ours */

/* One PEM block, as PEM_read_bio takes it apart. */
struct block {
	char *label, *header;
	unsigned char *bytes;
	long len;
};

static void block_clear(struct block *b)
{
	OPENSSL_free(b->label);
	OPENSSL_free(b->header);
	OPENSSL_clear_free(b->bytes, b->len > 0 ? (size_t)b->len : 0);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void take_certificate(struct cert_file *f, X509 *certificate)
{
	if (certificate && f->count < CERT_BLOCKS_MAX)
		f->certificate[f->count++] = certificate;
	else
		X509_free(certificate);
	f->unread += !certificate;
}

static void take_key(struct cert_file *f, const struct block *b)
{
	const unsigned char *at = b->bytes;

	if (f->state == CERT_KEY_READ)
		return;
	/* PKCS#8 says so in its label, the older forms in a header (RFC 1421, 4.6.1.1). */
	if (strcmp(b->label, "ENCRYPTED PRIVATE KEY") == 0 || strstr(b->header, "ENCRYPTED")) {
		f->state = CERT_KEY_ENCRYPTED;
		return;
	}
	f->key = d2i_AutoPrivateKey(NULL, &at, b->len);
	f->state = f->key ? CERT_KEY_READ : CERT_KEY_UNREAD;
}

enum kind {
	KIND_OTHER, /* nothing of ours: PGP's armour, a public key, parameters */
	KIND_CERTIFICATE,
	KIND_TRUSTED,
	KIND_KEY
};

static enum kind kind_of(const char *label)
{
	if (strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0)
		return KIND_CERTIFICATE;
	if (strcmp(label, PEM_STRING_X509_TRUSTED) == 0)
		return KIND_TRUSTED;
	return ends_with(label, "PRIVATE KEY") ? KIND_KEY : KIND_OTHER;
}

static void take_block(struct cert_file *f, const struct block *b)
{
	const unsigned char *at = b->bytes;

	switch (kind_of(b->label)) {
	case KIND_CERTIFICATE:
		take_certificate(f, d2i_X509(NULL, &at, b->len));
		break;
	case KIND_TRUSTED:
		take_certificate(f, d2i_X509_AUX(NULL, &at, b->len));
		break;
	case KIND_KEY:
		take_key(f, b);
		break;
	case KIND_OTHER:
		break;
	}
}

/* Whether a block of ours begins in there. */
static bool has_ours(const char *text, size_t len)
{
	const char *at = text, *end = text + len;

	while ((at = memmem(at, (size_t)(end - at), BEGIN, strlen(BEGIN)))) {
		char label[LABEL_MAX + 1];
		const char *name = at + strlen(BEGIN);
		const char *dashes = memmem(name, (size_t)(end - name), "-----", 5);

		at = name;
		if (!dashes || dashes - name > LABEL_MAX)
			continue;
		memcpy(label, name, (size_t)(dashes - name));
		label[dashes - name] = '\0';
		if (kind_of(label) != KIND_OTHER)
			return true;
	}
	return false;
}

/* PEM_read_bio skips what is no block and consumes at least a line each time. */
static void read_pem(struct cert_file *f, BIO *bio, const char *text, size_t len)
{
	for (size_t i = 0; i < CERT_BLOCKS_MAX; i++) {
		SCOPED(block_clear) struct block b = { 0 };
		const char *from = text + (len - (size_t)BIO_pending(bio));

		ERR_clear_error();
		if (PEM_read_bio(bio, &b.label, &b.header, &b.bytes, &b.len) == 1) {
			take_block(f, &b);
			continue;
		}
		if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
			return;
		f->unread += has_ours(from, len - (size_t)BIO_pending(bio) - (size_t)(from - text));
	}
}

static bool is_pem(const void *bytes, size_t len)
{
	return memmem(bytes, len, BEGIN, strlen(BEGIN)) != NULL;
}

int cert_file_read(const void *bytes, size_t len, struct cert_file **ret)
{
	SCOPED(cert_file_free_ptr) struct cert_file *f = calloc(1, sizeof(*f));
	const unsigned char *at = bytes;
	bool pem = len > 0 && is_pem(bytes, len);
	BIO *bio = NULL;

	if (!f || len > INT_MAX)
		return -ENOMEM;
	/* A certificate in DER is a SEQUENCE. What is neither never meets libcrypto. */
	if (!pem && (len == 0 || *at != DER_SEQUENCE)) {
		*ret = TAKE_PTR(f);
		return 0;
	}
	if (crypto_memory_begin() < 0)
		return -ENOMEM;
	if (pem) {
		bio = BIO_new_mem_buf(bytes, (int)len);
		if (!bio)
			return -ENOMEM;
		read_pem(f, bio, bytes, len);
		BIO_free(bio);
	} else {
		X509 *certificate = d2i_X509(NULL, &at, (long)len);

		if (certificate)
			take_certificate(f, certificate);
	}
	ERR_clear_error();
	*ret = TAKE_PTR(f);
	return 0;
}

void cert_file_free(struct cert_file *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++)
		X509_free(f->certificate[i]);
	EVP_PKEY_free(f->key);
	free(f);
}

void cert_file_free_ptr(struct cert_file **f)
{
	cert_file_free(*f);
	*f = NULL;
}

size_t cert_file_count(const struct cert_file *f)
{
	return f->count;
}

enum cert_key cert_file_key(const struct cert_file *f)
{
	return f->state;
}

static bool is_authority(X509 *certificate)
{
	return X509_check_ca(certificate) > 0;
}

bool cert_file_wants_key(const struct cert_file *f)
{
	return f->count > 0 &&
	       (!is_authority(f->certificate[0]) || X509_self_signed(f->certificate[0], 0) == 1);
}

int cert_file_fits(const struct cert_file *f, const struct cert_file *key)
{
	int fits = 0;

	if (f->count == 0 || !key->key || !X509_get0_pubkey(f->certificate[0]))
		return -ENOTSUP;
	fits = X509_check_private_key(f->certificate[0], key->key) == 1;
	ERR_clear_error();
	return fits;
}

/* By its names, and by its signature: an authority that was renewed under its name signs anew. */
static bool issued_by(X509 *certificate, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	bool yes = key && X509_check_issued(issuer, certificate) == X509_V_OK &&
	           X509_verify(certificate, key) == 1;

	ERR_clear_error();
	return yes;
}

enum cert_chain cert_file_chain(const struct cert_file *f)
{
	size_t authorities = 0;

	if (f->count < 2)
		return CERT_CHAIN_SINGLE;
	for (size_t i = 0; i < f->count; i++)
		authorities += is_authority(f->certificate[i]);
	if (authorities == f->count)
		return CERT_CHAIN_BUNDLE;
	for (size_t i = 0; i + 1 < f->count; i++)
		if (!issued_by(f->certificate[i], f->certificate[i + 1]))
			return CERT_CHAIN_OUT_OF_ORDER;
	return CERT_CHAIN_IN_ORDER;
}

const char *cert_chain_text(enum cert_chain chain)
{
	static const char *const text[] = {
		[CERT_CHAIN_SINGLE] = "single",
		[CERT_CHAIN_BUNDLE] = "authorities",
		[CERT_CHAIN_IN_ORDER] = "in order",
		[CERT_CHAIN_OUT_OF_ORDER] = "out of order",
	};

	return text[chain];
}
