/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

static const char *const headings[] = { "NAME", "VERSION", "NOTE", NULL };

static char *printed(const struct table *t, bool aligned)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	table_print(t, out, aligned);
	fclose(out);
	return text;
}

START_TEST(tables_are_aligned_on_a_terminal_and_tabbed_elsewhere)
{
	const char *first[] = { "db", "1", NULL }, *second[] = { "tls/server-key", "12", "x y" };
	struct table *t = table_new(headings);
	char *text = NULL;

	ck_assert_int_eq(table_add(t, first), 0);
	ck_assert_int_eq(table_add(t, second), 0);
	text = printed(t, true);
	ck_assert_str_eq(text, "NAME            VERSION  NOTE\n"
	                       "db              1        -\n"
	                       "tls/server-key  12       x y\n");
	free(text);
	text = printed(t, false);
	ck_assert_str_eq(text, "db\t1\t-\ntls/server-key\t12\tx y\n");
	free(text);
	table_free(t);
}
END_TEST

START_TEST(tables_grow_and_an_empty_one_has_a_heading_only)
{
	const char *row[] = { "n", "1", "" };
	struct table *t = table_new(headings);
	char *text = printed(t, true);
	size_t lines = 0;

	ck_assert_str_eq(text, "NAME  VERSION  NOTE\n");
	free(text);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(table_add(t, row), 0);
	text = printed(t, false);
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	ck_assert_uint_eq(lines, 1000);
	free(text);
	table_free(t);
}
END_TEST

START_TEST(narrow_tables_are_cut_where_they_may_be_and_nowhere_else)
{
	static const char *const cut_headings[] = { "ID", "~LABELS", "WHEN", NULL };
	const char *row[] = { "0011223344556677", "app=payments tier=front region=west",
		              "2026-01-02T03:04:05.678901Z" };
	static const struct {
		size_t columns;
		const char *text;
	} rows[] = {
		{ 100,
		  "ID                LABELS                               WHEN\n"
		  "0011223344556677  app=payments tier=front region=west  2026-01-02T03:04:05Z\n" },
		{ 50, "ID                LABELS      WHEN\n"
		      "0011223344556677  app=pay...  2026-01-02T03:04:05Z\n" },
		{ 1, "ID                LABELS    WHEN\n"
		     "0011223344556677  app=p...  2026-01-02T03:04:05Z\n" },
	};
	struct table *t = table_new(cut_headings);
	char *text = NULL;
	size_t len = 0;

	ck_assert_int_eq(table_add(t, row), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		FILE *out = open_memstream(&text, &len);

		table_print_within(t, out, rows[i].columns);
		fclose(out);
		ck_assert_str_eq(text, rows[i].text);
		free(text);
	}
	text = printed(t, false);
	ck_assert_str_eq(text, "0011223344556677\tapp=payments tier=front region=west\t"
	                       "2026-01-02T03:04:05.678901Z\n");
	free(text);
	table_free(t);
}
END_TEST

START_TEST(control_bytes_never_reach_the_terminal)
{
	const char *row[] = { "a\tb\nc", "\033[2J\r", "\xc2\x9b\x7f" };
	struct table *t = table_new(headings);
	char *text = NULL;
	size_t len = 0;
	FILE *out = NULL;

	ck_assert_int_eq(table_add(t, row), 0);
	text = printed(t, false);
	ck_assert_str_eq(text, "a\\x09b\\x0ac\t\\x1b[2J\\x0d\t\\xc2\\x9b\\x7f\n");
	free(text);
	table_free(t);
	out = open_memstream(&text, &len);
	output_text(out, "x\033]0;title\007\\");
	fclose(out);
	ck_assert_str_eq(text, "x\\x1b]0;title\\x07\\x5c");
	free(text);
}
END_TEST

START_TEST(an_error_is_one_line_whatever_it_holds)
{
	char line[256] = "";
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n = 0;

	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	output_error("no %s", "such\nthing\033[2J");
	dup2(saved, STDERR_FILENO);
	n = read(fds[0], line, sizeof(line) - 1);
	ck_assert_int_gt(n, 0);
	ck_assert_str_eq(line, "coffer: no such?thing?[2J\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("output");
	TCase *tc = tcase_create("output");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	tcase_add_test(tc, tables_are_aligned_on_a_terminal_and_tabbed_elsewhere);
	tcase_add_test(tc, tables_grow_and_an_empty_one_has_a_heading_only);
	tcase_add_test(tc, narrow_tables_are_cut_where_they_may_be_and_nowhere_else);
	tcase_add_test(tc, control_bytes_never_reach_the_terminal);
	tcase_add_test(tc, an_error_is_one_line_whatever_it_holds);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
