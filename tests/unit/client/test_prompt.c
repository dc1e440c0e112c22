/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "coffer/secret.h"
#include "prompt.h"

#define SEEN_MAX 65536

static int master, terminal, answers[2]; /* answers: what the child got */
static char seen[SEEN_MAX];              /* all that the terminal showed */
static size_t seen_len;
static pid_t child;

static void setup(void)
{
	ck_assert_int_eq(openpty(&master, &terminal, NULL, NULL, NULL), 0);
	ck_assert_int_eq(pipe2(answers, O_CLOEXEC), 0);
	seen_len = 0;
}

static void teardown(void)
{
	close(master);
	close(terminal);
	close(answers[0]);
}

static bool echoes(void)
{
	struct termios now;

	ck_assert_int_eq(tcgetattr(terminal, &now), 0);
	return now.c_lflag & ECHO;
}

/* The child asks, and writes "RESULT:TEXT" into the pipe. */
static void start(bool twice)
{
	child = fork();
	if (child == 0) {
		struct secret *s = NULL;
		struct err e;
		int r = 0;

		/* check has handlers of its own for these */
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		setpgid(0, 0); /* else its group may be an orphan, which SIGTSTP does not stop */
		if (twice)
			r = prompt_secret_twice(terminal, terminal, "word", &s, &e);
		else
			r = prompt_secret(terminal, terminal, "word", &s, &e);
		dprintf(answers[1], "%d:%s", r, s ? (const char *)s->bytes : "");
		_exit(0);
	}
	close(answers[1]);
}

/* Read what the terminal shows until `text` was shown `count` times. */
static void await(const char *text, int count)
{
	for (;;) {
		int found = 0;
		ssize_t n = 0;

		for (const char *p = seen; (p = strstr(p, text)); p++)
			found++;
		if (found >= count)
			return;
		n = read(master, seen + seen_len, SEEN_MAX - 1 - seen_len);
		ck_assert_int_gt(n, 0);
		seen_len += (size_t)n;
		seen[seen_len] = '\0';
	}
}

static void type(const char *text)
{
	ck_assert_int_eq(write(master, text, strlen(text)), (ssize_t)strlen(text));
}

/* The child's end: what it wrote. */
static const char *result(void)
{
	static char text[8192];
	ssize_t n = 0, len = 0;
	int status = 0;

	while ((n = read(answers[0], text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	return text;
}

START_TEST(answer_is_read_but_not_shown)
{
	start(false);
	await("word: ", 1);
	ck_assert(!echoes());
	type("hunter2\n");
	ck_assert_str_eq(result(), "0:hunter2");
	ck_assert(echoes());
	await("\n", 1);
	ck_assert_ptr_null(strstr(seen, "hunter2"));
}
END_TEST

START_TEST(empty_answer_is_an_answer)
{
	start(false);
	await("word: ", 1);
	type("\n");
	ck_assert_str_eq(result(), "0:");
}
END_TEST

START_TEST(two_equal_answers_are_taken)
{
	start(true);
	await("word: ", 1);
	type("abc\n");
	await("word, again: ", 1);
	type("abc\n");
	ck_assert_str_eq(result(), "0:abc");
}
END_TEST

START_TEST(two_different_answers_are_refused)
{
	static const char *const seconds[] = { "abd\n", "ab\n", "abcd\n", "\n" };
	char expected[16];

	start(true);
	await("word: ", 1);
	type("abc\n");
	await("word, again: ", 1);
	type(seconds[_i]);
	snprintf(expected, sizeof(expected), "%d:", -EINVAL);
	ck_assert_str_eq(result(), expected);
	ck_assert(echoes());
}
END_TEST

START_TEST(end_of_file_cancels)
{
	char expected[16];

	start(false);
	await("word: ", 1);
	type("\004");
	snprintf(expected, sizeof(expected), "%d:", -ECANCELED);
	ck_assert_str_eq(result(), expected);
	ck_assert(echoes());
}
END_TEST

START_TEST(line_that_a_terminal_cuts_is_refused)
{
	char line[PROMPT_LINE_MAX + 3], expected[16];

	memset(line, 'x', sizeof(line));
	line[PROMPT_LINE_MAX + 1] = '\n';
	line[PROMPT_LINE_MAX + 2] = '\0';
	start(false);
	await("word: ", 1);
	type(line);
	snprintf(expected, sizeof(expected), "%d:", -EFBIG);
	ck_assert_str_eq(result(), expected);
	ck_assert(echoes());
}
END_TEST

START_TEST(signal_restores_the_terminal_and_ends_us)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	int status = 0;

	start(false);
	await("word: ", 1);
	ck_assert(!echoes());
	ck_assert_int_eq(kill(child, signals[_i]), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), signals[_i]);
	ck_assert(echoes());
}
END_TEST

START_TEST(stopped_question_is_asked_anew)
{
	int status = 0;

	start(false);
	await("word: ", 1);
	type("half");
	ck_assert_int_eq(kill(child, SIGTSTP), 0);
	ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
	ck_assert(WIFSTOPPED(status));
	ck_assert(echoes());
	ck_assert_int_eq(kill(child, SIGCONT), 0);
	await("word: ", 2);
	ck_assert(!echoes());
	type("whole\n");
	ck_assert_str_eq(result(), "0:whole");
}
END_TEST

START_TEST(what_is_no_terminal_is_refused)
{
	struct secret *s = NULL;
	int ends[2];
	struct err e;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(prompt_secret(ends[0], ends[1], "word", &s, &e), -ENOTTY);
	ck_assert_ptr_null(s);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("prompt");
	TCase *tc = tcase_create("prompt");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, answer_is_read_but_not_shown);
	tcase_add_test(tc, empty_answer_is_an_answer);
	tcase_add_test(tc, two_equal_answers_are_taken);
	tcase_add_loop_test(tc, two_different_answers_are_refused, 0, 4);
	tcase_add_test(tc, end_of_file_cancels);
	tcase_add_test(tc, line_that_a_terminal_cuts_is_refused);
	tcase_add_loop_test(tc, signal_restores_the_terminal_and_ends_us, 0, 4);
	tcase_add_test(tc, stopped_question_is_asked_anew);
	tcase_add_test(tc, what_is_no_terminal_is_refused);
	tcase_set_timeout(tc, 20);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
