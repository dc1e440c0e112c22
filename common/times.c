/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "coffer/name.h"
#include "coffer/times.h"

#define DURATION_MAX_S (3650LL * 86400) /* 10 years: more is a slip of the finger */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	/* Fails for an unknown clock only, and Linux has had both since 2.6.39. */
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t times_now(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int64_t times_boottime(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

const char *times_format(int64_t ns, char buffer[TIMES_TEXT_MAX])
{
	int64_t seconds = ns / NS_PER_S, rest = ns % NS_PER_S;
	time_t whole;
	struct tm tm = { 0 };
	size_t len;

	if (rest < 0) {
		rest += NS_PER_S;
		seconds--;
	}
	/* 64 bits of nanoseconds span the years 1677 to 2262, which gmtime_r always knows. */
	whole = (time_t)seconds;
	gmtime_r(&whole, &tm);
	len = strftime(buffer, TIMES_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buffer + len, TIMES_TEXT_MAX - len, ".%06dZ", (int)(rest / 1000));
	return buffer;
}

/* `count` digits at *text, which is moved behind them; false if one of them is none. */
static bool take_digits(const char **text, int count, int *ret)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		char c = (*text)[i];

		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (c - '0');
	}
	*text += count;
	*ret = value;
	return true;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

/* ".5" to ".123456789", or nothing. */
static bool take_fraction(const char **text, int64_t *ret_ns)
{
	int64_t value = 0;
	int digits = 0;

	*ret_ns = 0;
	if (!take_char(text, '.'))
		return true;
	for (; **text >= '0' && **text <= '9'; (*text)++) {
		if (++digits > 9)
			return false;
		value = value * 10 + (**text - '0');
	}
	for (int i = digits; i < 9; i++)
		value *= 10;
	*ret_ns = value;
	return digits > 0;
}

static bool take_time(const char *text, struct tm *tm, int64_t *ret_fraction)
{
	return take_digits(&text, 4, &tm->tm_year) && take_char(&text, '-') &&
	       take_digits(&text, 2, &tm->tm_mon) && take_char(&text, '-') &&
	       take_digits(&text, 2, &tm->tm_mday) && take_char(&text, 'T') &&
	       take_digits(&text, 2, &tm->tm_hour) && take_char(&text, ':') &&
	       take_digits(&text, 2, &tm->tm_min) && take_char(&text, ':') &&
	       take_digits(&text, 2, &tm->tm_sec) && take_fraction(&text, ret_fraction) &&
	       take_char(&text, 'Z') && *text == '\0';
}

int times_parse(const char *text, int64_t *ret, struct err *e)
{
	struct tm tm = { 0 }, same;
	int64_t fraction, ns;
	char shown[64];
	time_t seconds;

	if (!take_time(text, &tm, &fraction))
		goto malformed;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	same = tm;
	seconds = timegm(&same);
	/* timegm turns the 31st of February into March: what it changed was no date. */
	if (same.tm_year != tm.tm_year || same.tm_mon != tm.tm_mon || same.tm_mday != tm.tm_mday ||
	    same.tm_hour != tm.tm_hour || same.tm_min != tm.tm_min || same.tm_sec != tm.tm_sec)
		goto malformed;
	if (__builtin_mul_overflow((int64_t)seconds, NS_PER_S, &ns) ||
	    __builtin_add_overflow(ns, fraction, &ns))
		goto malformed;
	*ret = ns;
	return 0;
malformed:
	return err_set(e, -EINVAL, "\"%s\" is not a time: write it in UTC as 2026-01-31T12:00:00Z",
	               name_escape(text, strlen(text), shown, sizeof(shown)));
}

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	case 'w':
		return 7 * 86400;
	default:
		return 0;
	}
}

int times_parse_duration(const char *text, int64_t *ret_ns, struct err *e)
{
	int64_t count = 0, unit, limit = DURATION_MAX_S;
	size_t i = 0;
	char shown[64];

	/* A count above the limit in seconds is too long in every unit, so it cannot overflow here.
	 */
	for (; text[i] >= '0' && text[i] <= '9' && count <= limit; i++)
		count = count * 10 + (text[i] - '0');
	unit = i > 0 && text[i] ? unit_seconds(text[i]) : 0;
	if (unit == 0 || text[i + 1] != '\0' || count < 1 || count > limit / unit)
		return err_set(e, -EINVAL,
		               "\"%s\" is not a duration: write a number and one of s, m, h, d, w, "
		               "such as 30d; at least 1s, at most 10 years (3650d)",
		               name_escape(text, strlen(text), shown, sizeof(shown)));
	*ret_ns = count * unit * NS_PER_S;
	return 0;
}
