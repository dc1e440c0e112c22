/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "coffer/log.h"
#include "coffer/name.h"

/* Levels of syslog(3), as sd-daemon(3) writes them. */
enum { LEVEL_ERROR = 3, LEVEL_WARNING = 4, LEVEL_INFO = 6 };

/* The one mutable global of the project. */
static struct {
	bool levels;
	unsigned lost; /* lines that found no room */
} sink;

void log_with_levels(bool on)
{
	sink.levels = on;
}

/*
 * The whole line in one write, so that lines of several processes do not mix. A pipe is asked for
 * room first, since kernels before 6.5 cannot be told not to wait in the call; O_NONBLOCK would be
 * everybody's who has it as stderr.
 */
static ssize_t put(char *line, size_t len)
{
	const struct iovec part = { .iov_base = line, .iov_len = len };
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct stat st;
	ssize_t n;

	if (fstat(STDERR_FILENO, &st) < 0)
		return -1;
	if (S_ISSOCK(st.st_mode))
		return send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (S_ISREG(st.st_mode))
		return write(STDERR_FILENO, line, len);
	if (poll(&room, 1, 0) != 1)
		return -1;
	n = pwritev2(STDERR_FILENO, &part, 1, -1, RWF_NOWAIT);
	return n < 0 && errno == EOPNOTSUPP ? write(STDERR_FILENO, line, len) : n;
}

static void emit(int level, const char *text)
{
	char line[LOG_LINE_MAX + 8];
	int len;

	if (sink.levels)
		len = snprintf(line, sizeof(line), "<%d>%s\n", level, text);
	else
		len = snprintf(line, sizeof(line), "%s\n", text);
	if (put(line, (size_t)len) < 0)
		sink.lost++;
}

static void tell_lost(void)
{
	unsigned lost = sink.lost;
	char text[64];

	if (lost == 0)
		return;
	snprintf(text, sizeof(text), "%u lines of this log were lost: nobody read it", lost);
	emit(LEVEL_WARNING, text);
	if (sink.lost == lost)
		sink.lost = 0;
	else
		sink.lost = lost;
}

__attribute__((format(printf, 2, 0))) static void log_line(int level, const char *format,
                                                           va_list args)
{
	char raw[LOG_LINE_MAX], safe[LOG_LINE_MAX];

	vsnprintf(raw, sizeof(raw), format, args);
	name_escape(raw, strlen(raw), safe, sizeof(safe));
	tell_lost();
	emit(level, safe);
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
