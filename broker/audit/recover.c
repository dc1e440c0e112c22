/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a start finds. The head is written after the log's sync, so after a crash the log may be
 * ahead of it, never behind: lines beyond the head that chain are taken over, and what does not
 * chain there (half a line, pages that never reached the disk) was never acknowledged and is cut, a
 * copy being kept. Anything else is damage: it is left as it is, a line says so, the old head is
 * kept beside, and the log goes on behind the last line of good form. Numbers never repeat: if the
 * head knows of more lines than there are, the next one is numbered behind those.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/scan.h"
#include "audit/state.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/times.h"

#define SEQ_JUMP_MAX (1ULL << 40) /* a head that claims more unseen lines is not believed */
#define TORN_KEEP_MAX (1024 * 1024)

enum head_state { HEAD_ABSENT, HEAD_UNREADABLE, HEAD_READ };

struct findings {
	enum head_state head_state;
	bool signature_bad;
	struct scan scan;
	uint64_t torn;      /* bytes cut from the end */
	char torn_file[64]; /* where they are kept, "" if not */
	char what[256];     /* damage; "" for none */
	uint64_t line, line_seq;
};

static int read_head(struct audit *a, struct findings *f)
{
	SCOPED(free_ptr) char *text = NULL;
	size_t len;
	int r = io_read_file(a->dir, HEAD_FILE, CHAIN_HEAD_MAX, &text, &len);

	if (r == -ENOMEM || r == -EIO)
		return r;
	f->head_state = r == -ENOENT ? HEAD_ABSENT : HEAD_UNREADABLE;
	if (r < 0 || chain_head_parse(text, len, &a->head, NULL) < 0)
		return 0;
	f->head_state = HEAD_READ;
	a->epoch = a->head.now.epoch;
	if (!a->head.has_signed)
		return 0;
	if (chain_head_signature_good(&a->head, a->head.public_key)) {
		if (a->head.signed_point.epoch > a->epoch)
			a->epoch = a->head.signed_point.epoch;
		return 0;
	}
	f->signature_bad = true;
	a->head.has_signed = false;
	memset(a->head.public_key, 0, sizeof(a->head.public_key));
	return 0;
}

/* What has to be before the first line of the current file. */
static void expect_first(struct audit *a, const struct findings *f, struct scan *s)
{
	if (a->files.old_count > 0) {
		s->know_previous = files_last_line(&a->files, a->files.old_count - 1,
		                                   &s->previous_seq, s->previous_hash) == 0;
		return;
	}
	s->know_previous = true;
	if (f->head_state != HEAD_READ)
		return;
	s->previous_seq = a->head.now.oldest_seq - 1;
	memcpy(s->previous_hash, a->head.now.oldest_previous, CHAIN_HASH_LEN);
}

static int scan_current(struct audit *a, struct findings *f)
{
	struct scan s = { 0 };
	int r;

	expect_first(a, f, &s);
	if (f->head_state == HEAD_READ)
		s.points[0] = &a->head.now;
	if (a->head.has_signed)
		s.points[1] = &a->head.signed_point;
	r = scan_file(a->files.fd, &s);
	if (r == 0)
		f->scan = s;
	return r;
}

/* The highest number of which the head is sure that it was synced. */
static uint64_t head_seq(const struct audit *a)
{
	uint64_t seq = a->head.now.seq;

	if (a->head.has_signed && a->head.signed_point.seq > seq)
		seq = a->head.signed_point.seq;
	return seq;
}

/* Copy the bytes from `offset` on to a file of their own. A failure costs the copy only. */
static void keep_torn(struct audit *a, struct findings *f, uint64_t offset, size_t len)
{
	SCOPED(free_ptr) char *bytes = malloc(len);
	char name[64];

	snprintf(name, sizeof(name), "torn-%012llu.part", (unsigned long long)f->scan.seq + 1);
	if (bytes && pread(a->files.fd, bytes, len, (off_t)offset) == (ssize_t)len &&
	    io_write_file_atomic(a->dir, name, bytes, len, 0600) == 0)
		memcpy(f->torn_file, name, sizeof(name));
}

/* Cut from the current file what was never acknowledged, then scan again. */
static int cut_torn(struct audit *a, struct findings *f)
{
	const struct scan *s = &f->scan;
	uint64_t end = s->whole;
	int r;

	if (f->head_state == HEAD_READ && s->bad && s->bad_seq > head_seq(a))
		end = s->bad_offset;
	if (end == s->size)
		return 0;
	f->torn = s->size - end;
	if (f->torn <= TORN_KEEP_MAX)
		keep_torn(a, f, end, (size_t)f->torn);
	r = files_cut(&a->files, end);
	return r < 0 ? r : scan_current(a, f);
}

static void judge(const struct audit *a, struct findings *f)
{
	const struct scan *s = &f->scan;
	bool content = a->files.old_count > 0 || s->size > 0;
	const char *what = NULL;

	if (s->bad) {
		f->line = s->bad_line;
		f->line_seq = s->bad_seq;
		what = s->what;
	} else if (f->head_state == HEAD_READ && s->seq < head_seq(a)) {
		f->line_seq = s->seq + 1;
		what = "the log ends before the line that the head names";
	} else if (f->signature_bad) {
		what = "the head's signature is not right";
	} else if (s->differs[0] || s->differs[1]) {
		what = "the log has another line where the head names one";
	} else if (f->head_state == HEAD_READ && a->files.old_count > 0 &&
	           a->files.old[0] > a->head.now.oldest_seq) {
		what = "older files are missing";
	} else if (f->head_state == HEAD_UNREADABLE) {
		what = "the head can't be read";
	} else if (f->head_state == HEAD_ABSENT && content) {
		what = "the head is missing";
	}
	if (what)
		snprintf(f->what, sizeof(f->what), "%s", what);
}

/* Where the next line goes, and where the retained part begins. */
static void take_position(struct audit *a, const struct findings *f)
{
	const struct scan *s = &f->scan;
	uint64_t first = a->files.old_count ? a->files.old[0] : s->first_seq;

	a->files.first = s->first_seq;
	a->seq = a->written_seq = a->found_seq = s->seq;
	memcpy(a->hash, s->hash, CHAIN_HASH_LEN);
	memcpy(a->written_hash, s->hash, CHAIN_HASH_LEN);
	if (f->head_state == HEAD_READ && head_seq(a) > a->seq &&
	    head_seq(a) - a->seq < SEQ_JUMP_MAX)
		a->seq = head_seq(a);
	if (f->head_state == HEAD_READ && first <= a->head.now.oldest_seq) {
		a->oldest_seq = a->head.now.oldest_seq;
		memcpy(a->oldest_previous, a->head.now.oldest_previous, CHAIN_HASH_LEN);
	} else if (first <= 1) {
		a->oldest_seq = 1;
	} else {
		/* What stood before the first line is unknown; before the next one it is not. */
		a->oldest_seq = a->seq + 1;
		memcpy(a->oldest_previous, a->hash, CHAIN_HASH_LEN);
	}
}

static int note_torn(struct audit *a, const struct findings *f)
{
	json_t *fields = json_pack("{sI}", "bytes", (json_int_t)f->torn);

	if (f->torn_file[0])
		json_object_set_new(fields, "kept", json_string(f->torn_file));
	return audit_add(a, "audit.torn", fields);
}

static int note_damage(struct audit *a, const struct findings *f)
{
	json_t *fields = json_pack("{ss ss}", "file", FILES_CURRENT, "what", f->what);
	char kept[64];

	if (f->line)
		json_object_set_new(fields, "line", json_integer((json_int_t)f->line));
	if (f->line_seq)
		json_object_set_new(fields, "line_seq", json_integer((json_int_t)f->line_seq));
	if (head_keep(a, a->seq + 1, kept) == 0)
		json_object_set_new(fields, "kept", json_string(kept));
	return audit_add(a, CHAIN_DAMAGED_EVENT, fields);
}

int recover(struct audit *a, struct err *e)
{
	struct findings f = { 0 };
	int r = files_list(&a->files);

	if (r < 0)
		return err_errno(e, r, "cannot list the folder of the audit log");
	r = files_open_current(&a->files);
	if (r < 0)
		return err_errno(e, r, "cannot open the audit log " FILES_CURRENT);
	r = read_head(a, &f);
	if (r < 0)
		return err_errno(e, r, "cannot read the head of the audit log " HEAD_FILE);
	r = scan_current(a, &f);
	if (r == 0)
		r = cut_torn(a, &f);
	if (r < 0)
		return err_errno(e, r, "cannot read the audit log " FILES_CURRENT);
	judge(a, &f);
	take_position(a, &f);
	a->head_behind = f.head_state != HEAD_READ || a->head.now.seq != a->written_seq;
	a->head_first = f.head_state == HEAD_ABSENT && !f.what[0];
	if (f.what[0])
		r = note_damage(a, &f);
	if (r == 0 && f.torn)
		r = note_torn(a, &f);
	return r < 0 ? err_errno(e, r, "cannot note the state of the audit log") : 0;
}

int recover_note(struct audit *a, const char *what)
{
	SCOPED(json_ptr) json_t *fields = NULL;
	char last;
	int r = files_open_current(&a->files);

	if (r < 0)
		return r;
	if (a->files.size == 0)
		a->files.first = 0;
	/* What somebody left without a newline must not swallow our next line. */
	if (a->files.size > 0 && pread(a->files.fd, &last, 1, (off_t)a->files.size - 1) == 1 &&
	    last != '\n') {
		r = io_write_all(a->files.fd, "\n", 1);
		if (r < 0)
			return r;
		a->files.size++;
	}
	fields = json_pack("{ss ss}", "file", FILES_CURRENT, "what", what);
	return lines_append(a, times_now(), CHAIN_DAMAGED_EVENT, fields);
}
