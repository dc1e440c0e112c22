/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - a secret's bytes in a worker: the broker's sealed memfd, mapped read-only. Touches the
 * OS.
 *
 * All workers with the same version share the same pages. A value of 0 bytes has no mapping: *ret
 * is NULL.
 */
#pragma once

#include <stdint.h>

/*
 * Map `fd` (stays the caller's; not needed afterwards). -EPERM: not sealed against write and
 * shrink; -EFBIG: larger than a value may be; -EINVAL: not a file of exactly `size` bytes; else
 * -errno.
 */
int value_map(int fd, uint64_t size, const unsigned char **ret);

void value_unmap(const unsigned char *bytes, uint64_t size);
