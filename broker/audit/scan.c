/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/scan.h"
#include "coffer/cleanup.h"

#define SCAN_READ (256 * 1024)

/* The line in hand, and where it stands. */
struct place {
	uint64_t line, offset;
};

static void note_bad(struct scan *s, const struct place *at, const char *what)
{
	if (s->bad)
		return;
	s->bad = true;
	s->bad_line = at->line;
	s->bad_offset = at->offset;
	s->bad_seq = s->seq + 1;
	snprintf(s->what, sizeof(s->what), "%s", what);
}

static void take_line(struct scan *s, const struct place *at, const char *text, size_t len)
{
	bool known = s->know_previous || s->first_seq != 0;
	struct chain_line line;

	if (chain_line_parse(text, len, &line) < 0) {
		note_bad(s, at, "not a line of this log");
		return;
	}
	if (known && line.damaged && chain_line_fits(&line, s->hash)) {
		s->bad = s->differs[0] = s->differs[1] = false;
	} else if (known && line.seq != s->seq + 1) {
		note_bad(s, at, line.seq > s->seq ? "lines are missing before it" : "out of order");
	} else if (known && !chain_line_fits(&line, s->hash)) {
		note_bad(s, at, "its hash is not that of its text");
	}
	for (size_t i = 0; i < ARRAY_LEN(s->points); i++)
		if (s->points[i] && line.seq == s->points[i]->seq)
			s->differs[i] = memcmp(line.hash, s->points[i]->hash, CHAIN_HASH_LEN) != 0;
	if (s->first_seq == 0)
		s->first_seq = line.seq;
	s->seq = line.seq;
	memcpy(s->hash, line.hash, sizeof(s->hash));
}

/*
 * All whole lines of the `have` bytes at `text`. Returns how many bytes they take. A piece too long
 * to be a line is skipped up to its newline.
 */
static size_t take_lines(struct scan *s, struct place *at, const char *text, size_t have)
{
	size_t used = 0;

	for (;;) {
		const char *end = memchr(text + used, '\n', have - used);
		size_t len;

		if (!end)
			return used;
		len = (size_t)(end - text) - used;
		at->line++;
		take_line(s, at, text + used, len);
		used += len + 1;
		at->offset += len + 1;
		s->whole = at->offset;
	}
}

int scan_file(int fd, struct scan *s)
{
	SCOPED(free_ptr) char *buffer = malloc(SCAN_READ);
	struct place at = { 0 };
	size_t rest = 0;

	if (!buffer)
		return -ENOMEM;
	s->seq = s->previous_seq;
	memcpy(s->hash, s->previous_hash, sizeof(s->hash));
	for (;;) {
		ssize_t n = pread(fd, buffer + rest, SCAN_READ - rest, (off_t)s->size);
		size_t used;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		s->size += (uint64_t)n;
		used = take_lines(s, &at, buffer, rest + (size_t)n);
		rest = rest + (size_t)n - used;
		memmove(buffer, buffer + used, rest);
		if (rest == SCAN_READ) {
			struct place here = { at.line + 1, at.offset };

			/* No newline in sight: what was read of it is dropped, its end will be no
			 * line either. */
			note_bad(s, &here, "longer than a line of this log can be");
			at.offset += rest;
			rest = 0;
		}
	}
}
