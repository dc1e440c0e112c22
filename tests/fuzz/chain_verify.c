/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier on a log that was written as it should be: it passes; and with any one byte changed,
 * with a line taken out, doubled or moved, or cut short, it does not.
 *
 * Input: how the log is harmed (a byte), where (2), with what (1), up to which line it is signed (1);
 * then the lines' contents, cut at newlines.
 */
#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coffer/chain.h"
#include "coffer/cleanup.h"
#include "fuzz.h"

#define LINES_MAX 16
#define CONTENT_MAX 64
#define LOG_MAX (LINES_MAX * 512)
#define TIME_NS 2000000000000000000

struct log {
	char text[LOG_MAX];
	size_t start[LINES_MAX + 1]; /* of each line, and of what would follow */
	size_t lines;
	uint8_t hash[LINES_MAX + 1][CHAIN_HASH_LEN]; /* of the lines, after that of none */
	size_t signed_lines; /* later ones came while the store was sealed */
	char *head;
	char key[CHAIN_HEX_LEN];
};

static void add_line(struct log *log, const uint8_t *content, size_t len)
{
	char hex[2 * CONTENT_MAX + 1], *at = log->text + log->start[log->lines];
	uint8_t *hash = log->hash[log->lines + 1];
	size_t n;

	chain_hex(content, len, hex);
	n = (size_t)sprintf(at,
	                    "{\"seq\":%zu,\"time\":\"2026-11-24T05:30:05.123456Z\","
	                    "\"event\":\"secret.put\",\"content\":\"%s\"",
	                    log->lines + 1, hex);
	chain_hash(log->hash[log->lines], at, n, hash);
	chain_hex(hash, CHAIN_HASH_LEN, hex);
	n += (size_t)sprintf(at + n, ",\"hash\":\"%s\"}\n", hex);
	log->start[log->lines + 1] = log->start[log->lines] + n;
	log->lines++;
}

static struct chain_point point(const struct log *log, size_t lines)
{
	struct chain_point p = {
		.seq = lines, .epoch = 3, .oldest_seq = 1, .time_ns = TIME_NS + (int64_t)lines
	};

	memcpy(p.hash, log->hash[lines], sizeof(p.hash));
	return p;
}

static void write_head(struct log *log)
{
	static const unsigned char seed[crypto_sign_SEEDBYTES] = { 1, 2, 3 };
	unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
	struct chain_head head = { .has_signed = true,
		                   .now = point(log, log->lines),
		                   .signed_point = point(log, log->signed_lines) };
	char text[CHAIN_POINT_TEXT_MAX];

	crypto_sign_seed_keypair(head.public_key, secret_key, seed);
	crypto_sign_detached(head.signature, NULL, (const unsigned char *)text,
	                     chain_point_text(&head.signed_point, text), secret_key);
	log->head = chain_head_text(&head);
	MUST(log->head);
	chain_hex(head.public_key, sizeof(head.public_key), log->key);
}

static void write_log(struct log *log, struct fuzz_input *in)
{
	size_t signed_lines = (size_t)fuzz_number(in, 1);

	do {
		const uint8_t *end = in->left ? memchr(in->at, '\n', in->left) : NULL;
		size_t len = end ? (size_t)(end - in->at) : in->left, skipped;
		const uint8_t *content = fuzz_take(in, len, &len);

		fuzz_take(in, 1, &skipped);
		add_line(log, content, len < CONTENT_MAX ? len : CONTENT_MAX);
	} while (in->left > 0 && log->lines < LINES_MAX);
	log->signed_lines = 1 + signed_lines % log->lines;
	write_head(log);
}

static int verify(const struct log *log, const char *head, const char *text, size_t len)
{
	SCOPED(chain_verifier_free_ptr) struct chain_verifier *v = chain_verifier_new(log->key);
	SCOPED_FD int fd = memfd_create("log", MFD_CLOEXEC);
	struct err e = { 0 };
	struct chain_report report;
	int r;

	MUST(v && fd >= 0 && write(fd, text, len) == (ssize_t)len);
	chain_verify_head(v, head);
	r = chain_verify_file(v, fd, "audit.log", &e);
	if (r == 0)
		r = chain_verify_finish(v, &e);
	if (r < 0) {
		MUST(r == -EBADMSG);
		fuzz_refused(r, &e);
		return r;
	}
	chain_report(v, &report);
	MUST(report.lines == log->lines && report.last_seq == log->lines);
	MUST(report.signed_seq == log->signed_lines && report.signed_epoch == 3);
	return 0;
}

/* A harmed copy of the log. Returns its length, or 0 if this harm changes nothing. */
static size_t harm(const struct log *log, uint8_t how, size_t where, uint8_t with, char *ret)
{
	size_t len = log->start[log->lines], line = where % log->lines;
	size_t from = log->start[line], to = log->start[line + 1];

	memcpy(ret, log->text, len);
	switch (how % 5) {
	case 0:
		ret[where % len] = (char)(ret[where % len] ^ with);
		return with ? len : 0;
	case 1: /* cut */
		return where % len ? where % len : 0;
	case 2: /* a line is gone; with it all of the log, if it has one */
		memmove(ret + from, ret + to, len - to);
		return len - (to - from);
	case 3: /* a line is there twice */
		memcpy(ret + to, log->text + from, len - from);
		return len + to - from;
	default: /* two lines have changed places */
		if (line + 1 == log->lines)
			return 0;
		memcpy(ret + from, log->text + to, log->start[line + 2] - to);
		memcpy(ret + from + (log->start[line + 2] - to), log->text + from, to - from);
		return len;
	}
}

/* A byte of the head: what is signed can't have changed and still pass. */
static void harm_head(const struct log *log, size_t where, uint8_t with)
{
	SCOPED(free_ptr) char *head = strdup(log->head);
	struct chain_head was, is;

	MUST(head);
	where %= strlen(head);
	head[where] = (char)(head[where] ^ with);
	if (!head[where] || verify(log, head, log->text, log->start[log->lines]) < 0)
		return;
	MUST(chain_head_parse(log->head, strlen(log->head), &was, NULL) == 0);
	MUST(chain_head_parse(head, strlen(head), &is, NULL) == 0 && is.has_signed);
	/* The unsigned part is no more than what the log says, unless it is the signed one. */
	MUST(is.now.seq == was.now.seq && memcmp(was.now.hash, is.now.hash, CHAIN_HASH_LEN) == 0);
	if (log->signed_lines == log->lines)
		MUST(memcmp(&was.now, &is.now, sizeof(was.now)) == 0);
	MUST(memcmp(&was.signed_point, &is.signed_point, sizeof(was.signed_point)) == 0);
	MUST(memcmp(was.signature, is.signature, sizeof(was.signature)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char harmed[2 * LOG_MAX];
	struct fuzz_input in = { data, size };
	uint8_t how = (uint8_t)fuzz_number(&in, 1);
	size_t where = (size_t)fuzz_number(&in, 2), len;
	uint8_t with = (uint8_t)fuzz_number(&in, 1);
	struct log log = { .lines = 0 };

	write_log(&log, &in);
	MUST(verify(&log, log.head, log.text, log.start[log.lines]) == 0);
	len = harm(&log, how, where, with, harmed);
	if (len > 0)
		MUST(verify(&log, log.head, harmed, len) < 0);
	harm_head(&log, where, with);
	free(log.head);
	return 0;
}
