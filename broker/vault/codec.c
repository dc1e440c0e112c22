/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/codec.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ENCODER_FIRST_SIZE 256 /* most documents fit without growing */

/* Not realloc: what is left behind would not be wiped. */
static bool grow(struct encoder *to, size_t need)
{
	size_t size = to->size ? to->size : ENCODER_FIRST_SIZE;
	unsigned char *bytes;

	while (size < need)
		size *= 2;
	bytes = malloc(size);
	if (!bytes)
		return false;
	if (to->bytes) {
		memcpy(bytes, to->bytes, to->len);
		sodium_memzero(to->bytes, to->len);
		free(to->bytes);
	}
	to->bytes = bytes;
	to->size = size;
	return true;
}

unsigned char *encode_room(struct encoder *to, size_t len)
{
	unsigned char *room;

	if (to->failed || len > SIZE_MAX / 4 || to->len > SIZE_MAX / 4 ||
	    (to->len + len > to->size && !grow(to, to->len + len))) {
		to->failed = true;
		return NULL;
	}
	room = to->bytes + to->len;
	to->len += len;
	return room;
}

void encode_bytes(struct encoder *to, const void *bytes, size_t len)
{
	unsigned char *room = len ? encode_room(to, len) : NULL;

	if (room)
		memcpy(room, bytes, len);
}

static void encode_number(struct encoder *to, uint64_t number, size_t width)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (unsigned char)(number >> (8 * i));
	encode_bytes(to, bytes, width);
}

void encode_u8(struct encoder *to, uint8_t number)
{
	encode_number(to, number, 1);
}

void encode_u16(struct encoder *to, uint16_t number)
{
	encode_number(to, number, 2);
}

void encode_u32(struct encoder *to, uint32_t number)
{
	encode_number(to, number, 4);
}

void encode_u64(struct encoder *to, uint64_t number)
{
	encode_number(to, number, 8);
}

void encode_text(struct encoder *to, const char *text)
{
	size_t len = strlen(text);

	if (len > UINT16_MAX) {
		to->failed = true;
		return;
	}
	encode_u16(to, (uint16_t)len);
	encode_bytes(to, text, len);
}

void encoder_clear(struct encoder *e)
{
	if (e->bytes)
		sodium_memzero(e->bytes, e->len);
	free(e->bytes);
	*e = (struct encoder){ 0 };
}

const unsigned char *decode_bytes(struct decoder *from, size_t len)
{
	const unsigned char *at = from->bytes;

	if (from->failed || len > from->left) {
		from->failed = true;
		return NULL;
	}
	from->bytes += len;
	from->left -= len;
	return at;
}

static uint64_t decode_number(struct decoder *from, size_t width)
{
	const unsigned char *at = decode_bytes(from, width);
	uint64_t number = 0;

	for (size_t i = 0; at && i < width; i++)
		number |= (uint64_t)at[i] << (8 * i);
	return number;
}

uint8_t decode_u8(struct decoder *from)
{
	return (uint8_t)decode_number(from, 1);
}

uint16_t decode_u16(struct decoder *from)
{
	return (uint16_t)decode_number(from, 2);
}

uint32_t decode_u32(struct decoder *from)
{
	return (uint32_t)decode_number(from, 4);
}

uint64_t decode_u64(struct decoder *from)
{
	return decode_number(from, 8);
}

size_t decode_text(struct decoder *from, char *buffer, size_t size)
{
	size_t len = decode_u16(from);
	const unsigned char *at = decode_bytes(from, len);

	buffer[0] = '\0';
	if (!at)
		return 0;
	if (len >= size || memchr(at, '\0', len)) {
		from->failed = true;
		return 0;
	}
	memcpy(buffer, at, len);
	buffer[len] = '\0';
	return len;
}

bool decode_done(const struct decoder *from)
{
	return !from->failed && from->left == 0;
}
