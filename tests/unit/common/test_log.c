/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"

#define LINES 2000 /* more than any pipe or socket here has room for */

static char heard[1 << 20];

/* stderr is the writing end of a pipe or a socket while this process logs. Returns the other end. */
static int redirect(bool socket)
{
	int ends[2];

	if (socket)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	else
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
	close(ends[1]);
	return ends[0];
}

static void hear(int fd)
{
	size_t len = 0;
	ssize_t n;

	ck_assert_int_ge(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (len < sizeof(heard) - 1 && (n = read(fd, heard + len, sizeof(heard) - 1 - len)) > 0)
		len += (size_t)n;
	heard[len] = '\0';
}

static int count(const char *text)
{
	int n = 0;

	for (const char *at = heard; (at = strstr(at, text)); at++)
		n++;
	return n;
}

START_TEST(a_log_that_nobody_reads_holds_nobody_up_and_what_was_lost_is_said)
{
	int fd = redirect(_i == 1);
	char said[80];
	int before;

	for (int i = 0; i < LINES; i++)
		log_info("line %d of a log that nobody reads, for a while %0200d", i, 0);
	hear(fd);
	before = count("line ");
	ck_assert_int_gt(before, 0);
	ck_assert_int_lt(before, LINES);
	log_warn("read again");
	hear(fd);
	snprintf(said, sizeof(said), "%d lines of this log were lost: nobody read it\n",
	         LINES - before);
	ck_assert_msg(strstr(heard, said) == heard, "not '%s' but '%.200s'", said, heard);
	ck_assert_str_eq(heard + strlen(said), "read again\n");
	log_warn("and again");
	hear(fd);
	ck_assert_str_eq(heard, "and again\n");
}
END_TEST

START_TEST(lines_carry_their_level_for_a_service_manager_only)
{
	int fd = redirect(false);

	log_with_levels(true);
	log_error("one");
	log_with_levels(false);
	log_info("two\nlines");
	hear(fd);
	ck_assert_str_eq(heard, "<3>one\ntwo\\x0alines\n");
}
END_TEST

START_TEST(a_closed_stderr_is_nobody_to_tell)
{
	close(STDERR_FILENO);
	log_info("nobody hears this");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *t = tcase_create("log");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, a_log_that_nobody_reads_holds_nobody_up_and_what_was_lost_is_said, 0,
	                    2);
	tcase_add_test(t, lines_carry_their_level_for_a_service_manager_only);
	tcase_add_test(t, a_closed_stderr_is_nobody_to_tell);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
