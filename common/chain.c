/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/chain.h"
#include "coffer/times.h"

#define SEQ_PREFIX "{\"seq\":"
#define TIME_MEMBER ",\"time\":\""
#define EVENT_MEMBER "\",\"event\":\""
#define HASH_MEMBER ",\"hash\":\""
#define TIME_LEN (sizeof("2026-11-24T05:30:05.123456Z") - 1)
#define HASH_TAIL_LEN (sizeof(HASH_MEMBER) - 1 + 2 * CHAIN_HASH_LEN + sizeof("\"}") - 1)

void chain_hash(const uint8_t previous[CHAIN_HASH_LEN], const char *text, size_t len,
                uint8_t ret[CHAIN_HASH_LEN])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, CHAIN_HASH_LEN);
	crypto_generichash_update(&state, previous, CHAIN_HASH_LEN);
	crypto_generichash_update(&state, (const unsigned char *)text, len);
	crypto_generichash_update(&state, (const unsigned char *)"}", 1);
	crypto_generichash_final(&state, ret, CHAIN_HASH_LEN);
}

void chain_hex(const uint8_t *bytes, size_t len, char *ret)
{
	sodium_bin2hex(ret, 2 * len + 1, bytes, len);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Only one spelling is taken (lower case): a line has one text. */
static int unhex_digits(const char *hex, uint8_t *ret, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = digit(hex[2 * i]);
		int low = high < 0 ? -1 : digit(hex[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int chain_unhex(const char *hex, uint8_t *ret, size_t len)
{
	return strlen(hex) == 2 * len ? unhex_digits(hex, ret, len) : -EINVAL;
}

/* Move `*at` over `literal` if it is there, before `end`. */
static bool skip(const char **at, const char *end, const char *literal)
{
	size_t len = strlen(literal);

	if ((size_t)(end - *at) < len || memcmp(*at, literal, len) != 0)
		return false;
	*at += len;
	return true;
}

/* A decimal number as we write it: no sign, no leading zero, at most 18 digits. */
static bool skip_number(const char **at, const char *end, uint64_t *ret)
{
	const char *start = *at;
	uint64_t value = 0;

	while (*at < end && **at >= '0' && **at <= '9' && *at - start < 18)
		value = value * 10 + (uint64_t)(*(*at)++ - '0');
	if (*at == start || *start == '0')
		return false;
	*ret = value;
	return true;
}

int chain_line_parse(const char *line, size_t len, struct chain_line *ret)
{
	struct chain_line parsed = { .text = line };
	const char *at = line, *end, *tail;

	if (len >= CHAIN_LINE_MAX || len < HASH_TAIL_LEN || memchr(line, '\0', len))
		return -EBADMSG;
	end = tail = line + len - HASH_TAIL_LEN;
	parsed.text_len = (size_t)(end - line);
	if (!skip(&tail, line + len, HASH_MEMBER) ||
	    unhex_digits(tail, parsed.hash, CHAIN_HASH_LEN) < 0)
		return -EBADMSG;
	tail += 2 * CHAIN_HASH_LEN;
	if (!skip(&tail, line + len, "\"}"))
		return -EBADMSG;
	if (!skip(&at, end, SEQ_PREFIX) || !skip_number(&at, end, &parsed.seq) ||
	    !skip(&at, end, TIME_MEMBER) || (size_t)(end - at) < TIME_LEN)
		return -EBADMSG;
	at += TIME_LEN;
	if (!skip(&at, end, EVENT_MEMBER))
		return -EBADMSG;
	parsed.damaged = skip(&at, end, CHAIN_DAMAGED_EVENT "\"");
	*ret = parsed;
	return 0;
}

bool chain_line_fits(const struct chain_line *line, const uint8_t previous[CHAIN_HASH_LEN])
{
	uint8_t hash[CHAIN_HASH_LEN];

	chain_hash(previous, line->text, line->text_len, hash);
	return memcmp(hash, line->hash, sizeof(hash)) == 0;
}

size_t chain_point_text(const struct chain_point *point, char ret[CHAIN_POINT_TEXT_MAX])
{
	char hash[CHAIN_HEX_LEN], previous[CHAIN_HEX_LEN];
	int n;

	chain_hex(point->hash, CHAIN_HASH_LEN, hash);
	chain_hex(point->oldest_previous, CHAIN_HASH_LEN, previous);
	n = snprintf(ret, CHAIN_POINT_TEXT_MAX,
	             "coffer audit head 1\nseq %llu\nhash %s\nepoch %llu\noldest %llu\n"
	             "previous %s\ntime %lld\n",
	             (unsigned long long)point->seq, hash, (unsigned long long)point->epoch,
	             (unsigned long long)point->oldest_seq, previous, (long long)point->time_ns);
	return (size_t)n;
}

bool chain_head_signature_good(const struct chain_head *head, const uint8_t public_key[32])
{
	char text[CHAIN_POINT_TEXT_MAX];
	size_t len = chain_point_text(&head->signed_point, text);

	return head->has_signed &&
	       crypto_sign_verify_detached(head->signature, (const unsigned char *)text, len,
	                                   public_key) == 0;
}
