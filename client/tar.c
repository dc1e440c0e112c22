/* SPDX-License-Identifier: Apache-2.0 */
#include "tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Offsets of the fields that we use; the others stay zero. */
enum {
	NAME = 0,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	MTIME = 136,
	SUM = 148,
	TYPE = 156,
	MAGIC = 257,
	USER = 265,
	GROUP = 297,
};

#define SIZE_DIGITS 11
#define SUM_LEN 8

static unsigned int sum_of(const unsigned char block[TAR_BLOCK])
{
	unsigned int sum = 0;

	/* As if its own field were blanks. */
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= SUM && i < SUM + SUM_LEN ? ' ' : block[i];
	return sum;
}

static void put(unsigned char *block, size_t at, const char *text)
{
	memcpy(block + at, text, strlen(text));
}

void tar_header(const char *name, uint64_t size, int64_t mtime, unsigned char block[TAR_BLOCK])
{
	char number[32];

	memset(block, 0, TAR_BLOCK);
	memcpy(block + NAME, name, strnlen(name, TAR_NAME_MAX));
	put(block, MODE, "0000600");
	put(block, UID, "0000000");
	put(block, GID, "0000000");
	snprintf(number, sizeof(number), "%011llo", (unsigned long long)size);
	put(block, SIZE, number);
	snprintf(number, sizeof(number), "%011llo", mtime > 0 ? (unsigned long long)mtime : 0ULL);
	put(block, MTIME, number);
	block[TYPE] = '0';
	put(block, MAGIC, "ustar");
	memcpy(block + MAGIC + 6, "00", 2);
	put(block, USER, "root");
	put(block, GROUP, "root");
	snprintf(number, sizeof(number), "%06o", sum_of(block));
	put(block, SUM, number);
	block[SUM + 7] = ' ';
}

/* Octal digits and then a NUL or a blank. */
static int octal(const unsigned char *field, size_t digits, uint64_t *ret)
{
	uint64_t number = 0;

	for (size_t i = 0; i < digits; i++) {
		if (field[i] < '0' || field[i] > '7')
			return -EBADMSG;
		number = number << 3 | (uint64_t)(field[i] - '0');
	}
	if (field[digits] != '\0' && field[digits] != ' ')
		return -EBADMSG;
	*ret = number;
	return 0;
}

int tar_parse(const unsigned char block[TAR_BLOCK], char name[TAR_NAME_MAX + 1], uint64_t *ret_size)
{
	uint64_t sum = 0, size = 0;

	if (octal(block + SUM, 6, &sum) < 0 || sum != sum_of(block) ||
	    octal(block + SIZE, SIZE_DIGITS, &size) < 0 || memcmp(block + MAGIC, "ustar", 6) != 0 ||
	    block[TYPE] != '0')
		return -EBADMSG;
	memcpy(name, block + NAME, TAR_NAME_MAX);
	name[TAR_NAME_MAX] = '\0';
	*ret_size = size;
	return 0;
}
