/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was done to the files while no broker ran, what the next start says to it, and what a
 * verification then names.
 */
#include <errno.h>

#include "log_fixture.h"

#define LINES 20

/* A signed log of LINES lines in log.jsonl, closed. */
static void prepare(void)
{
	struct audit *a = log_open();

	log_key(a, 1);
	audit_set_epoch(a, 7);
	log_fill(a, LINES);
	audit_close(a);
}

/* Ways to spoil the text of the log; each returns the new length. */
static size_t change_one(char *text, size_t len)
{
	strstr(line_at(text, 9), "test.line")[0] = 'T';
	return len;
}

static size_t remove_one_line(char *text, size_t len)
{
	char *line = line_at(text, 9), *next = line_at(text, 10);

	memmove(line, next, len - (size_t)(next - text));
	return len - (size_t)(next - line);
}

static size_t remove_first(char *text, size_t len)
{
	char *next = line_at(text, 1);

	memmove(text, next, len - (size_t)(next - text));
	return len - (size_t)(next - text);
}

static size_t swap_two(char *text, size_t len)
{
	char *line = line_at(text, 9), *second = line_at(text, 10), *third = line_at(text, 11);
	char *copy = strndup(line, (size_t)(second - line));
	size_t second_len = (size_t)(third - second);

	memmove(line, second, second_len);
	memcpy(line + second_len, copy, strlen(copy));
	free(copy);
	return len;
}

static size_t double_one(char *text, size_t len)
{
	char *line = line_at(text, 9), *next = line_at(text, 10);

	memmove(next + (next - line), next, len - (size_t)(next - text));
	memcpy(next, line, (size_t)(next - line));
	return len + (size_t)(next - line);
}

static size_t cut_lines(char *text, size_t len)
{
	(void)len;
	return (size_t)(line_at(text, 15) - text);
}

static size_t cut_in_line(char *text, size_t len)
{
	(void)len;
	return (size_t)(line_at(text, 15) - text) + 30;
}

static size_t cut_all(char *text, size_t len)
{
	(void)text;
	(void)len;
	return 0;
}

static size_t garbage_line(char *text, size_t len)
{
	memset(line_at(text, 9), '#', 20);
	return len;
}

static size_t zeros(char *text, size_t len)
{
	memset(line_at(text, 9), 0, (size_t)(line_at(text, 12) - line_at(text, 9)));
	return len;
}

/* What somebody without the key can do at best: a log of right hashes with other text. */
static size_t rewrite(char *text, size_t len)
{
	uint8_t hash[CHAIN_HASH_LEN] = { 0 };

	strstr(line_at(text, 9), "test.line")[0] = 'T';
	for (char *line = text; line < text + len; line = strchr(line, '\n') + 1) {
		char *tail = strstr(line, ",\"hash\":\"");
		char hex[CHAIN_HEX_LEN];

		chain_hash(hash, line, (size_t)(tail - line), hash);
		chain_hex(hash, sizeof(hash), hex);
		memcpy(tail + strlen(",\"hash\":\""), hex, 64);
	}
	return len;
}

static const struct damage {
	const char *name;
	size_t (*spoil)(char *text, size_t len);
	const char *sentence; /* in the finding, before a start has noted it */
	uint64_t line, seq;   /* the fault */
	const char *what;     /* in the line that the next start writes */
} damages[] = {
	{ "one line changed", change_one, "its hash is not that of its text", 10, 10,
	  "its hash is not that of its text" },
	{ "one line removed", remove_one_line, "seq 10 is missing", 10, 11,
	  "lines are missing before it" },
	{ "first line removed", remove_first, "seq 1 is missing", 1, 2,
	  "lines are missing before it" },
	{ "two lines swapped", swap_two, "seq 10 is missing", 10, 11,
	  "lines are missing before it" },
	{ "one line twice", double_one, "there twice: seq 11 had to follow", 11, 10,
	  "out of order" },
	{ "tail cut", cut_lines, "signed head goes up to seq 20, so lines with seq 16 to 20", 0, 16,
	  "ends before the line that the head names" },
	{ "tail cut within a line", cut_in_line, "lines with seq 16 to 20 are missing", 16, 16,
	  "ends before the line that the head names" },
	{ "everything cut", cut_all, "lines with seq 1 to 20 are missing", 0, 1,
	  "ends before the line that the head names" },
	{ "a line of garbage", garbage_line, "not the form of a line", 10, 0,
	  "not a line of this log" },
	{ "a block of zeros", zeros, "not the form of a line", 10, 0, "not a line of this log" },
	{ "rewritten with right hashes", rewrite, "not the line that was signed", 20, 20,
	  "another line where the head names one" },
};

static void spoil(const struct damage *d)
{
	SCOPED(free_ptr) char *text = file_read("log.jsonl");
	size_t len = strlen(text);
	char *room = calloc(1, 2 * len + 1);

	memcpy(room, text, len);
	len = d->spoil(room, len);
	file_write("log.jsonl", room, len);
	free(room);
}

/* As `coffer audit verify` finds it if the broker has not looked: it is still running. */
START_TEST(a_verification_names_the_first_bad_line)
{
	const struct damage *d = &damages[_i];
	struct audit *a = log_open();
	struct verdict v;

	log_key(a, 1);
	audit_set_epoch(a, 7);
	log_fill(a, LINES);
	VERIFIES(a);
	spoil(d);
	v = log_verify(a);
	ck_assert_msg(v.result == -EBADMSG, "%s", d->name);
	ck_assert_msg(strstr(v.e.text, d->sentence) != NULL, "%s: %s", d->name, v.e.text);
	ck_assert_msg(v.fault.line == d->line && v.fault.seq == d->seq,
	              "%s: line %llu seq %llu: %s", d->name, (unsigned long long)v.fault.line,
	              (unsigned long long)v.fault.seq, v.e.text);
	ck_assert_str_eq(v.fault.file, "log.jsonl");
	audit_close(a);
}
END_TEST

START_TEST(a_start_notes_damage_once_and_a_verification_still_fails)
{
	const struct damage *d = &damages[_i];
	SCOPED(free_ptr) char *text = NULL;
	struct audit *a;
	struct verdict v;

	prepare();
	spoil(d);
	a = log_open();
	log_key(a, 1);
	log_fill(a, 3);
	text = file_read("log.jsonl");
	ck_assert_msg(count_of(text, "\"event\":\"audit.damaged\"") == 1, "%s", d->name);
	ck_assert_msg(strstr(text, d->what) != NULL, "%s: %s", d->name, text);
	ck_assert_int_eq(count_of(text, "audit.torn"), d->spoil == cut_in_line);
	ck_assert_uint_eq(audit_lines(a), LINES + 4 + (d->spoil == cut_in_line));
	ck_assert_msg(file_there("head-damaged-000000000021.0.json"), "%s", d->name);
	v = log_verify(a);
	ck_assert_msg(v.result == -EBADMSG, "%s", d->name);
	ck_assert_msg(v.fault.line > 0, "%s: %s", d->name, v.e.text);
	audit_close(a);

	a = log_open();
	ck_assert_msg(!audit_dirty(a), "%s is noted again", d->name);
	ck_assert_uint_eq(audit_epoch(a), 7);
	audit_close(a);
}
END_TEST

START_TEST(a_log_ahead_of_its_head_is_taken_over)
{
	SCOPED(free_ptr) char *head = NULL;
	struct audit *a;

	prepare();
	head = file_read("head.json");
	a = log_open();
	log_key(a, 1);
	log_fill(a, 5);
	audit_close(a);
	file_write("head.json", head, strlen(head));
	a = log_open();
	ck_assert_uint_eq(audit_lines(a), LINES + 5);
	log_key(a, 1);
	log_fill(a, 1);
	VERIFIES(a);
	audit_close(a);
}
END_TEST

START_TEST(half_a_line_at_the_end_is_cut_kept_and_noted)
{
	SCOPED(free_ptr) char *head = NULL;
	SCOPED(free_ptr) char *text = NULL;
	SCOPED(free_ptr) char *after = NULL;
	SCOPED(free_ptr) char *torn = NULL;
	struct audit *a;

	prepare();
	head = file_read("head.json");
	a = log_open();
	log_fill(a, 1);
	audit_close(a);
	text = file_read("log.jsonl");
	file_write("log.jsonl", text, strlen(text) - 40);
	file_write("head.json", head, strlen(head));
	a = log_open();
	log_key(a, 1);
	ck_assert_int_eq(audit_flush(a, NULL), 0);
	after = file_read("log.jsonl");
	ck_assert_ptr_nonnull(strstr(after, "\"event\":\"audit.torn\",\"bytes\":"));
	ck_assert_ptr_nonnull(strstr(after, "\"kept\":\"torn-000000000021.part\""));
	torn = file_read("torn-000000000021.part");
	ck_assert_int_eq(strncmp(torn, line_at(text, LINES), strlen(torn)), 0);
	ck_assert_uint_eq(audit_lines(a), LINES + 1);
	VERIFIES(a);
	audit_close(a);
}
END_TEST

START_TEST(pages_that_never_reached_the_disk_are_cut_behind_the_head_only)
{
	SCOPED(free_ptr) char *head = NULL;
	SCOPED(free_ptr) char *text = NULL;
	struct audit *a;

	prepare();
	head = file_read("head.json");
	a = log_open();
	log_fill(a, 10);
	audit_close(a);
	text = file_read("log.jsonl");
	memset(line_at(text, 24), 'Z', (size_t)(line_at(text, 26) - line_at(text, 24)));
	file_write("log.jsonl", text, strlen(text));
	file_write("head.json", head, strlen(head));
	a = log_open();
	log_key(a, 1);
	log_fill(a, 1);
	ck_assert_uint_eq(audit_lines(a), 24 + 2);
	VERIFIES(a);
	audit_close(a);
}
END_TEST

static const struct {
	const char *name, *from, *to, *sentence, *what;
} heads[] = {
	{ "gone", NULL, NULL, "no signed head", "the head is missing" },
	{ "garbage", "{", "x", "can't be read", "the head can't be read" },
	{ "another signature", "\"signature\":\"", "\"signature\":\"00", "signature is not right",
	  "signature is not right" },
	{ "another epoch signed", "\"signed\":{\"seq\":20", "\"signed\":{\"seq\":19",
	  "signature is not right", "signature is not right" },
};

START_TEST(a_spoilt_head_is_told_and_noted)
{
	char *text;
	SCOPED(free_ptr) char *log = NULL;
	struct audit *a = log_open();
	struct verdict v;

	log_key(a, 1);
	log_fill(a, LINES);
	text = file_read("head.json");
	if (heads[_i].from) {
		char *at = strstr(text, heads[_i].from);

		ck_assert_ptr_nonnull(at);
		memcpy(at, heads[_i].to, strlen(heads[_i].to));
		file_write("head.json", text, strlen(text));
	} else {
		ck_assert_int_eq(unlinkat(state, "audit/head.json", 0), 0);
	}
	v = log_verify(a);
	ck_assert_msg(v.result == -EBADMSG && strstr(v.e.text, heads[_i].sentence), "%s: %s",
	              heads[_i].name, v.e.text);
	ck_assert_str_eq(v.fault.file, "head");
	free(text);
	ck_assert_int_eq(audit_set_key(a, NULL, NULL), 0);
	audit_close(a);
	a = log_open();
	log_key(a, 1);
	log_fill(a, 1);
	log = file_read("log.jsonl");
	ck_assert_msg(count_of(log, "audit.damaged") == 1 && strstr(log, heads[_i].what), "%s",
	              heads[_i].name);
	v = log_verify(a);
	ck_assert_msg(v.result == -EBADMSG && v.fault.seq == LINES + 1, "%s: %s", heads[_i].name,
	              v.e.text);
	audit_close(a);
	a = log_open();
	ck_assert_msg(!audit_dirty(a), "%s is noted again", heads[_i].name);
	audit_close(a);
}
END_TEST

START_TEST(an_old_head_put_back_does_not_hide_a_cut_tail)
{
	SCOPED(free_ptr) char *head = NULL;
	SCOPED(free_ptr) char *text = NULL;
	struct audit *a = log_open();

	/* The whole folder of last week is only seen against a head kept elsewhere: here, the
	 * epoch. */
	log_key(a, 1);
	audit_set_epoch(a, 3);
	log_fill(a, 5);
	head = file_read("head.json");
	text = file_read("log.jsonl");
	audit_set_epoch(a, 4);
	log_fill(a, 5);
	audit_close(a);
	file_write("head.json", head, strlen(head));
	a = log_open();
	/* Log ahead of head is what a crash leaves; nothing is lost. */
	ck_assert_uint_eq(audit_lines(a), 10);
	ck_assert_uint_eq(audit_epoch(a), 3);
	audit_close(a);
}
END_TEST

START_TEST(missing_older_files_are_named)
{
	struct audit *a = log_open();
	char names[AUDIT_FILES_MAX + 1][64], path[128];
	int fds[AUDIT_FILES_MAX + 1], count;
	struct verdict v;

	audit_set_limits(a, 2000, 8, AUDIT_BACKLOG_MAX);
	log_key(a, 1);
	for (int i = 0; i < 12; i++)
		log_fill(a, 5);
	count = audit_files(a, fds, names);
	ck_assert_int_ge(count, 4);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	snprintf(path, sizeof(path), "audit/%s", names[_i]);
	ck_assert_int_eq(unlinkat(state, path, 0), 0);
	v = log_verify(a);
	ck_assert_int_eq(v.result, -EBADMSG);
	ck_assert_msg(strstr(v.e.text, "are missing before it") != NULL, "%s", v.e.text);
	ck_assert_str_eq(v.fault.file, names[_i + 1]);
	ck_assert_uint_eq(v.fault.line, 1);
	audit_close(a);
	a = log_open();
	log_key(a, 1);
	log_fill(a, 1);
	v = log_verify(a);
	ck_assert_int_eq(v.result, -EBADMSG);
	audit_close(a);
	a = log_open();
	ck_assert(!audit_dirty(a));
	audit_close(a);
}
END_TEST

START_TEST(while_sealed_the_signed_part_still_holds)
{
	struct audit *a;
	struct verdict v;
	SCOPED(free_ptr) char *text = NULL;

	prepare();
	a = log_open();
	log_fill(a, 5);
	v = log_verify(a);
	ck_assert_msg(v.result == 0, "%s", v.e.text);
	ck_assert_uint_eq(v.report.signed_seq, LINES);
	text = file_read("log.jsonl");
	rewrite(text, strlen(text));
	file_write("log.jsonl", text, strlen(text));
	v = log_verify(a);
	ck_assert_int_eq(v.result, -EBADMSG);
	ck_assert_uint_eq(v.fault.seq, LINES);
	audit_close(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recover");
	TCase *t = tcase_create("recover");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, folder_make, folder_remove);
	tcase_add_loop_test(t, a_verification_names_the_first_bad_line, 0, ARRAY_LEN(damages));
	tcase_add_loop_test(t, a_start_notes_damage_once_and_a_verification_still_fails, 0,
	                    ARRAY_LEN(damages));
	tcase_add_test(t, a_log_ahead_of_its_head_is_taken_over);
	tcase_add_test(t, half_a_line_at_the_end_is_cut_kept_and_noted);
	tcase_add_test(t, pages_that_never_reached_the_disk_are_cut_behind_the_head_only);
	tcase_add_loop_test(t, a_spoilt_head_is_told_and_noted, 0, ARRAY_LEN(heads));
	tcase_add_test(t, an_old_head_put_back_does_not_hide_a_cut_tail);
	tcase_add_loop_test(t, missing_older_files_are_named, 0, 2);
	tcase_add_test(t, while_sealed_the_signed_part_still_holds);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
