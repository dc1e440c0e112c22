/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coffer/chain.h"
#include "coffer/name.h"

#define READ_SIZE (64 * 1024)

struct chain_verifier {
	bool have_key;
	uint8_t public_key[32];

	bool have_head, signature_good;
	struct chain_head head;
	struct err head_fault; /* empty: none */

	uint64_t first_seq, lines;
	uint64_t seq; /* of the last line, 0 before the first */
	uint8_t hash[CHAIN_HASH_LEN];

	char file[CHAIN_FILE_NAME_MAX]; /* being read, or the last one read */
	uint64_t line;                  /* in it */
	bool unfinished;                /* the file read last ends in half a line */
	struct chain_fault fault;
	void (*on_read)(void *arg, size_t bytes); /* NULL: nobody asked */
	void *on_read_arg;
	unsigned char buffer[READ_SIZE];
};

struct chain_verifier *chain_verifier_new(const char *public_key_hex)
{
	struct chain_verifier *v = calloc(1, sizeof(*v));

	if (!v || !public_key_hex || !*public_key_hex)
		return v;
	if (chain_unhex(public_key_hex, v->public_key, sizeof(v->public_key)) < 0) {
		free(v);
		return NULL;
	}
	v->have_key = true;
	return v;
}

void chain_verifier_free(struct chain_verifier *v)
{
	free(v);
}

void chain_verifier_free_ptr(struct chain_verifier **v)
{
	chain_verifier_free(*v);
	*v = NULL;
}

void chain_verifier_on_read(struct chain_verifier *v, void (*read)(void *arg, size_t bytes),
                            void *arg)
{
	v->on_read = read;
	v->on_read_arg = arg;
}

/*
 * While unsealed both parts are the same; while sealed the unsigned one runs ahead, by at least a
 * line if anything in it differs.
 */
static bool unsigned_part_possible(const struct chain_head *head)
{
	char now[CHAIN_POINT_TEXT_MAX], then[CHAIN_POINT_TEXT_MAX];
	size_t len = chain_point_text(&head->now, now);

	if (head->now.seq != head->signed_point.seq)
		return head->now.seq > head->signed_point.seq;
	return chain_point_text(&head->signed_point, then) == len && memcmp(now, then, len) == 0;
}

void chain_verify_head(struct chain_verifier *v, const char *head_text)
{
	struct err *e = &v->head_fault;

	if (!head_text || !*head_text) {
		err_set(e, -EBADMSG, "there is no signed head beside the log");
		return;
	}
	if (chain_head_parse(head_text, strlen(head_text), &v->head, e) < 0)
		return;
	v->have_head = true;
	if (!v->have_key)
		return;
	if (!v->head.has_signed) {
		err_set(e, -EBADMSG, "the head bears no signature though the store was unsealed");
		return;
	}
	v->signature_good = chain_head_signature_good(&v->head, v->public_key);
	if (!v->signature_good)
		err_set(e, -EBADMSG, "the head's signature is not right for the store's key");
	else if (!unsigned_part_possible(&v->head))
		err_set(e, -EBADMSG, "the head's unsigned part contradicts its signed one");
}

/* A finding at the line in hand. */
static int bad_line(struct chain_verifier *v, uint64_t seq, struct err *e, const char *what)
{
	memcpy(v->fault.file, v->file, sizeof(v->fault.file));
	v->fault.line = v->line;
	v->fault.seq = seq;
	if (seq)
		return err_set(e, -EBADMSG, "%s line %llu (seq %llu): %s", v->file,
		               (unsigned long long)v->line, (unsigned long long)seq, what);
	return err_set(e, -EBADMSG, "%s line %llu: %s", v->file, (unsigned long long)v->line, what);
}

/* The line's number is not the one that has to follow. */
static int bad_seq(struct chain_verifier *v, uint64_t seq, uint64_t expected, struct err *e)
{
	char what[128];

	if (seq < expected)
		snprintf(what, sizeof(what),
		         "out of order, or there twice: seq %llu had to follow here",
		         (unsigned long long)expected);
	else if (seq == expected + 1)
		snprintf(what, sizeof(what), "the line with seq %llu is missing before it",
		         (unsigned long long)expected);
	else
		snprintf(what, sizeof(what), "lines with seq %llu to %llu are missing before it",
		         (unsigned long long)expected, (unsigned long long)(seq - 1));
	return bad_line(v, seq, e, what);
}

/*
 * Where the first retained line stands. Older than the head's oldest is fine (a file about to be
 * pruned): then what is before it is unknown, and the chain has to arrive at the head's oldest.
 */
static int check_first(struct chain_verifier *v, const struct chain_line *line, struct err *e)
{
	const struct chain_point *now = &v->head.now;

	v->first_seq = line->seq;
	if (!v->have_head)
		return 0;
	if (line->seq > now->oldest_seq)
		return bad_seq(v, line->seq, now->oldest_seq, e);
	if (line->seq == now->oldest_seq && !chain_line_fits(line, now->oldest_previous))
		return bad_line(v, line->seq, e, "changed: its hash is not that of its text");
	return 0;
}

/* What the head says about this very line. */
static int check_against_head(struct chain_verifier *v, const struct chain_line *line,
                              struct err *e)
{
	const struct chain_head *head = &v->head;

	if (v->signature_good && line->seq == head->signed_point.seq &&
	    memcmp(line->hash, head->signed_point.hash, CHAIN_HASH_LEN) != 0)
		return bad_line(v, line->seq, e,
		                "not the line that was signed: it, or a part of the log before "
		                "it, was replaced");
	if (v->have_head && line->seq == head->now.seq &&
	    memcmp(line->hash, head->now.hash, CHAIN_HASH_LEN) != 0)
		return bad_line(v, line->seq, e,
		                "not the line that the head names: it, or a part of the log before "
		                "it, was replaced");
	if (v->have_head && line->seq + 1 == head->now.oldest_seq &&
	    memcmp(line->hash, head->now.oldest_previous, CHAIN_HASH_LEN) != 0)
		return bad_line(v, line->seq, e,
		                "not the line on which the retained part of the log begins");
	return 0;
}

static int check_line(struct chain_verifier *v, const char *text, size_t len, struct err *e)
{
	struct chain_line line;
	int r = 0;

	v->line++;
	if (chain_line_parse(text, len, &line) < 0)
		return bad_line(v, 0, e, "changed: it has not the form of a line of this log");
	if (v->seq == 0)
		r = check_first(v, &line, e);
	else if (line.seq != v->seq + 1)
		r = bad_seq(v, line.seq, v->seq + 1, e);
	else if (!chain_line_fits(&line, v->hash))
		r = bad_line(v, line.seq, e, "changed: its hash is not that of its text");
	if (r == 0)
		r = check_against_head(v, &line, e);
	if (r == 0 && line.damaged)
		r = bad_line(
			v, line.seq, e,
			"here the broker found the log damaged when it started; the line says how");
	if (r < 0)
		return r;
	v->seq = line.seq;
	memcpy(v->hash, line.hash, sizeof(v->hash));
	v->lines++;
	return 0;
}

/* All whole lines of the `have` bytes in the buffer; the rest moves to its start. Returns the
 * rest's length. */
static ssize_t check_buffer(struct chain_verifier *v, size_t have, struct err *e)
{
	const char *text = (const char *)v->buffer;
	size_t at = 0;

	for (;;) {
		const char *end = memchr(text + at, '\n', have - at);
		int r;

		if (!end)
			break;
		r = check_line(v, text + at, (size_t)(end - text) - at, e);
		if (r < 0)
			return r;
		at = (size_t)(end - text) + 1;
	}
	memmove(v->buffer, v->buffer + at, have - at);
	return (ssize_t)(have - at);
}

int chain_verify_file(struct chain_verifier *v, int fd, const char *name, struct err *e)
{
	size_t rest = 0;
	off_t offset = 0;

	if (v->unfinished) {
		v->line++;
		return bad_line(v, 0, e, "cut: it has no end");
	}
	name_escape(name, strlen(name), v->file, sizeof(v->file));
	v->line = 0;
	for (;;) {
		ssize_t n = pread(fd, v->buffer + rest, READ_SIZE - rest, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, -errno, "cannot read %s", v->file);
		if (n == 0)
			break;
		offset += n;
		if (v->on_read)
			v->on_read(v->on_read_arg, (size_t)n);
		n = check_buffer(v, rest + (size_t)n, e);
		if (n < 0)
			return (int)n;
		rest = (size_t)n;
		if (rest >= CHAIN_LINE_MAX) {
			v->line++;
			return bad_line(v, 0, e, "changed: longer than a line of this log can be");
		}
	}
	v->unfinished = rest > 0;
	return 0;
}

/* Lines at the end are missing: the log stops at v->seq, `head` says more. */
static int bad_tail(struct chain_verifier *v, uint64_t seq, const char *head, struct err *e)
{
	memcpy(v->fault.file, v->file, sizeof(v->fault.file));
	v->fault.line = v->unfinished ? v->line + 1 : 0;
	v->fault.seq = v->seq + 1;
	return err_set(e, -EBADMSG,
	               "%s was cut behind line %llu (seq %llu): %s goes up to seq %llu, so lines "
	               "with seq %llu to %llu are missing",
	               v->file, (unsigned long long)v->line, (unsigned long long)v->seq, head,
	               (unsigned long long)seq, (unsigned long long)v->seq + 1,
	               (unsigned long long)seq);
}

int chain_verify_finish(struct chain_verifier *v, struct err *e)
{
	const struct chain_head *head = &v->head;

	if (!*v->file)
		snprintf(v->file, sizeof(v->file), "the log");
	if (v->signature_good && v->seq < head->signed_point.seq)
		return bad_tail(v, head->signed_point.seq, "the signed head", e);
	if (v->have_head && v->seq < head->now.seq)
		return bad_tail(v, head->now.seq, "the head", e);
	if (*v->head_fault.text) {
		snprintf(v->fault.file, sizeof(v->fault.file), "head");
		return err_set(e, -EBADMSG, "%s (%llu lines chain)", v->head_fault.text,
		               (unsigned long long)v->lines);
	}
	return 0;
}

uint64_t chain_lines(const struct chain_verifier *v)
{
	return v->lines;
}

void chain_report(const struct chain_verifier *v, struct chain_report *ret)
{
	*ret = (struct chain_report){
		.lines = v->lines,
		.first_seq = v->first_seq,
		.last_seq = v->seq,
	};
	if (!v->signature_good)
		return;
	ret->signed_seq = v->head.signed_point.seq;
	ret->signed_at_ns = v->head.signed_point.time_ns;
	ret->signed_epoch = v->head.signed_point.epoch;
}

const struct chain_fault *chain_fault(const struct chain_verifier *v)
{
	return &v->fault;
}
