/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain_line_parse, chain_head_parse and the verifier on files as they lie on a disk that somebody
 * else writes.
 *
 * Input: the head, a line "---", the log. Without that line all of it is a log without a head.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coffer/chain.h"
#include "coffer/cleanup.h"
#include "fuzz.h"

static void line(const char *text, size_t len)
{
	struct chain_line parsed = { .seq = 7 };
	uint8_t hash[CHAIN_HASH_LEN];

	if (chain_line_parse(text, len, &parsed) < 0) {
		MUST(parsed.seq == 7 && !parsed.text);
		return;
	}
	MUST(len < CHAIN_LINE_MAX && parsed.seq > 0 && parsed.seq < 1000000000000000000u);
	MUST(parsed.text == text && parsed.text_len + sizeof(",\"hash\":\"\"}") - 1 + 64 == len);
	/* One hash fits, no other does. */
	memset(hash, 0, sizeof(hash));
	chain_hash(hash, parsed.text, parsed.text_len, parsed.hash);
	MUST(chain_line_fits(&parsed, hash));
	parsed.hash[len % CHAIN_HASH_LEN] ^= 1;
	MUST(!chain_line_fits(&parsed, hash));
}

static void head(const char *text, size_t len)
{
	struct chain_head parsed = { .now.seq = 7 }, again;
	struct err e = { 0 };
	int r = chain_head_parse(text, len, &parsed, &e);
	char *written, *written_again;

	if (r < 0) {
		MUST(parsed.now.seq == 7);
		fuzz_refused(r, &e);
		return;
	}
	MUST(parsed.now.oldest_seq >= 1 && parsed.now.oldest_seq <= parsed.now.seq + 1);
	written = chain_head_text(&parsed);
	MUST(written && strlen(written) < CHAIN_HEAD_MAX);
	MUST(chain_head_parse(written, strlen(written), &again, &e) == 0);
	written_again = chain_head_text(&again);
	MUST(written_again && strcmp(written, written_again) == 0);
	free(written_again);
	free(written);
}

static int memory_file(const char *bytes, size_t len)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	MUST(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	return fd;
}

static void verify(const char *head_text, const char *log, size_t len)
{
	SCOPED(chain_verifier_free_ptr) struct chain_verifier *v = chain_verifier_new(NULL);
	SCOPED_FD int fd = memory_file(log, len);
	struct chain_report report;
	struct err e = { 0 };
	size_t lines = 0;
	int r;

	MUST(v);
	if (head_text)
		chain_verify_head(v, head_text);
	r = chain_verify_file(v, fd, "audit.log", &e);
	if (r == 0)
		r = chain_verify_finish(v, &e);
	if (r < 0) {
		MUST(r == -EBADMSG && *chain_fault(v)->file);
		fuzz_refused(r, &e);
		return;
	}
	for (const char *at = log; (at = memchr(at, '\n', len - (size_t)(at - log))); at++)
		lines++;
	chain_report(v, &report);
	MUST(report.lines == lines && chain_lines(v) == lines && report.signed_seq == 0);
	MUST(lines == 0 || report.last_seq - report.first_seq + 1 == lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char mark[] = "\n---\n";
	const char *text = (const char *)data;
	const char *end = memmem(text, size, mark, sizeof(mark) - 1);
	const char *log = end ? end + sizeof(mark) - 1 : text, *newline;
	size_t len = size - (size_t)(log - text);
	char *head_text = end ? fuzz_text(data, (size_t)(end - text)) : NULL;

	newline = memchr(log, '\n', len);
	line(log, newline ? (size_t)(newline - log) : len);
	if (end)
		head(text, (size_t)(end - text));
	verify(head_text, log, len);
	free(head_text);
	return 0;
}
