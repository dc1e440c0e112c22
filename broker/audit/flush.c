/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a flush: the lines, their sync, the head that names them, then the removal of files
 * that the head no longer counts; a log's very first head comes before its first line. A crash
 * between any two leaves a log that recover.c takes up without loss.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "audit/state.h"
#include "coffer/times.h"

/* A current file that is open, ours, and as long as we left it. */
static int ensure_current(struct audit *a)
{
	uint64_t size = a->files.size;
	int r;

	if (a->files.fd < 0) {
		r = files_open_current(&a->files);
		/* What a failed write left behind was never acknowledged, and is still waiting
		 * here. */
		if (r == 0 && a->files.size > size)
			r = files_cut(&a->files, size);
		if (r < 0 || a->files.size == size)
			return r;
	} else {
		r = files_check(&a->files);
		if (r != -ESTALE)
			return r;
	}
	return recover_note(a, "the file was changed or replaced while cofferd was writing it");
}

/* The oldest line that stays once only the newest files are kept. */
static void choose_oldest(struct audit *a)
{
	size_t keep = a->files_max < AUDIT_FILES_MAX ? a->files_max : AUDIT_FILES_MAX;
	uint8_t hash[CHAIN_HASH_LEN];
	uint64_t seq;
	size_t i;

	if (a->files.old_count <= keep)
		return;
	i = a->files.old_count - keep;
	if (files_last_line(&a->files, i - 1, &seq, hash) < 0)
		return;
	a->prune = true;
	a->oldest_seq = a->files.old[i];
	memcpy(a->oldest_previous, hash, CHAIN_HASH_LEN);
}

static void notify(struct audit *a, const char *lines, size_t len)
{
	for (const char *at = lines; at < lines + len;) {
		const char *end = memchr(at, '\n', (size_t)(lines + len - at));

		if (!end)
			return;
		for (size_t i = 0; i < LISTENERS_MAX; i++)
			if (a->listeners[i].call)
				a->listeners[i].call(a->listeners[i].arg, at, (size_t)(end - at));
		at = end + 1;
	}
}

/* Lines were refused while the disk was full: say so, now that there is room. */
static int note_gap(struct audit *a)
{
	char first[TIMES_TEXT_MAX], last[TIMES_TEXT_MAX];
	json_t *fields = json_pack("{sI ss ss}", "count", (json_int_t)a->lost, "first",
	                           times_format(a->lost_first_ns, first), "last",
	                           times_format(a->lost_last_ns, last));
	int r = lines_append(a, times_now(), "audit.gap", fields);

	json_decref(fields);
	if (r == 0)
		a->lost = 0;
	return r;
}

/* Write all that waits. The buffer is handed over before listeners run: they may add lines. */
static int write_lines(struct audit *a)
{
	uint64_t before = a->written_seq;
	char *lines;
	size_t len;
	int r;

	if (a->len == 0)
		return 0;
	r = files_append(&a->files, a->lines, a->len, before + 1);
	if (r < 0)
		return r;
	a->written_seq = a->seq;
	memcpy(a->written_hash, a->hash, CHAIN_HASH_LEN);
	a->head_behind = true;
	lines = a->lines;
	len = a->len;
	a->lines = NULL;
	a->len = a->room = 0;
	notify(a, lines, len);
	free(lines);
	return 0;
}

static int write_all_lines(struct audit *a)
{
	int r;

	if (a->len == 0 && a->lost == 0)
		return 0;
	r = a->head_first ? head_write(a) : 0;
	if (r == 0)
		r = ensure_current(a);
	if (r < 0)
		return r;
	/* If it can't be rotated now, the file grows a little longer until it can. */
	if (a->files.first && a->files.size + a->len > a->file_max) {
		(void)files_rotate(&a->files);
		choose_oldest(a);
	}
	r = write_lines(a);
	if (r < 0 || a->lost == 0)
		return r;
	r = note_gap(a);
	return r < 0 ? r : write_lines(a);
}

int audit_flush(struct audit *a, struct err *e)
{
	int r = write_all_lines(a);

	if (r < 0) {
		a->failing = true;
		return err_errno(e, r,
		                 "cannot write the audit log (%zu bytes wait; check its disk)",
		                 a->len);
	}
	if (a->head_behind)
		r = head_write(a);
	a->failing = r < 0;
	if (r < 0)
		return err_errno(e, r, "cannot write the head of the audit log");
	if (a->prune)
		files_prune(&a->files, a->oldest_seq);
	return 0;
}
