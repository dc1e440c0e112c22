/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "flow/runs.h"

static char folder[] = "/tmp/coffer-runs-XXXXXX";
static int fd;

static void setup(void)
{
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
	unlinkat(fd, "runs", 0);
	close(fd);
	rmdir(folder);
}

static struct runs *begin(uint64_t found)
{
	struct runs *r = NULL;
	struct err e;

	ck_assert_msg(runs_begin(fd, found, &r, &e) == 0, "%s", e.text);
	return r;
}

START_TEST(a_number_that_a_killed_run_left_to_another_tells_nothing_of_its_own_records)
{
	/* The first finds 480 lines, marks some with 500, and is killed before they are written. */
	struct runs *first = begin(480);
	/* The second writes 481 to 520, and is killed before it has taken that ring over. */
	struct runs *second = begin(480);
	struct runs *third = begin(520);

	ck_assert_uint_ne(runs_id(first), 0);
	ck_assert_uint_ne(runs_id(first), runs_id(second));
	ck_assert_uint_eq(runs_last_line(third, runs_id(first)), 480);
	ck_assert_uint_eq(runs_last_line(third, runs_id(second)), 520);
	ck_assert_uint_eq(runs_last_line(third, 0), 520);
	runs_free(first);
	runs_free(second);
	runs_free(third);
}
END_TEST

START_TEST(records_of_an_unknown_run_come_again_rather_than_be_lost)
{
	struct runs *r = begin(480);

	ck_assert_uint_eq(runs_last_line(r, 12345), 0);
	runs_free(r);
}
END_TEST

START_TEST(as_many_as_are_remembered_are_remembered)
{
	struct runs *r = begin(0);
	uint64_t oldest = runs_id(r), second = 0;

	for (uint64_t i = 1; i <= RUNS_MAX; i++) {
		runs_free(r);
		r = begin(i);
		if (i == 1)
			second = runs_id(r);
	}
	ck_assert_uint_eq(runs_last_line(r, oldest), 0);
	ck_assert_uint_eq(runs_last_line(r, second), 2);
	runs_free(r);
}
END_TEST

START_TEST(a_file_that_is_not_ours_is_no_harm)
{
	static const char *const texts[] = { "", "\n", "x\n", "0123456789abcdef\n",
		                             "zz 1\n1 zz\n" };
	int file = openat(fd, "runs", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct runs *r;

	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(write(file, texts[_i], strlen(texts[_i])), (ssize_t)strlen(texts[_i]));
	close(file);
	r = begin(7);
	ck_assert_uint_eq(runs_last_line(r, 0), 7);
	runs_free(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runs");
	TCase *t = tcase_create("runs");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t,
	               a_number_that_a_killed_run_left_to_another_tells_nothing_of_its_own_records);
	tcase_add_test(t, records_of_an_unknown_run_come_again_rather_than_be_lost);
	tcase_add_test(t, as_many_as_are_remembered_are_remembered);
	tcase_add_loop_test(t, a_file_that_is_not_ours_is_no_harm, 0, 5);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
