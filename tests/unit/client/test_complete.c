/* SPDX-License-Identifier: Apache-2.0 */
#include "complete.h"
#include "run_client.h"

/* Whether a line of the last answer begins with this word. */
static bool offered(const char *word)
{
	const char *line = out;

	for (; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, word, strlen(word)) == 0 && line[strlen(word)] == '\t')
			return true;
	}
	return false;
}

START_TEST(every_command_and_every_option_is_completed)
{
	for (const struct verb *verb = client_verbs; verb->name; verb++) {
		char first[40], *second = NULL;

		strcpy(first, verb->name);
		second = strchr(first, ' ');
		if (second)
			*second++ = '\0';
		ck_assert_int_eq(run("complete", "--", first), 0);
		ck_assert_msg(offered(first), "%s", verb->name);
		if (second) {
			ck_assert_int_eq(run("complete", "--", first, ""), 0);
			ck_assert_msg(offered(second), "%s", verb->name);
		}
		for (const struct option_row *row = verb->options; row && row->name; row++) {
			char option[64];

			snprintf(option, sizeof(option), "--%s", row->name);
			ck_assert_int_eq(run("complete", "--", first, second ? second : option,
			                     second ? option : NULL),
			                 0);
			ck_assert_msg(offered(option), "%s %s", verb->name, option);
		}
	}
}
END_TEST

/* Whoever brings a new word for a value into the table is asked here where its values come from. */
START_TEST(every_placeholder_of_the_table_is_known)
{
	for (const struct verb *verb = client_verbs; verb->name; verb++) {
		const char *synopsis = verb->synopsis;
		char token[COMPLETE_TOKEN_MAX];

		while (complete_next_word(verb, &synopsis, token))
			ck_assert_msg(complete_knows(token), "%s %s: %s is not in complete.c",
			              verb->name, verb->synopsis, token);
		for (const struct option_row *row = verb->options; row && row->name; row++)
			ck_assert_msg(!row->argument || complete_knows(row->argument),
			              "%s --%s %s is not in complete.c", verb->name, row->name,
			              row->argument);
	}
}
END_TEST

START_TEST(synopsis_gives_arguments_and_passes_over_options)
{
	static const struct option_row options[] = { { "file", "FILE", false, "" },
		                                     { "all", NULL, false, "" },
		                                     { 0 } };
	static const struct verb verb = { .name = "x",
		                          .synopsis = "NAME [--file FILE] [--all] | --all A=@B... "
		                                      "[--file FILE | --all] [LAST]...",
		                          .options = options };
	static const char *const tokens[] = { "NAME", "A=@B", "LAST" };
	const char *synopsis = verb.synopsis;
	char token[COMPLETE_TOKEN_MAX];

	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		ck_assert(complete_next_word(&verb, &synopsis, token));
		ck_assert_str_eq(token, tokens[i]);
	}
	ck_assert(!complete_next_word(&verb, &synopsis, token));
}
END_TEST

START_TEST(what_a_shell_would_act_on_is_not_offered)
{
	static const struct fake_row rows[] = {
		{ "Attachments", "{\"parameters\":{\"attachments\":[{\"container\":\"$(reboot)\","
		                 "\"runtime\":\"runc\"},"
		                 "{\"container\":\"a;b\",\"runtime\":\"runc\"},{\"container\":\"a "
		                 "b\",\"runtime\":\"r\"},"
		                 "{\"container\":\"a\\nb\",\"runtime\":\"runc\"},{\"container\":"
		                 "\"\",\"runtime\":\"r\"},"
		                 "{\"container\":\"web-1\",\"runtime\":\"runc\\u001b[2J\"}]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run("complete", "--", "explain", ""), 0);
	ck_assert_str_eq(out, "web-1\trunc\\x1b[2J\n");
	fake_stop(broker);
}
END_TEST

START_TEST(the_line_decides_what_is_offered)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *answer;
	} rows[] = {
		{ { "put", "--file", "" }, ":files \n" },
		{ { "put", "--file=" }, ":files --file=\n" },
		{ { "put", "db=@/x" }, ":files db=@\n" },
		{ { "put", "db=/x" }, "" },
		{ { "--runtime-dir", "/x" }, ":folders \n" },
		{ { "grant", "x", "--runtime", "do" }, "docker\t\n" },
		{ { "grant", "x", "--runtime=do" }, "--runtime=docker\t\n" },
		{ { "grant", "x", "--runtime=docker", "--runtime=do" }, "--runtime=docker\t\n" },
		{ { "unseal", "--keyfile", "k", "--key" }, "" },
		{ { "unseal", "--", "--key" }, "" },
		{ { "unseal", "--json=" }, "" },
		{ { "frobnicate", "" }, "" },
		{ { "--json", "frobnicate", "--" }, "" },
		{ { "get", "a", "" }, "" },
		{ { "seal", "" }, "" },
		{ { "put", "x", "--frobnicate", "--fil" }, "--file\tread the value from FILE\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *words[WORDS_MAX] = { "complete", "--" };

		memcpy(words + 2, rows[i].words, (WORDS_MAX - 2) * sizeof(words[0]));
		ck_assert_msg(run_with("", words) == 0, "row %zu", i);
		ck_assert_msg(strcmp(out, rows[i].answer) == 0, "row %zu: %s", i, out);
		ck_assert_msg(errors[0] == '\0', "row %zu: %s", i, errors);
	}
	ck_assert_int_eq(run("complete"), 0);
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(the_broker_of_the_line_is_asked)
{
	static const struct fake_row rows[] = {
		{ "List", "{\"parameters\":{\"secrets\":[{\"name\":\"a/b/c\",\"version\":2},"
		          "{\"name\":\"a/b/d\",\"version\":1},{\"name\":\"ax\",\"version\":1}]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);
	char option[128], *asked = NULL;

	ck_assert_int_eq(setenv("COFFER_RUNTIME_DIR", "/nonexistent", 1), 0);
	ck_assert_int_eq(run("complete", "--", "get", "a"), 0);
	ck_assert_str_eq(out, "");
	ck_assert_str_eq(errors, "");
	snprintf(option, sizeof(option), "--runtime-dir=%s", dir);
	ck_assert_int_eq(run("complete", "--", option, "get", "a/"), 0);
	ck_assert_str_eq(out, "a/b/c\tversion 2\na/b/d\tversion 1\n");
	ck_assert_int_eq(run("complete", "--", "ls", "--runtime-dir", dir, ""), 0);
	ck_assert_str_eq(out, "a/\tprefix\na/b/\tprefix\n");
	asked = fake_log(dir);
	ck_assert_ptr_nonnull(strstr(asked, "\"prefix\":\"a/\""));
	free(asked);
	fake_stop(broker);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("complete");
	TCase *tc = tcase_create("complete");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_command_and_every_option_is_completed);
	tcase_add_test(tc, every_placeholder_of_the_table_is_known);
	tcase_add_test(tc, synopsis_gives_arguments_and_passes_over_options);
	tcase_add_test(tc, what_a_shell_would_act_on_is_not_offered);
	tcase_add_test(tc, the_line_decides_what_is_offered);
	tcase_add_test(tc, the_broker_of_the_line_is_asked);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
