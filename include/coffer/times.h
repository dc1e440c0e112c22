/* SPDX-License-Identifier: Apache-2.0 */
/*
 * times.h - points in time as int64_t nanoseconds since 1970 (UTC); as text, RFC 3339 with
 * microseconds and Z.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"

#define TIMES_TEXT_MAX 32 /* "2026-11-24T05:30:05.123456Z" and a NUL */
#define NS_PER_S 1000000000LL

int64_t times_now(void);      /* CLOCK_REALTIME */
int64_t times_boottime(void); /* CLOCK_BOOTTIME: counts through suspend, nobody can set it */

const char *times_format(int64_t ns, char buffer[TIMES_TEXT_MAX]);
int times_parse(const char *text, int64_t *ret, struct err *e);

/* "90s", "15m", "12h", "30d", "2w"; at least 1 s, at most 10 years. -EINVAL with the rule. */
int times_parse_duration(const char *text, int64_t *ret_ns, struct err *e);
