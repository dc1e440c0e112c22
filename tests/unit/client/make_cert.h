/* SPDX-License-Identifier: Apache-2.0 */
/* make_cert.h - certificates and keys for tests, made when they run. */
#pragma once

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <string.h>

#include "coffer/secret.h"

#define DAY 86400

struct made {
	X509 *certificate;
	EVP_PKEY *key;
};

struct make {
	const char *subject;
	const struct made *issuer; /* NULL: itself */
	const char *type;          /* "EC" (NULL), "RSA", "ED25519" */
	bool authority;
	long from_s, to_s; /* from now */
	const char *names; /* as openssl.cnf has subjectAltName; NULL: none */
};

static inline EVP_PKEY *make_key(const char *type)
{
	EVP_PKEY *key = !type || strcmp(type, "EC") == 0 ? EVP_EC_gen("P-256")
	                : strcmp(type, "RSA") == 0       ? EVP_RSA_gen(2048)
	                                                 : EVP_PKEY_Q_keygen(NULL, NULL, type);

	ck_assert_ptr_nonnull(key);
	return key;
}

static inline void add_extension(X509 *certificate, int kind, const char *text)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, text);

	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static inline struct made make_certificate(const struct make *m)
{
	struct made made = { X509_new(), make_key(m->type) };
	const struct made *issuer = m->issuer ? m->issuer : &made;
	X509_NAME *name = X509_get_subject_name(made.certificate);

	ck_assert_int_eq(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	                                            (const unsigned char *)m->subject, -1, -1, 0),
	                 1);
	X509_set_version(made.certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 0x1234);
	X509_set_issuer_name(made.certificate, X509_get_subject_name(issuer->certificate));
	X509_gmtime_adj(X509_getm_notBefore(made.certificate), m->from_s);
	X509_gmtime_adj(X509_getm_notAfter(made.certificate), m->to_s);
	X509_set_pubkey(made.certificate, made.key);
	add_extension(made.certificate, NID_basic_constraints,
	              m->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (m->names)
		add_extension(made.certificate, NID_subject_alt_name, m->names);
	ck_assert_int_gt(X509_sign(made.certificate, issuer->key,
	                           EVP_PKEY_is_a(issuer->key, "ED25519") ? NULL : EVP_sha256()),
	                 0);
	return made;
}

static inline void made_clear(struct made *m)
{
	X509_free(m->certificate);
	EVP_PKEY_free(m->key);
}

/* A value of what is written to a BIO; the caller frees. */
static inline struct secret *take_bio(BIO *bio)
{
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);
	struct secret *value = secret_copy(bytes, (size_t)len);

	ck_assert_ptr_nonnull(value);
	BIO_free(bio);
	return value;
}

/* Certificates, one behind the other, up to the first NULL. */
static inline struct secret *pem_certificates(const struct made *first, ...)
{
	BIO *bio = BIO_new(BIO_s_mem());
	va_list args;

	va_start(args, first);
	for (const struct made *m = first; m; m = va_arg(args, const struct made *))
		ck_assert_int_eq(PEM_write_bio_X509(bio, m->certificate), 1);
	va_end(args);
	return take_bio(bio);
}

static inline struct secret *der_certificate(const struct made *m)
{
	BIO *bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(i2d_X509_bio(bio, m->certificate), 1);
	return take_bio(bio);
}

/* PKCS#8; with a passphrase encrypted. */
static inline struct secret *pem_key(const struct made *m, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(
				 bio, m->key, passphrase ? EVP_aes_128_cbc() : NULL, passphrase,
				 passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
	                 1);
	return take_bio(bio);
}

/* The older form of RSA and EC ("RSA PRIVATE KEY"), encrypted by a header; others have none. */
static inline struct secret *pem_key_traditional(const struct made *m, const char *passphrase)
{
	if (EVP_PKEY_is_a(m->key, "ED25519"))
		return pem_key(m, passphrase);

	BIO *bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(
				 bio, m->key, passphrase ? EVP_aes_128_cbc() : NULL,
				 (const unsigned char *)passphrase,
				 passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
	                 1);
	return take_bio(bio);
}

static inline struct secret *joined(const struct secret *a, const struct secret *b)
{
	struct secret *both = secret_new(a->len + b->len);

	ck_assert_ptr_nonnull(both);
	memcpy(both->bytes, a->bytes, a->len);
	memcpy(both->bytes + a->len, b->bytes, b->len);
	return both;
}
