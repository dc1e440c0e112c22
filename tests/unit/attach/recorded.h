/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorded.h - files that real engines wrote, in recorded/ beside the tests. What ends in .gz is unpacked.
 */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDED_MAX (4 * 1024 * 1024)

/* The bytes of a file, NUL behind them; caller frees. */
static inline char *recorded(const char *name, size_t *ret_len)
{
	size_t len = strlen(name);
	bool packed = len > 3 && strcmp(name + len - 3, ".gz") == 0;
	char command[1024], *bytes = malloc(RECORDED_MAX + 1);
	FILE *pipe;

	ck_assert_ptr_nonnull(bytes);
	snprintf(command, sizeof(command), "%s <'" RECORDED_FOLDER "/%s'",
	         packed ? "gzip -dc" : "cat", name);
	pipe = popen(command, "re");
	ck_assert_ptr_nonnull(pipe);
	*ret_len = fread(bytes, 1, RECORDED_MAX, pipe);
	ck_assert_msg(pclose(pipe) == 0 && *ret_len > 0, "cannot read %s", name);
	bytes[*ret_len] = '\0';
	return bytes;
}
