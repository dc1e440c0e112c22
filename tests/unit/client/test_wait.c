/* SPDX-License-Identifier: Apache-2.0 */
#include "run_client.h"

#define REPLY(more, events) "{\"parameters\":{\"events\":[" events "]},\"continues\":" more "}"
#define EVENT(kind, name, version) \
	"{\"event\":\"" kind "\",\"name\":\"" name "\",\"version\":" #version "}"
#define READY "{\"event\":\"ready\"}"

/* What there is, then what happens; then the broker goes. */
static int wait_for(const char *now, const char *then, const char *const words[WORDS_MAX])
{
	const struct fake_row rows[] = { { "Watch", then, .first = now }, { 0 } };
	pid_t broker = fake_start(dir, rows);
	int status = run_with("", words);

	fake_stop(broker);
	return status;
}

#define NOW_3 REPLY("true", EVENT("now", "db", 3) "," READY)
#define NOTHING REPLY("true", READY)

START_TEST(what_fulfils_a_wait)
{
	static const struct {
		const char *now, *then;
		const char *words[WORDS_MAX];
		const char *out;
	} rows[] = {
		{ NOW_3, REPLY("true", EVENT("put", "db", 4)), { "wait", "db" }, "db 4\n" },
		{ NOTHING, REPLY("true", EVENT("put", "db", 9)), { "wait", "db" }, "db 9\n" },
		{ NOW_3, NULL, { "wait", "db", "--newer-than", "2" }, "db 3\n" },
		{ NOW_3, NULL, { "wait", "db", "--newer-than", "0" }, "db 3\n" },
		{ NOW_3,
		  REPLY("true",
		        EVENT("put", "db", 4) "," EVENT("put", "db", 5) "," EVENT("put", "db", 6)),
		  { "wait", "db", "--newer-than", "4" },
		  "db 5\n" },
		{ NOW_3,
		  REPLY("true", EVENT("remove", "db",
		                      3) ",{\"event\":\"unheard-of\"}," EVENT("put", "db", 4)),
		  { "wait", "db" },
		  "db 4\n" },
		{ NOTHING, NULL, { "wait", "db", "--removed" }, "" },
		{ NOW_3,
		  REPLY("true", EVENT("remove", "db", 3)),
		  { "wait", "db", "--removed" },
		  "" },
		{ NOW_3,
		  REPLY("true", EVENT("put", "db", 4) "," EVENT("expire", "db", 4)),
		  { "wait", "db", "--removed" },
		  "" },
		{ NOW_3,
		  NULL,
		  { "wait", "db", "--newer-than", "1", "--json" },
		  "{\"name\":\"db\",\"version\":3}\n" },
		{ NOTHING,
		  NULL,
		  { "wait", "db", "--removed", "--json" },
		  "{\"name\":\"db\",\"removed\":true}\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status = wait_for(rows[i].now, rows[i].then, rows[i].words);

		ck_assert_msg(status == 0, "row %zu: status %d: %s", i, status, errors);
		ck_assert_msg(strcmp(out, rows[i].out) == 0, "row %zu: %s", i, out);
		unlink("operator.sock");
	}
}
END_TEST

START_TEST(what_does_not_and_the_broker_then_goes)
{
	static const struct {
		const char *now, *then;
		const char *words[WORDS_MAX];
	} rows[] = {
		{ NOW_3, NULL, { "wait", "db" } },
		{ NOW_3, NULL, { "wait", "db", "--newer-than", "3" } },
		{ NOW_3, NULL, { "wait", "db", "--removed" } },
		{ NOTHING, NULL, { "wait", "db", "--timeout", "1h" } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status = wait_for(rows[i].now, rows[i].then, rows[i].words);

		ck_assert_msg(status == 1, "row %zu: status %d", i, status);
		ck_assert_msg(strstr(errors, "the broker went away"), "row %zu: %s", i, errors);
		ck_assert_msg(lines_of(errors) == 1, "row %zu: %s", i, errors);
		ck_assert_str_eq(out, "");
		unlink("operator.sock");
	}
}
END_TEST

START_TEST(a_wait_ends_at_its_time)
{
	static const char *const words[WORDS_MAX] = { "wait", "db", "--timeout", "1s" };

	ck_assert_int_eq(wait_for(NULL, NOW_3, words), 1);
	ck_assert_str_eq(errors, "coffer: db got no version newer than 3 within 1s\n");
}
END_TEST

START_TEST(a_sealed_store_is_said)
{
	static const char *const words[WORDS_MAX] = { "wait", "db" };

	ck_assert_int_eq(wait_for(NOW_3,
	                          "{\"error\":\"io.coffer.operator.Sealed\",\"parameters\":"
	                          "{\"message\":\"the store was sealed\"}}",
	                          words),
	                 1);
	ck_assert_str_eq(errors, "coffer: the store was sealed\n");
}
END_TEST

START_TEST(watch_prints_each_event_on_a_line)
{
	static const char *const words[WORDS_MAX] = { "watch", "db" };
	static const char *const as_json[WORDS_MAX] = { "watch", "db", "--json" };
	static const char then[] = REPLY("false", EVENT("put", "a\\u001b[2J", 4));

	ck_assert_int_eq(wait_for(NOW_3, then, words), 1);
	ck_assert_str_eq(out, "now db 3\nready\nput a\\x1b[2J 4\n");
	unlink("operator.sock");
	ck_assert_int_eq(wait_for(NOW_3, then, as_json), 1);
	ck_assert_str_eq(out, EVENT("now", "db", 3) "\n" READY "\n"
	                                            "{\"event\":\"put\",\"name\":\"a\\u001B[2J\","
	                                            "\"version\":4}\n");
}
END_TEST

START_TEST(an_answer_of_the_wrong_shape_is_a_failure_not_a_crash)
{
	static const char *const words[WORDS_MAX] = { "wait", "db" };
	static const char *const rows[] = {
		"{\"parameters\":{}}",
		"{\"parameters\":{\"events\":7}}",
		"{\"parameters\":{\"events\":[7,null,{\"event\":3},[]]}}",
		"{\"parameters\":{\"events\":[{\"event\":\"put\",\"version\":\"x\"}]}}",
		"no json",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(wait_for(rows[i], NULL, words) == 1, "row %zu", i);
		ck_assert_str_eq(out, "");
		unlink("operator.sock");
	}
}
END_TEST

#define STORED "\"stored\":[{\"name\":\"a\",\"version\":2}],\"lagging\":[]"

START_TEST(put_names_who_has_not_opened_it)
{
	static const struct fake_row rows[] = {
		{ "Put", "{\"parameters\":{" STORED ",\"unadopted\":[]}}" },
		{ "Put", "{\"parameters\":{" STORED
		         ",\"unadopted\":[\"runc/web\",\"docker/\\u001b[2J\"]}}" },
		{ "Put", NULL },
		{ 0 }
	};
	pid_t broker = fake_start(dir, rows);
	char *asked;

	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "v", "x", 1, 0600), 0);
	ck_assert_int_eq(run("put", "a=@v", "--wait-adopted", "90s"), 0);
	ck_assert_str_eq(out, "a 2\n");
	ck_assert_int_eq(run("put", "a=@v", "--wait-adopted", "5m"), 1);
	ck_assert_str_eq(out, "a 2\n");
	ck_assert_str_eq(errors,
	                 "coffer: stored and shown, but within 5m not opened again by runc/web, "
	                 "docker/\\x1b[2J; see: coffer ps\n");
	ck_assert_int_eq(run("put", "a=@v", "--wait-adopted", "1h"), 1);
	ck_assert_ptr_nonnull(strstr(errors, "the broker went away while it was waited for"));
	asked = fake_log(dir);
	ck_assert_ptr_nonnull(strstr(asked, "\"wait_adopted\":90000"));
	ck_assert_ptr_nonnull(strstr(asked, "\"wait_adopted\":300000"));
	ck_assert_ptr_nonnull(strstr(asked, "\"wait_adopted\":3600000"));
	free(asked);
	fake_stop(broker);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wait");
	TCase *tc = tcase_create("wait");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_fulfils_a_wait);
	tcase_add_test(tc, what_does_not_and_the_broker_then_goes);
	tcase_add_test(tc, a_wait_ends_at_its_time);
	tcase_add_test(tc, a_sealed_store_is_said);
	tcase_add_test(tc, watch_prints_each_event_on_a_line);
	tcase_add_test(tc, an_answer_of_the_wrong_shape_is_a_failure_not_a_crash);
	tcase_add_test(tc, put_names_who_has_not_opened_it);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
