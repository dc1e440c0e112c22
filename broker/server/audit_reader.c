/* SPDX-License-Identifier: Apache-2.0 */
#include "server/audit_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"

struct audit_reader {
	struct audit *audit;
	int fds[AUDIT_FILES_MAX + 1];
	size_t count, current;
	off_t offset; /* of the first byte not handed out */
	char *piece;
};

static void close_files(struct audit_reader *r)
{
	for (size_t i = 0; i < r->count; i++)
		fd_close(r->fds[i]);
	r->count = 0;
}

static int open_files(struct audit_reader *r, struct err *e)
{
	char names[AUDIT_FILES_MAX + 1][64];
	int n = audit_files(r->audit, r->fds, names);

	if (n < 0)
		return err_errno(e, n, "cannot open the files of the audit log");
	r->count = (size_t)n;
	return 0;
}

int audit_reader_new(struct audit *a, struct audit_reader **ret, struct err *e)
{
	struct audit_reader *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->audit = a;
	r->piece = malloc(AUDIT_READER_PIECE);
	error = r->piece ? open_files(r, e) : err_set(e, -ENOMEM, "out of memory");
	if (error < 0) {
		audit_reader_free(r);
		return error;
	}
	*ret = r;
	return 0;
}

void audit_reader_free(struct audit_reader *r)
{
	if (!r)
		return;
	close_files(r);
	free(r->piece);
	free(r);
}

/* Whole lines of the piece into the list; returns the bytes used. */
static ssize_t add_lines(const char *piece, size_t len, json_t *list)
{
	size_t used = 0;
	const char *end;

	while ((end = memchr(piece + used, '\n', len - used))) {
		size_t line = (size_t)(end - (piece + used));
		json_t *text = json_stringn(piece + used, line);

		/* A line that somebody broke is shown as such; verify names it. */
		if (!text)
			text = json_string("{\"damaged\":true}");
		if (json_array_append_new(list, text) < 0)
			return -ENOMEM;
		used += line + 1;
	}
	return (ssize_t)used;
}

/* Open the retained files again and go on in the one behind the one just read. 1, or 0 if there is
 * none. */
static int find_newer(struct audit_reader *r, struct err *e)
{
	struct stat was, is;
	int error;

	if (r->count == 0)
		return 0;
	if (fstat(r->fds[r->count - 1], &was) < 0)
		return err_errno(e, -errno, "cannot look at the audit log");
	close_files(r);
	error = open_files(r, e);
	if (error < 0)
		return error;
	/* Not found: it was rotated away, so all that is kept is newer. */
	r->current = 0;
	for (size_t i = 0; i < r->count; i++) {
		if (fstat(r->fds[i], &is) < 0)
			return err_errno(e, -errno, "cannot look at the audit log");
		if (is.st_dev == was.st_dev && is.st_ino == was.st_ino)
			r->current = i + 1;
	}
	if (r->current < r->count) {
		r->offset = 0;
		return 1;
	}
	r->current = r->count > 0 ? r->count - 1 : 0;
	return 0;
}

/* 1: the next file is at hand; 0: this was the last. */
static int next_file(struct audit_reader *r, struct err *e)
{
	if (r->current + 1 < r->count) {
		r->current++;
		r->offset = 0;
		return 1;
	}
	return find_newer(r, e);
}

int audit_reader_next(struct audit_reader *r, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *list = json_array();
	int more = 1;

	while (json_array_size(list) == 0 && more == 1 && r->count > 0) {
		ssize_t used,
			n = pread(r->fds[r->current], r->piece, AUDIT_READER_PIECE, r->offset);

		if (n < 0)
			return err_errno(e, -errno, "cannot read the audit log");
		used = add_lines(r->piece, (size_t)n, list);
		if (used < 0)
			return err_set(e, (int)used, "out of memory");
		r->offset += used;
		if (used == 0 && (size_t)n == AUDIT_READER_PIECE)
			return err_set(
				e, -EBADMSG,
				"the audit log holds a line without an end; run coffer audit "
				"verify");
		if (used == 0)
			more = next_file(r, e);
	}
	if (more < 0)
		return more;
	*ret = TAKE_PTR(list);
	return 0;
}
