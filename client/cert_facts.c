/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cert_internal.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"

#define SUBJECT_SHOWN_MAX 1024
#define NAMES_SHOWN_MAX 256 /* certificates for more are known to nobody */
#define SERIAL_BYTES_MAX 64 /* RFC 5280 allows 20 */
#define DAY_S INT64_C(86400)

bool cert_time(const ASN1_TIME *time, int64_t *ret_s)
{
	struct tm tm = { 0 };

	if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	*ret_s = timegm(&tm);
	return true;
}

const char *cert_time_text(const ASN1_TIME *time, char text[CERT_TIME_TEXT_MAX])
{
	struct tm tm = { 0 };

	if (!time || ASN1_TIME_to_tm(time, &tm) != 1 ||
	    strftime(text, CERT_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, CERT_TIME_TEXT_MAX, "unreadable");
	return text;
}

int64_t cert_days(int64_t from_s, int64_t to_s)
{
	int64_t s = to_s - from_s;

	return s >= 0 ? s / DAY_S : -((-s + DAY_S - 1) / DAY_S);
}

const char *cert_name_text(const X509_NAME *name, char *text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	size_t len = 0;
	long n = 0;

	/* As in RFC 2253, but what needs it in quotes instead of behind backslashes. */
	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 | ASN1_STRFLGS_ESC_QUOTE) >= 0)
		n = BIO_get_mem_data(bio, &bytes);
	for (; (long)len < n && len + 1 < size; len++)
		text[len] = bytes[len] >= ' ' && bytes[len] <= '~' ? bytes[len] : '?';
	text[len] = '\0';
	if ((long)len < n && len >= 3)
		memcpy(text + len - 3, "...", 3);
	BIO_free(bio);
	ERR_clear_error();
	return text;
}

/* A name as text with its kind in front, as openssl(1) shows it: "DNS:web.example". */
static json_t *alternative(const GENERAL_NAME *name)
{
	char text[SUBJECT_SHOWN_MAX], address[INET6_ADDRSTRLEN];
	const ASN1_STRING *string = NULL;
	const char *kind = NULL;
	size_t used = 0;
	int type = 0, length = 0;
	void *value = GENERAL_NAME_get0_value(name, &type);

	switch (type) {
	case GEN_DNS:
		kind = "DNS:";
		break;
	case GEN_EMAIL:
		kind = "email:";
		break;
	case GEN_URI:
		kind = "URI:";
		break;
	case GEN_IPADD:
		string = value;
		length = ASN1_STRING_length(string);
		if ((length == 4 || length == 16) &&
		    inet_ntop(length == 16 ? AF_INET6 : AF_INET, ASN1_STRING_get0_data(string),
		              address, sizeof(address)))
			return json_sprintf("IP:%s", address);
		return json_string("IP:unreadable");
	case GEN_DIRNAME:
		cert_name_text(value, text, sizeof(text));
		return json_sprintf("DirName:%s", text);
	default:
		return json_string("other");
	}
	string = value;
	used = (size_t)snprintf(text, sizeof(text), "%s", kind);
	name_escape((const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string),
	            text + used, sizeof(text) - used);
	return json_string(text);
}

static json_t *alternatives(X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	int count = names ? sk_GENERAL_NAME_num(names) : 0;
	json_t *list = json_array();

	for (int i = 0; i < count && i < NAMES_SHOWN_MAX; i++)
		json_array_append_new(list, alternative(sk_GENERAL_NAME_value(names, i)));
	if (count > NAMES_SHOWN_MAX)
		json_array_append_new(list, json_sprintf("... %d more", count - NAMES_SHOWN_MAX));
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return list;
}

static json_t *serial(const X509 *certificate)
{
	const ASN1_INTEGER *number = X509_get0_serialNumber(certificate);
	char text[2 * SERIAL_BYTES_MAX + 2];
	const unsigned char *bytes = ASN1_STRING_get0_data(number);
	int len = ASN1_STRING_length(number);
	size_t used = 0;

	if (len <= 0 || len > SERIAL_BYTES_MAX)
		return json_string("unreadable");
	if (ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER)
		text[used++] = '-';
	for (int i = 0; i < len; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%02x", bytes[i]);
	return json_string(text);
}

/* "RSA" and 2048; of elliptic curves the curve's name. */
static void describe_key(X509 *certificate, json_t *to)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	char curve[64];
	size_t len = 0;

	json_object_set_new(to, "key_type", json_string(type ? type : "unknown"));
	if (key)
		json_object_set_new(to, "key_bits", json_integer(EVP_PKEY_get_bits(key)));
	if (key && EVP_PKEY_get_group_name(key, curve, sizeof(curve), &len) == 1)
		json_object_set_new(to, "key_curve", json_string(curve));
	ERR_clear_error();
}

static json_t *describe(X509 *certificate, int64_t now_s)
{
	char text[SUBJECT_SHOWN_MAX], time[CERT_TIME_TEXT_MAX];
	json_t *to = json_object();
	int64_t end = 0;

	cert_name_text(X509_get_subject_name(certificate), text, sizeof(text));
	json_object_set_new(to, "subject", json_string(text));
	cert_name_text(X509_get_issuer_name(certificate), text, sizeof(text));
	json_object_set_new(to, "issuer", json_string(text));
	json_object_set_new(to, "names", alternatives(certificate));
	cert_time_text(X509_get0_notBefore(certificate), time);
	json_object_set_new(to, "not_before", json_string(time));
	cert_time_text(X509_get0_notAfter(certificate), time);
	json_object_set_new(to, "not_after", json_string(time));
	if (cert_time(X509_get0_notAfter(certificate), &end))
		json_object_set_new(to, "days_left", json_integer(cert_days(now_s, end)));
	json_object_set_new(to, "serial", serial(certificate));
	describe_key(certificate, to);
	json_object_set_new(to, "self_signed", json_boolean(X509_self_signed(certificate, 1) == 1));
	json_object_set_new(to, "ca", json_boolean(X509_check_ca(certificate) > 0));
	ERR_clear_error();
	return to;
}

json_t *cert_file_describe(const struct cert_file *f, int64_t now_s)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < f->count; i++)
		if (json_array_append_new(list, describe(f->certificate[i], now_s)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}
