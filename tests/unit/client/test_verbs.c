/* SPDX-License-Identifier: Apache-2.0 */
#include "run_client.h"

START_TEST(put_passes_values_beside_the_message_in_one_call)
{
	static const struct fake_row rows[] = {
		{ "Put", "{\"parameters\":{\"stored\":[{\"name\":\"a/b\",\"version\":3},"
		         "{\"name\":\"c\",\"version\":1}],\"lagging\":[]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);
	char *asked = NULL;

	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "v1", "first", 5, 0600), 0);
	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "v2", "second", 6, 0600), 0);
	ck_assert_int_eq(run("put", "a/b=@v1", "c=@v2", "--label", "k=v", "--if-version", "0"), 0);
	ck_assert_str_eq(out, "a/b 3\nc 1\n");
	ck_assert_str_eq(errors, "");
	asked = fake_log(dir);
	ck_assert_str_eq(asked,
	                 "{\"method\":\"io.coffer.operator.Put\",\"parameters\":{\"items\":["
	                 "{\"name\":\"a/b\",\"fd\":0,\"if_version\":0,\"labels\":{\"k\":\"v\"}},"
	                 "{\"name\":\"c\",\"fd\":1,\"if_version\":0,\"labels\":{\"k\":\"v\"}}]}}"
	                 " first second\n");
	free(asked);
	fake_stop(broker);
}
END_TEST

START_TEST(container_that_lags_is_warned_of_but_no_failure)
{
	static const struct fake_row rows[] = {
		{ "Remove", "{\"parameters\":{\"lagging\":[\"runc/web\",\"docker/\\u001b[2J\"]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run("rm", "a"), 0);
	ck_assert_ptr_nonnull(strstr(errors, "runc/web, docker/\\x1b[2J"));
	ck_assert_uint_eq(lines_of(errors), 1);
	fake_stop(broker);
}
END_TEST

START_TEST(get_writes_the_raw_bytes_and_nothing_else)
{
	static const struct fake_row rows[] = {
		{ "Get", "{\"parameters\":{\"name\":\"a\",\"version\":1,\"fd\":0}}",
		  "raw\001\n\n" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);
	char text[TEXT_MAX];
	struct stat st;

	ck_assert_int_eq(run("get", "a", "--version", "7"), 0);
	ck_assert_str_eq(out, "raw\001\n\n");
	ck_assert_int_eq(run("get", "a", "--out", "file"), 0);
	ck_assert_str_eq(out, "");
	read_back("file", text);
	ck_assert_str_eq(text, "raw\001\n\n");
	ck_assert_int_eq(stat("file", &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(symlink("/dev/null", "link"), 0);
	ck_assert_int_eq(run("get", "a", "--out", "link"), 1);
	ck_assert_int_eq(run("get", "a", "--out", "no/such/folder"), 1);
	fake_stop(broker);
}
END_TEST

START_TEST(listing_in_many_answers_is_one_list)
{
#define ROW(name, expired)                                                                  \
	"{\"name\":\"" name "\",\"version\":2,\"created\":\"2026-01-02T03:04:05.000000Z\"," \
	"\"size\":9,\"expired\":" expired ",\"private_key\":false,\"labels\":{}}"
	static const struct fake_row rows[] = {
		{ "List", "{\"parameters\":{\"secrets\":[" ROW("b", "true") "]}}", NULL,
		  "{\"parameters\":{\"secrets\":[" ROW("a", "false") "]},\"continues\":true}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run("ls"), 0);
	ck_assert_str_eq(out, "a\t2\t9\t2026-01-02T03:04:05.000000Z\t-\n"
	                      "b\t2\t9\t2026-01-02T03:04:05.000000Z\texpired\n");
	ck_assert_int_eq(run("ls", "--json", "pre"), 0);
	ck_assert_int_eq(strncmp(out, "{\"secrets\":[{\"name\":\"a\"", 22), 0);
	fake_stop(broker);
}
END_TEST

START_TEST(ps_has_a_line_for_each_file_and_for_a_container_without_files)
{
	static const struct fake_row rows[] = {
		{ "Attachments",
		  "{\"parameters\":{\"attachments\":[{\"container\":\"web\",\"runtime\":\"runc\","
		  "\"pid\":7,"
		  "\"state\":\"mounted\",\"files\":[{\"path\":\"a\",\"name\":\"a\",\"version\":1,"
		  "\"opened_version\":1,\"opened\":\"T\",\"held\":[],\"grant\":\"g\"},"
		  "{\"path\":\"b\",\"name\":\"b\",\"version\":9,\"opened_version\":null,"
		  "\"held\":[1,2,3,4,5,6],"
		  "\"grant\":\"g\"}]},{\"container\":\"\\u001b[2J\",\"runtime\":\"docker\",\"pid\":"
		  "8,"
		  "\"state\":\"empty\",\"files\":[]}]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run("ps"), 0);
	ck_assert_str_eq(out, "web\trunc\t7\tmounted\ta\t1\t1\tT\t-\n"
	                      "web\trunc\t7\tmounted\tb\t9\t-\t-\t1,2,3,4,+2\n"
	                      "\\x1b[2J\tdocker\t8\tempty\t-\t-\t-\t-\t-\n");
	ck_assert_int_eq(run("ps", "--json"), 0);
	ck_assert_int_eq(strncmp(out, "{\"attachments\":[", 16), 0);
	ck_assert_ptr_null(strchr(out, '\033'));
	fake_stop(broker);
}
END_TEST

START_TEST(grant_asks_for_what_its_options_say_and_prints_the_id_alone)
{
	static const struct fake_row rows[] = {
		{ "Grant", "{\"parameters\":{\"id\":\"00112233aabbccdd\",\"lagging\":[]}}" }, { 0 }
	};
	const char *const words[WORDS_MAX] = { "grant",   "tls/",  "--container", "web",
		                               "--label", "app=x", "--uid",       "70",
		                               "--mode",  "0440",  "--as",        "certs" };
	pid_t broker = fake_start(dir, rows);
	char *asked = NULL;

	ck_assert_int_eq(run_with("", words), 0);
	ck_assert_str_eq(out, "00112233aabbccdd\n");
	asked = fake_log(dir);
	ck_assert_str_eq(asked,
	                 "{\"method\":\"io.coffer.operator.Grant\",\"parameters\":{\"grant\":{"
	                 "\"conditions\":{\"labels\":{\"app\":\"x\"},\"container\":\"web\"},"
	                 "\"name\":\"tls/\",\"path\":\"certs\",\"uid\":70,\"mode\":\"0440\"}}}\n");
	free(asked);
	fake_stop(broker);
}
END_TEST

START_TEST(grants_are_listed_with_all_their_conditions)
{
	static const struct fake_row rows[] = {
		{ "Grants",
		  "{\"parameters\":{\"grants\":[{\"id\":\"aa\",\"name\":\"db\",\"conditions\":{"
		  "\"runtime\":\"runc\",\"container\":\"web\",\"labels\":{\"k\":\"v\"}},\"path\":"
		  "null,"
		  "\"mode\":\"0440\",\"uid\":0,\"allow_tag\":false,\"allow_weak\":true,"
		  "\"allow_unverified\":true,\"on_rotate\":\"signal:HUP\",\"created\":\"T\"}]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run("grants"), 0);
	ck_assert_str_eq(out, "aa\tdb\truntime=runc container=web label:k=v\t-\t0440\t0\t-\t"
	                      "weak,unverified\tT\tsignal:HUP\n");
	fake_stop(broker);
}
END_TEST

START_TEST(explain_names_facts_grants_and_files)
{
	static const struct fake_row rows[] = {
		{ "Explain",
		  "{\"parameters\":{\"instance\":null,\"facts\":[{\"name\":\"runtime\",\"value\":"
		  "\"runc\","
		  "\"source\":\"bundle\"}],\"matches\":[{\"grant\":\"aa\",\"name\":\"db\","
		  "\"matches\":true,"
		  "\"strength\":\"weak\",\"reason\":\"name is "
		  "web\",\"paths\":[\"db\"]},{\"grant\":\"bb\","
		  "\"name\":\"x\",\"matches\":false,\"reason\":\"label\\nfrom "
		  "image\",\"paths\":[]}],"
		  "\"files\":[{\"path\":\"db\",\"name\":\"db\",\"version\":4,\"grant\":\"aa\"},"
		  "{\"path\":\"key\",\"name\":\"key\",\"version\":1,\"grant\":\"aa\","
		  "\"mode\":\"0400\",\"uid\":33,\"gid\":7}],"
		  "\"notes\":[\"mind\"]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);
	char *asked = NULL;

	ck_assert_int_eq(run("explain", "--pid", "77"), 0);
	ck_assert_str_eq(out, "instance       none: it is not registered\n"
	                      "facts\n"
	                      "  runtime      runc  (from bundle)\n"
	                      "grants\n"
	                      "  aa  db  matches, weak: name is web\n"
	                      "      as db\n"
	                      "  bb  x  does not match: label\\x0afrom image\n"
	                      "files\n"
	                      "  db  is db version 4 by grant aa\n"
	                      "  key  is key version 1 by grant aa, mode 0400, owner 33:7\n"
	                      "notes\n"
	                      "  mind\n");
	asked = fake_log(dir);
	ck_assert_ptr_nonnull(strstr(asked, "{\"pid\":77}"));
	free(asked);
	fake_stop(broker);
}
END_TEST

START_TEST(audit_lines_are_printed_readable_or_as_they_are)
{
#define LINE                                                                              \
	"{\\\"seq\\\":1,\\\"time\\\":\\\"T\\\",\\\"event\\\":\\\"open\\\",\\\"uid\\\":5," \
	"\\\"container\\\":\\\"w\\\\u001b\\\",\\\"other\\\":\\\"o\\\",\\\"hash\\\":\\\"00\\\"}"
	static const struct fake_row rows[] = {
		{ "Audit", "{\"parameters\":{\"lines\":[\"no json\\n\"]}}", NULL,
		  "{\"parameters\":{\"lines\":[\"" LINE "\"]},\"continues\":true}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run("audit"), 0);
	ck_assert_str_eq(out, "T open container=w\\x1b uid=5 other=o\nno json\\x0a\n");
	ck_assert_int_eq(run("audit", "--json", "--follow"), 0);
	ck_assert_int_eq(strncmp(out, "{\"seq\":1,\"time\":\"T\"", 18), 0);
	ck_assert_ptr_nonnull(strstr(out, "w\\u001b"));
	fake_stop(broker);
}
END_TEST

START_TEST(init_makes_a_keyfile_and_passes_its_key)
{
	static const struct fake_row rows[] = {
		{ "Status", "{\"parameters\":{\"state\":\"uninitialised\",\"slots\":[]}}" },
		{ "Init", "{\"parameters\":{\"store_id\":\"00\"}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);
	struct stat st;
	char *asked = NULL;

	ck_assert_int_eq(run("init", "--keyfile", "key"), 0);
	ck_assert_int_eq(stat("key", &st), 0);
	ck_assert_int_eq(st.st_size, 65);
	asked = fake_log(dir);
	ck_assert_ptr_nonnull(strstr(asked, "{\"kind\":\"keyfile\",\"fd\":0}} "));
	free(asked);
	fake_stop(broker);
}
END_TEST

START_TEST(init_of_a_store_that_is_there_makes_no_keyfile)
{
	static const struct fake_row rows[] = {
		{ "Status", "{\"parameters\":{\"state\":\"sealed\",\"slots\":[]}}" }, { 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run("init", "--keyfile", "key"), 1);
	ck_assert_ptr_nonnull(strstr(errors, "already"));
	ck_assert_int_eq(access("key", F_OK), -1);
	fake_stop(broker);
}
END_TEST

START_TEST(unseal_tries_the_slots_of_its_kind_until_one_opens)
{
	static const struct fake_row rows[] = {
		{ "Status",
		  "{\"parameters\":{\"state\":\"sealed\",\"slots\":[{\"id\":1,\"kind\":\"keyfile\"}"
		  ","
		  "{\"id\":2,\"kind\":\"passphrase\",\"salt\":\"AAAAAAAAAAAAAAAAAAAAAA==\","
		  "\"ops\":1,\"memory\":8388608},{\"id\":3,\"kind\":\"keyfile\"}]}}" },
		{ "Unseal", "{\"error\":\"io.coffer.operator.WrongKey\",\"parameters\":{"
		            "\"message\":\"no\"}}" },
		{ "Unseal", "{\"parameters\":{\"epoch\":1}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);
	char *asked = NULL;

	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "key",
	                                      "0123456789012345678901234567890123456789", 40, 0400),
	                 0);
	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "pass", "word\n", 5, 0400), 0);
	ck_assert_int_eq(run("unseal", "--keyfile", "key", "--accept-rollback"), 0);
	asked = fake_log(dir);
	ck_assert_ptr_nonnull(strstr(asked, "{\"slot\":1,\"accept_rollback\":true,\"fd\":0}"));
	ck_assert_ptr_nonnull(strstr(asked, "{\"slot\":3,\"accept_rollback\":true,\"fd\":0}"));
	ck_assert_ptr_null(strstr(asked, "{\"slot\":2"));
	free(asked);
	ck_assert_int_eq(run("unseal", "--passphrase-file", "pass"), 0);
	asked = fake_log(dir);
	ck_assert_ptr_nonnull(strstr(asked, "{\"slot\":2,\"fd\":0}"));
	free(asked);
	fake_stop(broker);
}
END_TEST

START_TEST(unseal_says_what_is_wrong)
{
	static const struct {
		const char *status, *unseal, *sentence;
	} rows[] = {
		{ "{\"parameters\":{\"state\":\"uninitialised\",\"slots\":[]}}", "{}",
		  "coffer init" },
		{ "{\"parameters\":{\"state\":\"sealed\",\"slots\":[{\"id\":1,\"kind\":"
		  "\"passphrase\"}]}}",
		  "{}", "no keyfile" },
		{ "{\"parameters\":{\"state\":\"sealed\",\"slots\":[{\"id\":1,\"kind\":\"keyfile\"}"
		  "]}}",
		  "{\"error\":\"x.WrongKey\",\"parameters\":{\"message\":\"wrong one\"}}",
		  "wrong one" },
		{ "{\"parameters\":{\"state\":\"sealed\",\"slots\":[{\"id\":1,\"kind\":\"keyfile\"}"
		  ","
		  "{\"id\":2,\"kind\":\"keyfile\"}]}}",
		  "{\"error\":\"x.Rollback\",\"parameters\":{\"message\":\"older\"}}", "older" },
	};

	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "key",
	                                      "0123456789012345678901234567890123456789", 40, 0400),
	                 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fake_row answers[] = { { "Status", rows[i].status },
			                            { "Unseal", rows[i].unseal },
			                            { 0 } };
		pid_t broker = fake_start(dir, answers);

		ck_assert_int_eq(run("unseal", "--keyfile", "key"), 1);
		ck_assert_msg(strstr(errors, rows[i].sentence), "row %zu: %s", i, errors);
		fake_stop(broker);
		unlink("operator.sock");
	}
}
END_TEST

START_TEST(unseal_of_an_open_store_says_that_nothing_was_done)
{
#define OPEN "{\"parameters\":{\"state\":\"unsealed\",\"slots\":[{\"id\":1,\"kind\":\"keyfile\"}]}}"
	static const struct fake_row rows[] = {
		{ "Status", OPEN },
		{ "Unseal",
		  "{\"error\":\"x.WrongKey\",\"parameters\":{\"message\":\"wrong one\"}}" },
		{ "Unseal", "{\"parameters\":{\"epoch\":1}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "key",
	                                      "0123456789012345678901234567890123456789", 40, 0400),
	                 0);
	ck_assert_int_eq(run("unseal", "--keyfile", "key"), 1);
	ck_assert_ptr_nonnull(strstr(errors, "unsealed already"));
	ck_assert_ptr_nonnull(strstr(errors, "wrong one"));
	ck_assert_uint_eq(lines_of(errors), 1);
	ck_assert_int_eq(run("unseal", "--keyfile", "key"), 0);
	ck_assert_ptr_nonnull(strstr(errors, "warning: the store was unsealed already"));
	fake_stop(broker);
}
END_TEST

START_TEST(slot_that_asks_for_too_much_is_refused_before_any_work)
{
	static const struct fake_row rows[] = {
		{ "Status",
		  "{\"parameters\":{\"state\":\"sealed\",\"slots\":[{\"id\":2,\"kind\":"
		  "\"passphrase\","
		  "\"salt\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"ops\":1,\"memory\":1099511627776}]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "pass", "word\n", 5, 0400), 0);
	ck_assert_int_eq(run("unseal", "--passphrase-file", "pass"), 1);
	ck_assert_ptr_nonnull(strstr(errors, "memory"));
	fake_stop(broker);
}
END_TEST

START_TEST(info_and_history_show_what_is_known)
{
	static const struct fake_row rows[] = {
		{ "Info",
		  "{\"parameters\":{\"secret\":{\"name\":\"a\",\"version\":2,\"created\":\"T2\","
		  "\"size\":9,\"expires\":\"TE\",\"expired\":false,\"private_key\":true,"
		  "\"labels\":{\"k\":\"v\"}},\"versions\":[{\"version\":2,\"created\":\"T2\","
		  "\"size\":9,\"labels\":{\"k\":\"v\",\"l\":\"w\"}},{\"version\":1,"
		  "\"created\":\"T1\",\"size\":8,\"labels\":{}}]}}" },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run("history", "a"), 0);
	ck_assert_str_eq(out, "2\t9\tT2\t-\tk=v l=w\n1\t8\tT1\t-\t-\n");
	ck_assert_int_eq(run("history", "a", "--json"), 0);
	ck_assert_int_eq(strncmp(out, "{\"versions\":[", 13), 0);
	ck_assert_int_eq(run("info", "a"), 0);
	ck_assert_ptr_nonnull(strstr(out, "private key    yes\n"));
	ck_assert_ptr_nonnull(strstr(out, "labels         k=v\n"));
	ck_assert_int_eq(run("info", "a", "--json"), 0);
	ck_assert_int_eq(strncmp(out, "{\"secret\":{", 11), 0);
	fake_stop(broker);
}
END_TEST

START_TEST(answer_of_the_wrong_shape_is_a_failure_not_a_crash)
{
	static const char *const methods[] = { "List",    "Info",     "Grants",     "Attachments",
		                               "Explain", "Audit",    "AuditFiles", "Get",
		                               "Put",     "Rollback", "Status",     "Attach" };
	static const char *const replies[] = {
		"{\"parameters\":{}}",
		"{\"parameters\":{\"secrets\":7,\"secret\":[],\"versions\":{},\"grants\":\"x\","
		"\"attachments\":7,\"facts\":7,\"matches\":[7,{}],\"files\":[[]],\"fds\":[9],"
		"\"lines\":[7],\"fd\":99,\"stored\":[null],\"slots\":[1],\"attachment\":1,"
		"\"head\":7,\"notes\":[{}],\"lagging\":[1]}}",
	};
	static const char *const commands[][WORDS_MAX] = {
		{ "ls" },
		{ "info", "a" },
		{ "history", "a" },
		{ "grants" },
		{ "ps" },
		{ "explain", "c" },
		{ "audit" },
		{ "audit", "verify" },
		{ "get", "a" },
		{ "put", "a" },
		{ "rollback", "a", "--to", "1" },
		{ "status" },
		{ "attach", "c" },
		{ "init", "--keyfile", "k" },
		{ "unseal", "--keyfile", "k" },
	};

	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct fake_row rows[ARRAY_LEN(methods) + 1] = { 0 };
		pid_t broker = 0;

		for (size_t j = 0; j < ARRAY_LEN(methods); j++)
			rows[j] = (struct fake_row){ .method = methods[j], .reply = replies[i] };
		broker = fake_start(dir, rows);
		for (size_t j = 0; j < ARRAY_LEN(commands); j++)
			ck_assert_msg(run_with("x", commands[j]) <= 1, "command %zu", j);
		fake_stop(broker);
		unlink("operator.sock");
	}
}
END_TEST
int main(void)
{
	Suite *suite = suite_create("verbs");
	TCase *tc = tcase_create("verbs");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, put_passes_values_beside_the_message_in_one_call);
	tcase_add_test(tc, container_that_lags_is_warned_of_but_no_failure);
	tcase_add_test(tc, get_writes_the_raw_bytes_and_nothing_else);
	tcase_add_test(tc, listing_in_many_answers_is_one_list);
	tcase_add_test(tc, ps_has_a_line_for_each_file_and_for_a_container_without_files);
	tcase_add_test(tc, grant_asks_for_what_its_options_say_and_prints_the_id_alone);
	tcase_add_test(tc, grants_are_listed_with_all_their_conditions);
	tcase_add_test(tc, explain_names_facts_grants_and_files);
	tcase_add_test(tc, audit_lines_are_printed_readable_or_as_they_are);
	tcase_add_test(tc, init_makes_a_keyfile_and_passes_its_key);
	tcase_add_test(tc, init_of_a_store_that_is_there_makes_no_keyfile);
	tcase_add_test(tc, unseal_tries_the_slots_of_its_kind_until_one_opens);
	tcase_add_test(tc, unseal_says_what_is_wrong);
	tcase_add_test(tc, unseal_of_an_open_store_says_that_nothing_was_done);
	tcase_add_test(tc, slot_that_asks_for_too_much_is_refused_before_any_work);
	tcase_add_test(tc, info_and_history_show_what_is_known);
	tcase_add_test(tc, answer_of_the_wrong_shape_is_a_failure_not_a_crash);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
