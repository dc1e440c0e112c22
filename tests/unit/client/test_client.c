/* SPDX-License-Identifier: Apache-2.0 */
#include "run_client.h"

START_TEST(wrong_usage_is_status_2_and_one_line_with_a_hint)
{
	static const char *const rows[][WORDS_MAX] = {
		{ "frobnicate" },
		{ "--frobnicate" },
		{ "put" },
		{ "get" },
		{ "get", "a", "b" },
		{ "get", "a", "--json" },
		{ "get", "a", "--version", "0" },
		{ "get", "a", "--version", "x" },
		{ "ls", "a", "b" },
		{ "ls", "--frobnicate" },
		{ "rm" },
		{ "rollback", "a" },
		{ "rollback", "a", "--to", "0" },
		{ "grant", "a" },
		{ "grant", "a", "--mode", "0400" },
		{ "grant", "a", "--container", "c", "--uid", "-1" },
		{ "grant", "a", "--container", "c", "--uid", "4294967295" },
		{ "grant", "a", "--label", "novalue" },
		{ "grant", "a", "--label", "k=1", "--label", "k=2" },
		{ "attach" },
		{ "attach", "c", "--pid", "5" },
		{ "explain" },
		{ "explain", "--pid", "0" },
		{ "init", "--keyfile", "a", "--passphrase-file", "b" },
		{ "unseal", "--keyfile", "a", "--passphrase-file", "b" },
		{ "audit", "backwards" },
		{ "put", "a", "--expires", "never", "--file", "x" },
		{ "put", "a", "--if-version", "-1", "--file", "x" },
		{ "put", "a=@x", "--file", "x" },
		{ "help", "frobnicate" },
		{ "help", "put", "get" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(run_with("", rows[i]) == 2, "row %zu: %s", i, errors);
		ck_assert_msg(lines_of(errors) == 1, "row %zu: %s", i, errors);
		ck_assert_msg(strstr(errors, "coffer help"), "row %zu: %s", i, errors);
		ck_assert_str_eq(out, "");
	}
}
END_TEST

START_TEST(without_a_command_the_commands_are_shown_by_topic)
{
	ck_assert_int_eq(run(NULL), 2);
	ck_assert_str_eq(out, "");
	for (const struct topic *topic = client_topics; topic->title; topic++) {
		const char *line = strstr(errors, topic->title);

		ck_assert_msg(line != NULL, "%s", topic->title);
		line += strlen(topic->title);
		line += strspn(line, " ");
		ck_assert_int_eq(strncmp(line, topic->first, strlen(topic->first)), 0);
	}
	for (const struct verb *verb = client_verbs; verb->name; verb++) {
		char word[40];

		snprintf(word, sizeof(word), " %.*s", (int)strcspn(verb->name, " "), verb->name);
		ck_assert_msg(strstr(errors, word) != NULL, "%s", verb->name);
	}
}
END_TEST

START_TEST(mistyped_word_is_told_the_nearest)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *meant; /* NULL: nothing is near */
	} rows[] = {
		{ { "pu" }, "coffer put?" },
		{ { "stauts" }, "coffer status?" },
		{ { "unseel" }, "coffer unseal?" },
		{ { "audit", "verifi" }, "coffer audit verify?" },
		{ { "help", "audit", "verifi" }, "coffer audit verify?" },
		{ { "help", "grnats" }, "coffer grants?" },
		{ { "frobnicate" }, NULL },
		{ { "help", "put", "get" }, NULL },
		{ { "ls", "--jsn" }, "--json?" },
		{ { "grant", "x", "--contaner=c" }, "--container?" },
		{ { "grant", "x", "-container" }, "--container?" },
		{ { "put", "x", "--value=v" }, NULL },
		{ { "--runtimedir", "x" }, "--runtime-dir?" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(run_with("", rows[i].words) == 2, "row %zu: %s", i, errors);
		ck_assert_msg(lines_of(errors) == 1, "row %zu: %s", i, errors);
		if (rows[i].meant)
			ck_assert_msg(strstr(errors, rows[i].meant), "row %zu: %s", i, errors);
		else
			ck_assert_msg(!strstr(errors, "did you mean"), "row %zu: %s", i, errors);
	}
}
END_TEST

START_TEST(value_on_the_command_line_is_refused_and_not_repeated)
{
	static const char *const rows[][WORDS_MAX] = {
		{ "put", "db=hunter2" },
		{ "put", "db", "hunter2" },
		{ "put", "hunter2", "db=@stdin" },
		{ "put", "db=@stdin", "hunter2" },
		{ "put", "db=@stdin", "db2=hunter2" },
		{ "put", "db=" },
		{ "put", "db", "--value=hunter2" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(run_with("x", rows[i]) == 2, "row %zu", i);
		ck_assert_msg(lines_of(errors) == 1, "row %zu: %s", i, errors);
		ck_assert_msg(!strstr(errors, "hunter2"), "row %zu: %s", i, errors);
	}
	run("put", "db=hunter2");
	ck_assert_ptr_nonnull(strstr(errors, "NAME=@FILE"));
}
END_TEST

START_TEST(failure_is_status_1_and_one_line)
{
	static const char *const rows[][WORDS_MAX] = {
		{ "ls" },
		{ "status", "--json" },
		{ "put", "a", "--file", "stdin" },
		{ "put", "Upper", "--file", "stdin" },
		{ "put", "../x", "--file", "stdin" },
		{ "put", "a", "--file", "absent" },
		{ "put", "a\033[2J=@stdin" },
		{ "init", "--keyfile", "k" },
		{ "audit", "verify" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(run_with("x", rows[i]) == 1, "row %zu: %s", i, errors);
		ck_assert_msg(lines_of(errors) == 1, "row %zu: %s", i, errors);
		ck_assert_msg(strncmp(errors, "coffer: ", 8) == 0, "row %zu: %s", i, errors);
		ck_assert_msg(!strchr(errors, '\033'), "row %zu", i);
	}
	ck_assert_int_eq(access("k", F_OK), -1); /* no keyfile without a broker */
}
END_TEST

START_TEST(too_large_a_value_is_refused_before_it_is_sent)
{
	char *large = malloc(SECRET_VALUE_MAX + 2);
	const char *const words[WORDS_MAX] = { "put", "a" };

	memset(large, 'x', SECRET_VALUE_MAX + 1);
	large[SECRET_VALUE_MAX + 1] = '\0';
	ck_assert_int_eq(run_with(large, words), 1);
	ck_assert_ptr_nonnull(strstr(errors, "1 MiB"));
	free(large);
}
END_TEST

START_TEST(help_of_every_command_comes_from_the_table)
{
	for (const struct verb *verb = client_verbs; verb->name; verb++) {
		char first[32] = "", *second = NULL;

		strcpy(first, verb->name);
		second = strchr(first, ' ');
		if (second)
			*second++ = '\0';
		ck_assert_int_eq(run("help", first, second), 0);
		ck_assert_ptr_nonnull(strstr(out, verb->help));
		ck_assert_ptr_nonnull(strstr(out, verb->synopsis));
		for (const struct option_row *row = verb->options; row && row->name; row++)
			ck_assert_msg(strstr(out, row->name), "%s --%s", verb->name, row->name);
		if (second)
			ck_assert_int_eq(run(first, second, "--help"), 0);
		else
			ck_assert_int_eq(run(first, "--help"), 0);
		ck_assert_ptr_nonnull(strstr(out, verb->help));
		ck_assert_int_eq(run("help"), 0);
		ck_assert_ptr_nonnull(strstr(out, verb->help));
	}
	ck_assert_int_eq(run("--version"), 0);
	ck_assert_int_eq(strncmp(out, "coffer ", 7), 0);
}
END_TEST

START_TEST(option_names_the_broker_before_the_environment)
{
	static const struct fake_row rows[] = { { "List", "{\"parameters\":{\"secrets\":[]}}" },
		                                { 0 } };
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(setenv("COFFER_RUNTIME_DIR", "/nonexistent", 1), 0);
	ck_assert_int_eq(run("ls"), 1);
	ck_assert_int_eq(run("ls", "--runtime-dir", dir), 0);
	ck_assert_int_eq(run("--runtime-dir", dir, "ls"), 0);
	ck_assert_int_eq(setenv("COFFER_RUNTIME_DIR", dir, 1), 0);
	ck_assert_int_eq(run("ls"), 0);
	fake_stop(broker);
}
END_TEST

START_TEST(full_output_is_a_failure)
{
	char program[] = "coffer", verb[] = "help", *argv[] = { program, verb, NULL };
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (!freopen("/dev/full", "w", stdout) || !freopen("stderr", "w", stderr))
			_exit(99);
		_exit(client_run(2, argv));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tc = tcase_create("client");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, wrong_usage_is_status_2_and_one_line_with_a_hint);
	tcase_add_test(tc, without_a_command_the_commands_are_shown_by_topic);
	tcase_add_test(tc, mistyped_word_is_told_the_nearest);
	tcase_add_test(tc, value_on_the_command_line_is_refused_and_not_repeated);
	tcase_add_test(tc, failure_is_status_1_and_one_line);
	tcase_add_test(tc, too_large_a_value_is_refused_before_it_is_sent);
	tcase_add_test(tc, help_of_every_command_comes_from_the_table);
	tcase_add_test(tc, option_names_the_broker_before_the_environment);
	tcase_add_test(tc, full_output_is_a_failure);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
