/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.h - little-endian numbers and counted texts, into a growing buffer and out of bounded
 * bytes. Pure.
 *
 * Both sides carry a `failed` flag instead of an answer for each call: write or read a whole
 * record, then look once. A failed encoder has lost memory (-ENOMEM); a failed decoder has met
 * bytes of another format (-EBADMSG) and yields zeros and empty texts from there on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct encoder {
	unsigned char *bytes; /* owned */
	size_t len, size;
	bool failed;
};

/* `len` more bytes for the caller to fill: NULL without memory (then `failed` is set). */
unsigned char *encode_room(struct encoder *to, size_t len);

void encode_bytes(struct encoder *to, const void *bytes, size_t len);
void encode_u8(struct encoder *to, uint8_t number);
void encode_u16(struct encoder *to, uint16_t number);
void encode_u32(struct encoder *to, uint32_t number);
void encode_u64(struct encoder *to, uint64_t number);
void encode_text(struct encoder *to,
                 const char *text); /* u16 length, bytes; above 65535 bytes it fails */

/* Wipes and frees; for SCOPED(encoder_clear). */
void encoder_clear(struct encoder *e);

struct decoder {
	const unsigned char *bytes; /* borrowed */
	size_t left;
	bool failed;
};

/* The next `len` bytes, borrowed; NULL (and `failed`) if there are fewer. */
const unsigned char *decode_bytes(struct decoder *from, size_t len);
uint8_t decode_u8(struct decoder *from);
uint16_t decode_u16(struct decoder *from);
uint32_t decode_u32(struct decoder *from);
uint64_t decode_u64(struct decoder *from);

/* A counted text of at most `size - 1` bytes without NUL, copied with a NUL behind it. Returns its
 * length. */
size_t decode_text(struct decoder *from, char *buffer, size_t size);

/* Whether everything was read and nothing is left. */
bool decode_done(const struct decoder *from);
