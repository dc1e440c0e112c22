/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coffer/chain.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define START "{\"seq\":7,\"time\":\"2026-11-24T05:30:05.123456Z\",\"event\":\"x\""
#define END ",\"hash\":\"" HEX64 "\"}"

START_TEST(a_line_is_taken_apart)
{
	static const char text[] = START ",\"a\":1" END;
	struct chain_line line;

	ck_assert_int_eq(chain_line_parse(text, strlen(text), &line), 0);
	ck_assert_uint_eq(line.seq, 7);
	ck_assert_uint_eq(line.text_len, strlen(START ",\"a\":1"));
	ck_assert_ptr_eq(line.text, text);
	ck_assert_uint_eq(line.hash[0], 0x01);
	ck_assert_uint_eq(line.hash[31], 0xef);
	ck_assert(!line.damaged);
}
END_TEST

START_TEST(only_the_event_itself_marks_damage)
{
#define T "{\"seq\":7,\"time\":\"2026-11-24T05:30:05.123456Z\",\"event\":\""
	static const struct {
		const char *text;
		bool damaged;
	} rows[] = {
		{ T "audit.damaged\"" END, true },
		{ T "audit.damaged\",\"a\":1" END, true },
		{ T "audit.damagedly\"" END, false },
		{ T "x\",\"event\":\"audit.damaged\"" END, false },
		{ T "x\",\"text\":\"\\\",\\\"event\\\":\\\"audit.damaged\\\"\"" END, false },
	};
#undef T
	struct chain_line line;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(chain_line_parse(rows[i].text, strlen(rows[i].text), &line), 0);
		ck_assert_msg(line.damaged == rows[i].damaged, "%s", rows[i].text);
	}
}
END_TEST

START_TEST(what_has_not_our_form_is_no_line)
{
	static const char *const rows[] = {
		"",
		"{}",
		"\"}",
		END,
		"{\"seq\":7" END,
		"{\"seq\":0,\"time\":\"2026-11-24T05:30:05.123456Z\",\"event\":\"x\"" END,
		"{\"seq\":07,\"time\":\"2026-11-24T05:30:05.123456Z\",\"event\":\"x\"" END,
		"{\"seq\":-7,\"time\":\"2026-11-24T05:30:05.123456Z\",\"event\":\"x\"" END,
		"{\"seq\": 7,\"time\":\"2026-11-24T05:30:05.123456Z\",\"event\":\"x\"" END,
		"{\"seq\":1234567890123456789,\"time\":\"2026-11-24T05:30:05.123456Z\","
		"\"event\":\"x\"" END,
		"{\"seq\":7,\"time\":\"2026\",\"event\":\"x\"" END,
		"{\"seq\":7,\"event\":\"x\",\"time\":\"2026-11-24T05:30:05.123456Z\"" END,
		START ",\"hash\":\"" HEX64 "\"} ",
		START ",\"hash\":\"" HEX64 "\"]",
		START
		",\"hash\":\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\"}",
		START
		",\"hash\":\"0123456789abcdefg123456789abcdef0123456789abcdef0123456789abcdef\"}",
		START ",\"hush\":\"" HEX64 "\"}",
		START "}",
	};
	char big[CHAIN_LINE_MAX + 200], with_nul[] = START END;
	struct chain_line line;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(chain_line_parse(rows[i], strlen(rows[i]), &line) == -EBADMSG, "%s",
		              rows[i]);
	with_nul[strlen(START) - 1] = '\0';
	ck_assert_int_eq(chain_line_parse(with_nul, strlen(START END), &line), -EBADMSG);
	memset(big, 'x', sizeof(big));
	memcpy(big, START, strlen(START));
	memcpy(big + CHAIN_LINE_MAX - strlen(END), END, strlen(END));
	ck_assert_int_eq(chain_line_parse(big, CHAIN_LINE_MAX, &line), -EBADMSG);
	memcpy(big + CHAIN_LINE_MAX - 1 - strlen(END), END, strlen(END));
	ck_assert_int_eq(chain_line_parse(big, CHAIN_LINE_MAX - 1, &line), 0);
}
END_TEST

static struct chain_head head_make(void)
{
	struct chain_head head = {
		.now = { .seq = 12, .epoch = 5, .oldest_seq = 3, .time_ns = 1700000000123456789 }
	};
	uint8_t secret[crypto_sign_SECRETKEYBYTES], seed[32] = { 1 };
	char text[CHAIN_POINT_TEXT_MAX];
	size_t len;

	memset(head.now.hash, 0xab, 32);
	memset(head.now.oldest_previous, 0xcd, 32);
	head.signed_point = head.now;
	head.has_signed = true;
	crypto_sign_seed_keypair(head.public_key, secret, seed);
	len = chain_point_text(&head.signed_point, text);
	crypto_sign_detached(head.signature, NULL, (unsigned char *)text, len, secret);
	return head;
}

START_TEST(a_head_comes_back_from_its_text_and_its_signature_holds)
{
	struct chain_head head = head_make(), got;
	char *text = chain_head_text(&head);

	ck_assert_uint_lt(strlen(text), CHAIN_HEAD_MAX);
	ck_assert_int_eq(chain_head_parse(text, strlen(text), &got, NULL), 0);
	ck_assert_int_eq(memcmp(got.signature, head.signature, 64), 0);
	ck_assert_uint_eq(got.now.seq, 12);
	ck_assert_uint_eq(got.now.oldest_seq, 3);
	ck_assert_int_eq(got.signed_point.time_ns, head.now.time_ns);
	ck_assert(chain_head_signature_good(&got, head.public_key));
	free(text);
	head.has_signed = false;
	memset(head.public_key, 0, 32);
	text = chain_head_text(&head);
	ck_assert_int_eq(chain_head_parse(text, strlen(text), &got, NULL), 0);
	ck_assert(!got.has_signed);
	ck_assert(!chain_head_signature_good(&got, head.public_key));
	free(text);
}
END_TEST

START_TEST(a_signature_covers_every_part_of_the_head)
{
	const struct chain_head good = head_make();

	for (int i = 0; i < 8; i++) {
		struct chain_head head = good;
		uint8_t key[32];

		memcpy(key, good.public_key, 32);
		switch (i) {
		case 0:
			head.signed_point.seq++;
			break;
		case 1:
			head.signed_point.hash[31] ^= 1;
			break;
		case 2:
			head.signed_point.epoch--;
			break;
		case 3:
			head.signed_point.oldest_seq++;
			break;
		case 4:
			head.signed_point.oldest_previous[0] ^= 1;
			break;
		case 5:
			head.signed_point.time_ns++;
			break;
		case 6:
			head.signature[10] ^= 1;
			break;
		default:
			key[0] ^= 1;
		}
		ck_assert_msg(!chain_head_signature_good(&head, key), "part %d", i);
	}
	ck_assert(chain_head_signature_good(&good, good.public_key));
}
END_TEST

START_TEST(a_malformed_head_is_refused_with_a_sentence)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "\"version\":1", "\"version\":2" },
		{ "\"seq\":12", "\"seq\":-2" },
		{ "\"seq\":12", "\"seq\":1." },
		{ "\"seq\":12", "\"qes\":12" },
		{ "\"oldest\":3", "\"oldest\":0" },
		{ "\"oldest\":3", "\"oldest\":99" },
		{ "\"hash\":\"ab", "\"hash\":\"AB" },
		{ "\"hash\":\"ab", "\"hash\":\"" },
		{ "\"signature\":\"", "\"signature\":\"0" },
		{ "\"public_key\":\"", "\"public_key\":\"0" },
		{ "\"signed\":{", "\"signed\":[" },
	};
	struct chain_head head = head_make(), got;
	char *good = chain_head_text(&head);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char spoilt[2 * CHAIN_HEAD_MAX], *at = strstr(good, rows[i].from);
		struct err e = { 0 };

		ck_assert_ptr_nonnull(at);
		snprintf(spoilt, sizeof(spoilt), "%.*s%s%s", (int)(at - good), good, rows[i].to,
		         at + strlen(rows[i].from));
		ck_assert_msg(chain_head_parse(spoilt, strlen(spoilt), &got, &e) == -EINVAL, "%s",
		              rows[i].to);
		ck_assert_ptr_nonnull(strstr(e.text, "head of the audit log"));
	}
	for (size_t len = 0; len < strlen(good) - 1; len++)
		ck_assert_int_eq(chain_head_parse(good, len, &got, NULL), -EINVAL);
	free(good);
}
END_TEST

START_TEST(a_file_that_is_no_log_is_refused_at_its_first_line)
{
	SCOPED(chain_verifier_free_ptr) struct chain_verifier *v = chain_verifier_new(NULL);
	SCOPED_FD int fd = memfd_create("x", MFD_CLOEXEC);
	struct err e;

	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(io_write_all(fd, "0123456789", 10), 0);
	chain_verify_head(v, "");
	ck_assert_int_eq(chain_verify_file(v, fd, "we\x1bird.jsonl", &e), -EBADMSG);
	ck_assert_uint_eq(chain_fault(v)->line, 1);
	ck_assert_ptr_nonnull(strstr(e.text, "we\\x1bird.jsonl line 1"));
	ck_assert_ptr_null(chain_verifier_new("abc"));
	ck_assert_int_eq(chain_verify_file(v, -1, "none", &e), -EBADF);
}
END_TEST

/* A whole log of `lines` lines. Returns its size. */
static size_t write_log(int fd, uint64_t lines)
{
	uint8_t hash[CHAIN_HASH_LEN] = { 0 };
	size_t size = 0;

	for (uint64_t seq = 1; seq <= lines; seq++) {
		char text[200], line[400], hex[CHAIN_HEX_LEN];
		int len = snprintf(text, sizeof(text),
		                   "{\"seq\":%llu,\"time\":\"2026-11-24T05:30:05.123456Z\","
		                   "\"event\":\"x\"",
		                   (unsigned long long)seq);

		chain_hash(hash, text, (size_t)len, hash);
		chain_hex(hash, sizeof(hash), hex);
		len = snprintf(line, sizeof(line), "%s,\"hash\":\"%s\"}\n", text, hex);
		ck_assert_int_eq(io_write_all(fd, line, (size_t)len), 0);
		size += (size_t)len;
	}
	return size;
}

struct seen {
	size_t bytes, pieces;
};

static void on_read(void *arg, size_t bytes)
{
	struct seen *seen = arg;

	seen->bytes += bytes;
	seen->pieces++;
}

START_TEST(how_far_a_file_was_read_is_told_piece_by_piece)
{
	SCOPED(chain_verifier_free_ptr) struct chain_verifier *v = chain_verifier_new(NULL);
	SCOPED_FD int fd = memfd_create("x", MFD_CLOEXEC);
	struct seen seen = { 0 };
	size_t size = write_log(fd, 3000);
	struct err e = { "" };

	chain_verify_head(v, "");
	chain_verifier_on_read(v, on_read, &seen);
	ck_assert_msg(chain_verify_file(v, fd, "log.jsonl", &e) == 0, "%s", e.text);
	ck_assert_uint_eq(chain_lines(v), 3000);
	ck_assert_uint_eq(seen.bytes, size);
	ck_assert_uint_gt(seen.pieces, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chain");
	TCase *t = tcase_create("chain");
	SRunner *runner;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	tcase_add_test(t, a_line_is_taken_apart);
	tcase_add_test(t, only_the_event_itself_marks_damage);
	tcase_add_test(t, what_has_not_our_form_is_no_line);
	tcase_add_test(t, a_head_comes_back_from_its_text_and_its_signature_holds);
	tcase_add_test(t, a_signature_covers_every_part_of_the_head);
	tcase_add_test(t, a_malformed_head_is_refused_with_a_sentence);
	tcase_add_test(t, a_file_that_is_no_log_is_refused_at_its_first_line);
	tcase_add_test(t, how_far_a_file_was_read_is_told_piece_by_piece);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
