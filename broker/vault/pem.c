/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/pem.h"

#include <string.h>

#define BEGIN "-----BEGIN "
#define DASHES "-----"
#define DER_SEQUENCE 0x30
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

/* The label of the next block at or behind *at, which moves behind it. NULL: there is none. */
static const char *next_label(const char **at, const char *end, size_t *ret_len)
{
	while ((*at = memmem(*at, (size_t)(end - *at), BEGIN, strlen(BEGIN)))) {
		const char *label = *at += strlen(BEGIN);
		size_t len = 0, left = (size_t)(end - label);

		while (len < left && len <= LABEL_MAX && is_label_byte(label[len]))
			len++;
		if (left - len >= strlen(DASHES) &&
		    memcmp(label + len, DASHES, strlen(DASHES)) == 0) {
			*ret_len = len;
			return label;
		}
	}
	return NULL;
}

bool pem_has_private_key(const void *bytes, size_t len)
{
	const char *at = bytes, *end = at + len, *label;
	size_t n;

	while ((label = next_label(&at, end, &n)))
		if (ends_with(label, n, "PRIVATE KEY") || ends_with(label, n, "PRIVATE KEY BLOCK"))
			return true;
	return false;
}

/* Reads a DER header of a SEQUENCE: its content's length, or false. */
static bool sequence(const unsigned char **at, const unsigned char *end, size_t *ret_len)
{
	size_t len, digits;

	if (end - *at < 2 || *(*at)++ != DER_SEQUENCE)
		return false;
	len = *(*at)++;
	if (len >= 0x80) {
		digits = len - 0x80;
		if (digits == 0 || digits > 3 || (size_t)(end - *at) < digits)
			return false;
		for (len = 0; digits > 0; digits--)
			len = len << 8 | *(*at)++;
	}
	*ret_len = len;
	return len <= (size_t)(end - *at);
}

/* SEQUENCE { SEQUENCE { [0] { INTEGER 2 } ..., to the last byte: a certificate of version 3. */
static bool is_der_certificate(const unsigned char *at, size_t len)
{
	static const unsigned char version[] = { 0xa0, 0x03, 0x02, 0x01, 0x02 };
	const unsigned char *end = at + len;
	size_t outer = 0, inner = 0;

	return sequence(&at, end, &outer) && outer == (size_t)(end - at) &&
	       sequence(&at, end, &inner) && inner >= sizeof(version) &&
	       memcmp(at, version, sizeof(version)) == 0;
}

bool pem_has_certificate(const void *bytes, size_t len)
{
	const char *at = bytes, *end = at + len, *label;
	size_t n;

	while ((label = next_label(&at, end, &n)))
		if (ends_with(label, n, "CERTIFICATE"))
			return true;
	return is_der_certificate(bytes, len);
}
