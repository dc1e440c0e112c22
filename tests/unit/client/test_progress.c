/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/io.h"
#include "coffer/times.h"
#include "progress.h"

static const char *line(const struct progress *p, int64_t seconds, unsigned columns)
{
	static char buffer[PROGRESS_LINE_MAX];

	progress_line(p, p->began + seconds * NS_PER_S, columns, buffer);
	return buffer;
}

START_TEST(a_share_is_drawn_as_a_bar_and_in_numbers)
{
	struct progress p = { .what = "reading", .unit = PROGRESS_ITEMS, .done = 42, .total = 120 };

	ck_assert_str_eq(line(&p, 1, 80), "coffer: reading [#######.............]  35% 42 of 120");
	ck_assert_str_eq(line(&p, 1, 59), "coffer: reading  35% 42 of 120");
	p.done = p.total;
	ck_assert_str_eq(line(&p, 1, 80), "coffer: reading [####################] 100% 120 of 120");
	p.done = 1000;
	ck_assert_str_eq(line(&p, 1, 80), "coffer: reading [####################] 100% 120 of 120");
	p = (struct progress){
		.what = "writing", .unit = PROGRESS_BYTES, .done = 512, .total = 3ULL << 30
	};
	ck_assert_str_eq(line(&p, 1, 80),
	                 "coffer: writing [....................]   0% 512 B of 3.0 GiB");
}
END_TEST

START_TEST(without_a_total_the_seconds_are_told)
{
	struct progress p = { .what = "storing", .unit = PROGRESS_WAIT };

	ck_assert_str_eq(line(&p, 7, 80), "coffer: storing | 7 s");
	p.turn = 5;
	ck_assert_str_eq(line(&p, 8, 80), "coffer: storing / 8 s");
	p = (struct progress){ .what = "reading", .unit = PROGRESS_BYTES, .done = 2048 };
	ck_assert_str_eq(line(&p, 3, 80), "coffer: reading | 2.0 KiB 3 s");
}
END_TEST

START_TEST(a_line_never_reaches_the_last_column)
{
	struct progress p = { .what = "reading", .unit = PROGRESS_ITEMS, .done = 42, .total = 120 };

	memset(p.note, 'n', sizeof(p.note) - 1);
	for (unsigned columns = 0; columns < 600; columns++) {
		size_t len = strlen(line(&p, 1, columns));

		ck_assert_msg(len == 0 || len < columns, "%zu in %u columns", len, columns);
	}
}
END_TEST

START_TEST(the_first_line_waits_and_the_next_do_not_crowd)
{
	struct progress p = { .began = 5 * NS_PER_S };

	ck_assert(!progress_due(&p, p.began));
	ck_assert(!progress_due(&p, p.began + NS_PER_S / 2 - 1));
	ck_assert(progress_due(&p, p.began + NS_PER_S / 2));
	p.drawn = p.began + NS_PER_S / 2;
	ck_assert(!progress_due(&p, p.drawn + NS_PER_S / 10 - 1));
	ck_assert(progress_due(&p, p.drawn + NS_PER_S / 10));
}
END_TEST

static size_t drawn_by(void (*work)(struct progress *p), struct progress *p, char *text,
                       size_t size)
{
	int pair[2];
	ssize_t n = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->fd = pair[0];
	work(p);
	close(pair[0]);
	n = io_read_all(pair[1], text, size - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(pair[1]);
	return (size_t)n;
}

static void long_work(struct progress *p)
{
	progress_note(p, "key\033[2J.pem");
	progress_end(p);
	progress_set(p, 7);
	progress_end(p);
}

START_TEST(what_was_drawn_is_wiped_once_and_notes_are_escaped)
{
	struct progress p = { .what = "reading", .unit = PROGRESS_ITEMS, .total = 9, .began = 1 };
	char text[1024];

	drawn_by(long_work, &p, text, sizeof(text));
	ck_assert_str_eq(text, "\r\033[Kcoffer: reading [....................]   0% 0 of 9"
	                       "  key\\x1b[2J.pem\r\033[K");
}
END_TEST

START_TEST(short_work_draws_nothing)
{
	struct progress p = { .what = "reading", .unit = PROGRESS_WAIT };
	char text[1024];

	p.began = times_boottime() + 3600 * NS_PER_S;
	ck_assert_uint_eq(drawn_by(long_work, &p, text, sizeof(text)), 0);
}
END_TEST

START_TEST(nothing_is_drawn_where_there_is_no_terminal)
{
	struct client c = { 0 };
	struct progress p = { 0 };
	int pair[2];
	char byte = 0;

	progress_end(&p);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	ck_assert_int_eq(setenv("TERM", "xterm", 1), 0);
	ck_assert_int_eq(dup2(pair[0], STDERR_FILENO), STDERR_FILENO);
	progress_begin(&p, &c, "reading", PROGRESS_WAIT, 0);
	p.began = 1;
	progress_tick(&p);
	progress_add(&p, 3);
	progress_note(&p, "x");
	progress_end(&p);
	ck_assert_uint_eq(p.done, 3);
	ck_assert_int_eq(recv(pair[1], &byte, 1, 0), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress");
	TCase *tcase = tcase_create("all");
	SRunner *runner = NULL;
	int failed = 0;

	tcase_add_test(tcase, a_share_is_drawn_as_a_bar_and_in_numbers);
	tcase_add_test(tcase, without_a_total_the_seconds_are_told);
	tcase_add_test(tcase, a_line_never_reaches_the_last_column);
	tcase_add_test(tcase, the_first_line_waits_and_the_next_do_not_crowd);
	tcase_add_test(tcase, what_was_drawn_is_wiped_once_and_notes_are_escaped);
	tcase_add_test(tcase, short_work_draws_nothing);
	tcase_add_test(tcase, nothing_is_drawn_where_there_is_no_terminal);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
