/* SPDX-License-Identifier: Apache-2.0 */
/* What a grant may ask for when a version replaces another, and how it is kept. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "policy/on_rotate.h"

static const struct {
	const char *said, *kept;
	int signal;
	unsigned int words;
} good[] = {
	{ "signal:HUP", "signal:HUP", SIGHUP, 0 },
	{ "signal:SIGUSR2", "signal:USR2", SIGUSR2, 0 },
	{ "signal:sigterm", "signal:TERM", SIGTERM, 0 },
	{ "signal:Winch", "signal:WINCH", SIGWINCH, 0 },
	{ "signal:CONT", "signal:CONT", SIGCONT, 0 },
	{ "exec:/bin/true", "exec:/bin/true", 0, 1 },
	{ "exec:/usr/sbin/nginx -s reload", "exec:/usr/sbin/nginx -s reload", 0, 3 },
	{ "exec:  /a   b  ", "exec:/a b", 0, 2 },
	{ "exec:/a $(b) \"c d\" ; e", "exec:/a $(b) \"c d\" ; e", 0, 6 },
	{ "exec:/signal:HUP", "exec:/signal:HUP", 0, 1 },
};

START_TEST(a_reaction_is_read_and_kept_in_one_form)
{
	struct on_rotate o, again;
	char text[ON_ROTATE_SHOWN_MAX], twice[ON_ROTATE_SHOWN_MAX];
	struct err e = { "" };

	ck_assert_msg(on_rotate_parse(good[_i].said, &o, &e) == 0, "%s: %s", good[_i].said, e.text);
	ck_assert_int_eq(o.signal, good[_i].signal);
	ck_assert_uint_eq(o.words, good[_i].words);
	ck_assert_ptr_null(o.word[o.words]);
	ck_assert_str_eq(on_rotate_format(&o, text), good[_i].kept);
	ck_assert_int_eq(on_rotate_parse(text, &again, NULL), 0);
	ck_assert_str_eq(on_rotate_format(&again, twice), text);
}
END_TEST

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", "neither" },
	{ "HUP", "neither" },
	{ "signal", "neither" },
	{ "Signal:HUP", "neither" },
	{ "shell:/bin/sh", "neither" },
	{ "signal:", "none of" },
	{ "signal:KILL", "none of" },
	{ "signal:SIGSTOP", "none of" },
	{ "signal:TSTP", "none of" },
	{ "signal:1", "none of" },
	{ "signal:SIGSIGHUP", "none of" },
	{ "signal:HUP ", "none of" },
	{ "signal: HUP", "none of" },
	{ "exec:", "absolute path" },
	{ "exec:   ", "absolute path" },
	{ "exec:/", "absolute path" },
	{ "exec:reload", "absolute path" },
	{ "exec:./reload", "absolute path" },
	{ "exec:/bin/sh\n-c", "control character" },
	{ "exec:/bin/sh\t-c", "control character" },
	{ "exec:/bin/sh \x7f", "control character" },
};

START_TEST(what_is_no_reaction_is_refused_with_a_sentence)
{
	struct on_rotate o;
	struct err e = { "" };

	ck_assert_msg(on_rotate_parse(bad[_i].text, &o, &e) == -EINVAL, "\"%s\"", bad[_i].text);
	ck_assert_msg(strstr(e.text, bad[_i].says), "\"%s\": %s", bad[_i].text, e.text);
}
END_TEST

START_TEST(words_and_bytes_have_limits)
{
	char text[ON_ROTATE_TEXT_MAX + 2] = "exec:/a";
	struct on_rotate o;

	for (int i = 1; i < ON_ROTATE_WORDS_MAX; i++)
		strcat(text, " b");
	ck_assert_int_eq(on_rotate_parse(text, &o, NULL), 0);
	ck_assert_uint_eq(o.words, ON_ROTATE_WORDS_MAX);
	strcat(text, " b");
	ck_assert_int_eq(on_rotate_parse(text, &o, NULL), -EINVAL);

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "exec:/", 6);
	text[ON_ROTATE_TEXT_MAX + 1] = '\0';
	ck_assert_int_eq(on_rotate_parse(text, &o, NULL), -EINVAL);
	text[ON_ROTATE_TEXT_MAX] = '\0';
	ck_assert_int_eq(on_rotate_parse(text, &o, NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("on_rotate");
	TCase *tests = tcase_create("on_rotate");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, a_reaction_is_read_and_kept_in_one_form, 0, ARRAY_LEN(good));
	tcase_add_loop_test(tests, what_is_no_reaction_is_refused_with_a_sentence, 0,
	                    ARRAY_LEN(bad));
	tcase_add_test(tests, words_and_bytes_have_limits);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
