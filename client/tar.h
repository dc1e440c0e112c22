/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - headers of tar archives, ustar as POSIX.1-1988 has it: ordinary files only. Pure.
 */
#pragma once

#include <stdint.h>

#define TAR_BLOCK 512
#define TAR_NAME_MAX 100

/* A header for a file of root's, mode 0600. `size` at most 077777777777. */
void tar_header(const char *name, uint64_t size, int64_t mtime, unsigned char block[TAR_BLOCK]);

/* 0, or -EBADMSG: its sum does not fit, or it is no ordinary file. */
int tar_parse(const unsigned char block[TAR_BLOCK], char name[TAR_NAME_MAX + 1],
              uint64_t *ret_size);

/* What a file of that size takes, filled up to whole blocks. */
static inline uint64_t tar_padded(uint64_t size)
{
	return (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}
