/* SPDX-License-Identifier: Apache-2.0 */
#include "runc_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/err.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/times.h"

#define LINE_MAX_BYTES (4 * ERR_TEXT_MAX)

/* {"level":"error","msg":…,"time":…}, or time=… level=error msg=…, as runc's logger writes them. */
static void format_line(bool as_json, const char *message, char *line, size_t size)
{
	char now[TIMES_TEXT_MAX];
	SCOPED(json_ptr) json_t *object = NULL;
	SCOPED(json_text_ptr) char *text = NULL;

	times_format(times_now(), now);
	if (as_json) {
		object = json_pack("{s:s,s:s,s:s}", "level", "error", "msg", message, "time", now);
		text = object ? json_text(object) : NULL;
		snprintf(line, size, "%s\n", text ? text : "");
		return;
	}
	for (char *p = line + snprintf(line, size, "time=\"%s\" level=error msg=\"", now);; p++) {
		if ((size_t)(p - line) + 4 >= size || !*message) {
			memcpy(p, "\"\n", 3);
			return;
		}
		if (*message == '"' || *message == '\\')
			*p++ = '\\';
		*p = *message++;
	}
}

void runc_log_error(const char *log, const char *log_format, const char *text)
{
	char message[2 * ERR_TEXT_MAX], line[LINE_MAX_BYTES];
	SCOPED_FD int fd = -1;

	snprintf(message, sizeof(message), "coffer-runc: %s", text);
	for (char *p = message; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	fprintf(stderr, "%s\n", message);
	if (!log || !*log)
		return;
	/* A pipe that nobody reads from must not hold us. */
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	format_line(log_format && strcmp(log_format, "json") == 0, message, line, sizeof(line));
	(void)io_write_all(fd, line, strlen(line));
}
