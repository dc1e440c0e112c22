/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/mount.h>

#include "coffer/json.h"
#include "log_fixture.h"

START_TEST(a_fresh_log_verifies_and_is_numbered_from_1)
{
	struct audit *a = log_open();
	struct verdict v;
	SCOPED(free_ptr) char *text = NULL;

	ck_assert(audit_dirty(a));
	ck_assert_int_eq(audit_flush(a, NULL), 0);
	ck_assert(!audit_dirty(a));
	VERIFIES(a);
	log_fill(a, 3);
	ck_assert(!audit_dirty(a));
	ck_assert_uint_eq(audit_lines(a), 3);
	v = log_verify(a);
	ck_assert_int_eq(v.result, 0);
	ck_assert_uint_eq(v.report.lines, 3);
	ck_assert_uint_eq(v.report.first_seq, 1);
	ck_assert_uint_eq(v.report.signed_seq, 0);
	text = file_read("log.jsonl");
	ck_assert_int_eq(strncmp(text, "{\"seq\":1,\"time\":\"2", 18), 0);
	ck_assert_ptr_nonnull(strstr(text, "Z\",\"event\":\"test.line\",\"i\":0,\"hash\":\""));
	audit_close(a);
}
END_TEST

START_TEST(the_first_hash_is_the_documented_one)
{
	struct audit *a = log_open();
	char *text;
	unsigned char zero[32] = { 0 }, hash[32];
	crypto_generichash_state s;
	char hex[65], *tail;

	log_fill(a, 1);
	text = file_read("log.jsonl");
	tail = strstr(text, ",\"hash\":\"");
	crypto_generichash_init(&s, NULL, 0, 32);
	crypto_generichash_update(&s, zero, 32);
	crypto_generichash_update(&s, (unsigned char *)text, (size_t)(tail - text));
	crypto_generichash_update(&s, (const unsigned char *)"}", 1);
	crypto_generichash_final(&s, hash, 32);
	sodium_bin2hex(hex, sizeof(hex), hash, 32);
	ck_assert_int_eq(strncmp(tail + 9, hex, 64), 0);
	ck_assert_str_eq(tail + 9 + 64, "\"}\n");
	free(text);
	audit_close(a);
}
END_TEST

START_TEST(every_line_is_strict_json_whatever_is_in_its_fields)
{
	struct audit *a = log_open();
	char *text;
	char *big = calloc(1, 20001), *at, *end;
	int lines = 0;

	memset(big, 'b', 20000);
	audit_add(a, "none", NULL);
	audit_add(a, "empty", json_object());
	audit_add(a, "odd",
	          json_pack("{ss}", "text", "CR\rLF\nESC\x1b C1\xc2\x9b \xe2\x80\xa8 \" \\"));
	audit_add(a, "ours",
	          json_pack("{si ss ss ss}", "seq", 99, "hash", "x", "time", "", "event", ""));
	audit_add(a, "long", json_pack("{ss si ss}", "big", big, "kept", 77, "too", big));
	audit_add_at(a, 0, "old", NULL);
	ck_assert_int_eq(audit_flush(a, NULL), 0);
	text = file_read("log.jsonl");
	for (at = text; *at; at = end + 1) {
		SCOPED(json_ptr) json_t *object = NULL;
		struct err e;

		end = strchr(at, '\n');
		ck_assert_ptr_nonnull(end);
		ck_assert_int_lt(end - at, AUDIT_LINE_MAX);
		ck_assert_msg(json_parse(at, (size_t)(end - at), &object, &e) == 0, "%s", e.text);
		lines++;
	}
	ck_assert_int_eq(lines, 6);
	for (at = text; *at; at++)
		ck_assert(*at == '\n' || (*at >= 32 && *at < 127));
	ck_assert_ptr_nonnull(
		strstr(text, "\"big\":\"left out: 20005 bytes\",\"kept\":77,\"too\":\"left out"));
	ck_assert_ptr_nonnull(
		strstr(text, "\"time\":\"1970-01-01T00:00:00.000000Z\",\"event\":\"old\""));
	ck_assert_ptr_null(strstr(text, "\"seq\":99"));
	VERIFIES(a);
	audit_close(a);
	free(text);
	free(big);
}
END_TEST

START_TEST(a_log_goes_on_where_it_was_closed)
{
	SCOPED(free_ptr) char *text = NULL;

	for (int i = 0; i < 3; i++) {
		struct audit *a = log_open();

		ck_assert_uint_eq(audit_lines(a), (uint64_t)i * 10);
		log_fill(a, 10);
		VERIFIES(a);
		audit_close(a);
	}
	text = file_read("log.jsonl");
	ck_assert_int_eq(count_of(text, "audit."), 0);
}
END_TEST

START_TEST(the_head_is_signed_while_unsealed_and_says_how_far_while_sealed)
{
	struct audit *a = log_open();
	struct verdict v;

	log_fill(a, 2);
	log_key(a, 1);
	audit_set_epoch(a, 41);
	log_fill(a, 3);
	v = log_verify(a);
	ck_assert_msg(v.result == 0, "%s", v.e.text);
	ck_assert_uint_eq(v.report.signed_seq, 5);
	ck_assert_uint_eq(v.report.signed_epoch, 41);
	ck_assert_int_eq(audit_set_key(a, NULL, NULL), 0);
	log_fill(a, 4);
	v = log_verify(a);
	ck_assert_msg(v.result == 0, "%s", v.e.text);
	ck_assert_uint_eq(v.report.last_seq, 9);
	ck_assert_uint_eq(v.report.signed_seq, 5);
	audit_close(a);

	/* After a restart, still sealed: the old signature is kept; the next unseal signs all. */
	a = log_open();
	ck_assert_uint_eq(audit_epoch(a), 41);
	log_fill(a, 1);
	v = log_verify(a);
	ck_assert_int_eq(v.result, 0);
	ck_assert_uint_eq(v.report.signed_seq, 5);
	log_key(a, 1);
	ck_assert_int_eq(audit_flush(a, NULL), 0);
	v = log_verify(a);
	ck_assert_int_eq(v.result, 0);
	ck_assert_uint_eq(v.report.signed_seq, 10);
	audit_close(a);
}
END_TEST

START_TEST(a_head_signed_with_another_key_is_noted_and_kept)
{
	struct audit *a = log_open();
	SCOPED(free_ptr) char *text = NULL;
	struct verdict v;

	log_key(a, 1);
	log_fill(a, 3);
	audit_close(a);
	a = log_open();
	log_key(a, 2);
	ck_assert_int_eq(audit_flush(a, NULL), 0);
	v = log_verify(a);
	ck_assert_int_eq(v.result, -EBADMSG);
	ck_assert_uint_eq(v.fault.seq, 4);
	text = file_read("log.jsonl");
	ck_assert_ptr_nonnull(strstr(text, "signed with another key"));
	ck_assert(file_there("head-damaged-000000000004.0.json"));
	audit_close(a);
}
END_TEST

START_TEST(two_brokers_cannot_write_one_log)
{
	struct audit *a = log_open(), *second = NULL;
	struct err e;

	ck_assert_int_eq(audit_open(state, &second, &e), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(e.text, "another cofferd"));
	audit_close(a);
	a = log_open();
	audit_close(a);
}
END_TEST

START_TEST(files_are_rotated_and_the_oldest_go_without_a_break_in_the_chain)
{
	struct audit *a = log_open();
	char names[AUDIT_FILES_MAX + 1][64];
	int fds[AUDIT_FILES_MAX + 1];
	struct verdict v;

	audit_set_limits(a, 2000, 3, AUDIT_BACKLOG_MAX);
	log_key(a, 1);
	for (int i = 0; i < 30; i++) {
		log_fill(a, 5);
		v = log_verify(a);
		ck_assert_msg(v.result == 0, "round %d: %s", i, v.e.text);
	}
	ck_assert_uint_gt(v.report.first_seq, 100);
	ck_assert_uint_eq(v.report.last_seq, 150);
	ck_assert_uint_eq(v.report.signed_seq, 150);
	ck_assert_int_eq(audit_files(a, fds, names), 4);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	ck_assert_str_eq(names[3], "log.jsonl");
	ck_assert_int_lt(strcmp(names[0], names[1]), 0);
	audit_close(a);
	a = log_open();
	ck_assert_uint_eq(audit_lines(a), 150);
	VERIFIES(a);
	ck_assert(!audit_dirty(a));
	audit_close(a);
}
END_TEST

struct heard {
	struct audit *a;
	char text[65536];
	size_t len;
	int id;
	bool answer;
};

static void hear(void *arg, const char *line, size_t len)
{
	struct heard *h = arg;

	memcpy(h->text + h->len, line, len);
	h->len += len;
	h->text[h->len++] = '\n';
	if (h->answer) {
		h->answer = false;
		ck_assert_int_eq(audit_add(h->a, "answer", NULL), 0);
		audit_unsubscribe(h->a, h->id);
	}
}

START_TEST(listeners_get_each_line_once_it_is_written)
{
	struct audit *a = log_open();
	static struct heard h, second;
	SCOPED(free_ptr) char *text = NULL;

	h = second = (struct heard){ .a = a };
	second.answer = true;
	h.id = audit_subscribe(a, hear, &h);
	second.id = audit_subscribe(a, hear, &second);
	ck_assert_int_ge(h.id, 0);
	ck_assert_int_eq(audit_add(a, "one", NULL), 0);
	ck_assert_uint_eq(h.len, 0);
	ck_assert_int_eq(audit_flush(a, NULL), 0);
	ck_assert(audit_dirty(a));
	log_fill(a, 1);
	text = file_read("log.jsonl");
	ck_assert_str_eq(h.text, text);
	ck_assert_int_eq(count_of(second.text, "\n"), 1);
	audit_unsubscribe(a, h.id);
	for (int i = 0; i < 64; i++)
		ck_assert_int_ge(audit_subscribe(a, hear, &h), 0);
	ck_assert_int_eq(audit_subscribe(a, hear, &h), -EMFILE);
	audit_close(a);
}
END_TEST

/* A disk of 64 KiB, filled by ourselves. */
START_TEST(a_full_disk_keeps_lines_waiting_then_refuses_then_notes_the_gap)
{
	SCOPED(free_ptr) char *text = NULL;
	struct audit *a;
	struct err e;
	char filler[128];
	int fd, added = 0, refused = 0;

	ck_assert_msg(mount("tmpfs", folder, "tmpfs", 0, "size=64k") == 0, "wants root: %m");
	close(state);
	state = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	a = log_open();
	audit_set_limits(a, AUDIT_FILE_MAX, AUDIT_FILES_MAX, 40000);
	log_fill(a, 5);
	snprintf(filler, sizeof(filler), "%s/filler", folder);
	fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, filler, sizeof(filler)) > 0)
		;
	for (int i = 0; i < 30; i++)
		audit_add(a, "while.full", NULL);
	ck_assert_int_eq(audit_flush(a, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.text, "check its disk"));
	ck_assert_uint_gt(audit_backlog(a), 30 * 100);
	while (audit_add(a, "while.full", NULL) == 0)
		added++;
	refused = 1;
	for (; refused < 7; refused++)
		ck_assert_int_eq(audit_add(a, "refused", NULL), -ENOSPC);
	ck_assert_uint_le(audit_backlog(a), 40000);
	ck_assert_int_gt(added, 50);
	ck_assert_int_eq(audit_flush(a, NULL), -ENOSPC);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	close(fd);
	ck_assert_int_eq(audit_flush(a, NULL), 0);
	text = file_read("log.jsonl");
	ck_assert_int_eq(count_of(text, "while.full"), added + 30);
	ck_assert_int_eq(count_of(text, "refused"), 0);
	ck_assert_ptr_nonnull(strstr(text, "\"event\":\"audit.gap\",\"count\":7,"));
	VERIFIES(a);
	audit_close(a);
	a = log_open();
	ck_assert(!audit_dirty(a));
	audit_close(a);
	state = fd_close(state);
	ck_assert_int_eq(umount2(folder, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_log_replaced_cut_or_removed_while_in_use_is_noticed)
{
	static const char *const ways[] = { "replaced", "cut", "removed", "torn" };
	struct verdict v;

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct audit *a = log_open();
		SCOPED(free_ptr) char *text = NULL;
		SCOPED(free_ptr) char *after = NULL;

		log_key(a, 1);
		log_fill(a, 10);
		text = file_read("log.jsonl");
		switch (i) {
		case 0:
			ck_assert_int_eq(unlinkat(state, "audit/log.jsonl", 0), 0);
			file_write("log.jsonl", text, strlen(text));
			break;
		case 1:
			file_write("log.jsonl", text, (size_t)(line_at(text, 7) - text));
			break;
		case 2:
			ck_assert_int_eq(unlinkat(state, "audit/log.jsonl", 0), 0);
			break;
		default:
			file_write("log.jsonl", text, (size_t)(line_at(text, 7) - text) + 20);
		}
		log_fill(a, 2);
		after = file_read("log.jsonl");
		ck_assert_msg(count_of(after, "\"event\":\"audit.damaged\"") == 1, "%s", ways[i]);
		ck_assert_msg(count_of(after, "test.line") == (i == 0   ? 12
		                                               : i == 2 ? 2
		                                                        : 9),
		              "%s", ways[i]);
		v = log_verify(a);
		ck_assert_msg(v.result == -EBADMSG, "%s", ways[i]);
		audit_close(a);
		/* The next start knows of it already. */
		a = log_open();
		ck_assert_msg(!audit_dirty(a), "%s", ways[i]);
		audit_close(a);
		folder_remove();
		folder_make();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("audit");
	TCase *t = tcase_create("audit");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, folder_make, folder_remove);
	tcase_add_test(t, a_fresh_log_verifies_and_is_numbered_from_1);
	tcase_add_test(t, the_first_hash_is_the_documented_one);
	tcase_add_test(t, every_line_is_strict_json_whatever_is_in_its_fields);
	tcase_add_test(t, a_log_goes_on_where_it_was_closed);
	tcase_add_test(t, the_head_is_signed_while_unsealed_and_says_how_far_while_sealed);
	tcase_add_test(t, a_head_signed_with_another_key_is_noted_and_kept);
	tcase_add_test(t, two_brokers_cannot_write_one_log);
	tcase_add_test(t, files_are_rotated_and_the_oldest_go_without_a_break_in_the_chain);
	tcase_add_test(t, listeners_get_each_line_once_it_is_written);
	tcase_add_test(t, a_full_disk_keeps_lines_waiting_then_refuses_then_notes_the_gap);
	tcase_add_test(t, a_log_replaced_cut_or_removed_while_in_use_is_noticed);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
