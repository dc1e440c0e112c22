/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/name.h"
#include "coffer/times.h"
#include "terminal.h"

#define FIRST_NS (NS_PER_S / 2)     /* shorter work shows nothing */
#define INTERVAL_NS (NS_PER_S / 10) /* between two drawings */
#define BAR_CELLS 20
#define BAR_COLUMNS 60 /* in a narrower terminal there is no bar, only numbers */
#define COUNT_MAX 64
#define WIPE "\r\033[K"

void progress_begin(struct progress *p, const struct client *c, const char *what,
                    enum progress_unit unit, uint64_t total)
{
	bool shown = !c->json && terminal_is_ours(STDERR_FILENO);

	*p = (struct progress){ .fd = shown ? STDERR_FILENO : -1,
		                .what = what,
		                .unit = unit,
		                .total = total,
		                .began = times_boottime() };
}

/* Append within `size`; what does not fit is cut. */
__attribute__((format(printf, 4, 5))) static void append(char *buffer, size_t size, size_t *used,
                                                         const char *format, ...)
{
	va_list args;
	int n = 0;

	va_start(args, format);
	n = vsnprintf(buffer + *used, size - *used, format, args);
	va_end(args);
	if (n > 0)
		*used += (size_t)n < size - *used ? (size_t)n : size - *used - 1;
}

/* "1.4 GiB" */
static void bytes_text(uint64_t bytes, char text[COUNT_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double shown = (double)bytes;
	size_t i = 0;

	for (; shown >= 1024 && i + 1 < ARRAY_LEN(units); i++)
		shown /= 1024;
	snprintf(text, COUNT_MAX, "%.*f %s", i > 0 ? 1 : 0, shown, units[i]);
}

static void count_text(const struct progress *p, uint64_t n, char text[COUNT_MAX])
{
	if (p->unit == PROGRESS_BYTES)
		bytes_text(n, text);
	else
		snprintf(text, COUNT_MAX, "%" PRIu64, n);
}

/* "[#######.............]  35% 42 of 120" */
static void append_share(const struct progress *p, bool bar, char *buffer, size_t size,
                         size_t *used)
{
	uint64_t done = p->done < p->total ? p->done : p->total;
	double share = (double)done / (double)p->total;
	char done_text[COUNT_MAX], total_text[COUNT_MAX];
	unsigned cells = (unsigned)(share * BAR_CELLS);

	if (bar) {
		append(buffer, size, used, " [");
		for (unsigned i = 0; i < BAR_CELLS; i++)
			append(buffer, size, used, "%c", i < cells ? '#' : '.');
		append(buffer, size, used, "]");
	}
	count_text(p, done, done_text);
	count_text(p, p->total, total_text);
	append(buffer, size, used, " %3u%% %s of %s", (unsigned)(share * 100), done_text,
	       total_text);
}

void progress_line(const struct progress *p, int64_t now, unsigned columns,
                   char buffer[PROGRESS_LINE_MAX])
{
	static const char spinner[] = "|/-\\";
	size_t used = 0;
	/* The last column stays empty: many terminals wrap when it is written. */
	size_t size = columns < PROGRESS_LINE_MAX ? (columns > 0 ? columns : 1) : PROGRESS_LINE_MAX;
	char text[COUNT_MAX];

	buffer[0] = '\0';
	append(buffer, size, &used, "coffer: %s", p->what);
	if (p->unit != PROGRESS_WAIT && p->total > 0) {
		append_share(p, columns >= BAR_COLUMNS, buffer, size, &used);
	} else {
		append(buffer, size, &used, " %c", spinner[p->turn % (sizeof(spinner) - 1)]);
		if (p->unit != PROGRESS_WAIT) {
			count_text(p, p->done, text);
			append(buffer, size, &used, " %s", text);
		}
		append(buffer, size, &used, " %" PRId64 " s",
		       (int64_t)((now - p->began) / NS_PER_S));
	}
	if (p->note[0])
		append(buffer, size, &used, "  %s", p->note);
}

bool progress_due(const struct progress *p, int64_t now)
{
	return p->drawn ? now - p->drawn >= INTERVAL_NS : now - p->began >= FIRST_NS;
}

void progress_tick(void *progress)
{
	struct progress *p = progress;
	char line[PROGRESS_LINE_MAX], drawn[sizeof(WIPE) + PROGRESS_LINE_MAX];
	int64_t now = 0;
	int n = 0;

	if (p->fd < 0)
		return;
	now = times_boottime();
	if (!progress_due(p, now))
		return;
	progress_line(p, now, terminal_columns(p->fd), line);
	n = snprintf(drawn, sizeof(drawn), WIPE "%s", line);
	p->turn++;
	p->drawn = now;
	/* A terminal that takes no more loses its line, not the work. */
	if (io_write_all(p->fd, drawn, (size_t)n) < 0)
		p->fd = -1;
}

void progress_set(struct progress *p, uint64_t done)
{
	p->done = done;
	progress_tick(p);
}

void progress_add(struct progress *p, uint64_t more)
{
	progress_set(p, p->done + more);
}

void progress_note(struct progress *p, const char *note)
{
	name_escape(note, strlen(note), p->note, sizeof(p->note));
	progress_tick(p);
}

void progress_end(struct progress *p)
{
	if (p->fd >= 0 && p->drawn)
		(void)io_write_all(p->fd, WIPE, sizeof(WIPE) - 1);
	p->fd = -1;
}
