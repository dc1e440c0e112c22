/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coffer/io.h"
#include "coffer/log.h"
#include "coffer/name.h"

/* Levels of syslog(3), as sd-daemon(3) writes them. */
enum { LEVEL_ERROR = 3, LEVEL_WARNING = 4, LEVEL_INFO = 6 };

static bool with_levels;

void log_with_levels(bool on)
{
	with_levels = on;
}

/* The whole line in one write, so that lines of several processes do not mix. */
__attribute__((format(printf, 2, 0))) static void log_line(int level, const char *format,
                                                           va_list args)
{
	char raw[LOG_LINE_MAX], safe[LOG_LINE_MAX], line[LOG_LINE_MAX + 8];
	int len;

	vsnprintf(raw, sizeof(raw), format, args);
	name_escape(raw, strlen(raw), safe, sizeof(safe));
	if (with_levels)
		len = snprintf(line, sizeof(line), "<%d>%s\n", level, safe);
	else
		len = snprintf(line, sizeof(line), "%s\n", safe);
	(void)io_write_all(STDERR_FILENO, line, (size_t)len);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LEVEL_INFO, format, args);
	va_end(args);
}

void log_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LEVEL_WARNING, format, args);
	va_end(args);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LEVEL_ERROR, format, args);
	va_end(args);
}
