/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/secret.h"
#include "coffer/varlink.h"

#define LIMIT (64 * 1024)

static int parse(const char *text, struct varlink_call *call, struct err *e)
{
	return varlink_parse_call(text, strlen(text), call, e);
}

START_TEST(a_call_is_taken_apart)
{
	struct varlink_call call = { 0 };
	const char *name = NULL;

	ck_assert_int_eq(parse("{\"method\":\"io.coffer.operator.Get\","
	                       "\"parameters\":{\"name\":\"a\"},\"more\":true}",
	                       &call, NULL),
	                 0);
	ck_assert_str_eq(call.method, "io.coffer.operator.Get");
	ck_assert(call.more);
	ck_assert(!call.oneway);
	ck_assert_int_eq(json_get_string(call.parameters, "name", true, &name, NULL), 0);
	ck_assert_str_eq(name, "a");
	varlink_call_clear(&call);
	ck_assert_ptr_null(call.message);
}
END_TEST

START_TEST(a_call_without_parameters_has_none)
{
	static const char *const texts[] = { "{\"method\":\"a.b.C\"}",
		                             "{\"method\":\"a.b.C\",\"parameters\":null}" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct varlink_call call = { 0 };

		ck_assert_int_eq(parse(texts[i], &call, NULL), 0);
		ck_assert(json_is_object(call.parameters));
		ck_assert_uint_eq(json_object_size(call.parameters), 0);
		varlink_call_clear(&call);
	}
}
END_TEST

static const char *const no_calls[] = {
	"",
	"[]",
	"\"a.b.C\"",
	"{}",
	"{\"method\":1}",
	"{\"method\":\"\"}",
	"{\"method\":\"C\"}",
	"{\"method\":\".C\"}",
	"{\"method\":\"a.b.c\"}",
	"{\"method\":\"a.b.\"}",
	"{\"method\":\"a.b.C-D\"}",
	"{\"method\":\"a b.C\"}",
	"{\"method\":\"a.b.C\\u001b\"}",
	"{\"method\":\"a.b.C\",\"parameters\":[]}",
	"{\"method\":\"a.b.C\",\"parameters\":\"x\"}",
	"{\"method\":\"a.b.C\",\"more\":1}",
	"{\"method\":\"a.b.C\",\"oneway\":\"yes\"}",
	"{\"method\":\"a.b.C\",\"more\":true,\"oneway\":true}",
	"{\"method\":\"a.b.C\",\"upgrade\":true}",
	"{\"method\":\"a.b.C\",\"extra\":1}",
	"{\"method\":\"a.b.C\",\"method\":\"a.b.D\"}",
};

START_TEST(what_is_no_call_is_refused_with_a_reason)
{
	struct varlink_call call = { 0 };
	struct err e = { 0 };

	ck_assert_msg(parse(no_calls[_i], &call, &e) == -EINVAL, "%s", no_calls[_i]);
	ck_assert_ptr_null(call.message);
	ck_assert_str_ne(e.text, "");
}
END_TEST

START_TEST(an_endless_method_name_is_refused)
{
	char text[1024] = "{\"method\":\"";
	struct varlink_call call;

	memset(text + 11, 'a', 300);
	strcpy(text + 311, ".B\"}");
	ck_assert_int_eq(parse(text, &call, NULL), -EINVAL);
}
END_TEST

START_TEST(messages_are_written_as_the_protocol_says)
{
	SCOPED(json_ptr) json_t *parameters = json_pack("{s:i}", "a", 1);
	SCOPED(json_text_ptr) char *call = varlink_call_text("a.b.C", parameters, true);
	SCOPED(json_text_ptr) char *once = varlink_call_text("a.b.C", NULL, false);
	SCOPED(json_text_ptr) char *reply = varlink_reply_text(parameters, true);
	SCOPED(json_text_ptr) char *last = varlink_reply_text(NULL, false);
	SCOPED(json_text_ptr) char *error = varlink_error_text("a.b.No", parameters);

	ck_assert_str_eq(call, "{\"method\":\"a.b.C\",\"parameters\":{\"a\":1},\"more\":true}");
	ck_assert_str_eq(once, "{\"method\":\"a.b.C\",\"parameters\":{}}");
	ck_assert_str_eq(reply, "{\"parameters\":{\"a\":1},\"continues\":true}");
	ck_assert_str_eq(last, "{\"parameters\":{}}");
	ck_assert_str_eq(error, "{\"error\":\"a.b.No\",\"parameters\":{\"a\":1}}");
	ck_assert_uint_eq(parameters->refcount, 1);
}
END_TEST

/* Bring bytes in by reads of at most `step`, as a socket would. */
static void feed(struct varlink_buffer *b, const char *bytes, size_t len, size_t step)
{
	while (len > 0) {
		char *room = NULL;
		size_t size = 0, n;

		ck_assert_int_eq(varlink_buffer_room(b, &room, &size), 0);
		ck_assert_uint_gt(size, 0);
		n = len < step ? len : step;
		n = n < size ? n : size;
		memcpy(room, bytes, n);
		varlink_buffer_filled(b, n);
		bytes += n;
		len -= n;
	}
}

START_TEST(messages_come_out_whole_however_they_came_in)
{
	static const char wire[] = "{\"a\":1}\0{\"bb\":22}\0{\"ccc\":333}"; /* and its own NUL */
	static const char *const expected[] = { "{\"a\":1}", "{\"bb\":22}", "{\"ccc\":333}" };
	size_t seen = 0;
	struct varlink_buffer *b = varlink_buffer_new(LIMIT);

	for (size_t at = 0; at < sizeof(wire); at += (size_t)_i) {
		size_t left = sizeof(wire) - at, len = 0;
		const char *text = NULL;

		feed(b, wire + at, left < (size_t)_i ? left : (size_t)_i, (size_t)_i);
		while (varlink_buffer_next(b, &text, &len) == 1) {
			ck_assert_uint_lt(seen, 3);
			ck_assert_uint_eq(len, strlen(expected[seen]));
			ck_assert_str_eq(text, expected[seen]);
			seen++;
		}
	}
	ck_assert_uint_eq(seen, 3);
	varlink_buffer_free(b);
}
END_TEST

START_TEST(a_message_at_the_limit_passes_and_one_above_does_not)
{
	char *big = malloc(LIMIT);
	const char *text = NULL;
	char *room = NULL;
	size_t len = 0, size = 0;

	memset(big, 'x', LIMIT);
	for (int above = 0; above < 2; above++) {
		struct varlink_buffer *b = varlink_buffer_new(LIMIT);

		big[LIMIT - 1] = above ? 'x' : '\0';
		feed(b, big, LIMIT, 5000);
		if (above) {
			ck_assert_int_eq(varlink_buffer_next(b, &text, &len), 0);
			ck_assert_int_eq(varlink_buffer_room(b, &room, &size), -EMSGSIZE);
		} else {
			ck_assert_int_eq(varlink_buffer_next(b, &text, &len), 1);
			ck_assert_uint_eq(len, LIMIT - 1);
			ck_assert_int_eq(varlink_buffer_next(b, &text, &len), 0);
			ck_assert_int_eq(varlink_buffer_room(b, &room, &size), 0);
		}
		varlink_buffer_free(b);
	}
	free(big);
}
END_TEST

START_TEST(room_is_ample_while_there_is_any)
{
	struct varlink_buffer *b = varlink_buffer_new(LIMIT);
	char *room = NULL;
	size_t size = 0;

	for (size_t filled = 0; filled + 4096 <= LIMIT; filled += 777) {
		ck_assert_int_eq(varlink_buffer_room(b, &room, &size), 0);
		ck_assert_uint_ge(size, 4096);
		memset(room, 'x', 777);
		varlink_buffer_filled(b, 777);
	}
	varlink_buffer_free(b);
}
END_TEST

START_TEST(a_message_is_wiped_once_the_next_is_asked_for)
{
	struct varlink_buffer *b = varlink_buffer_new(LIMIT);
	const char *first = NULL, *second = NULL;
	size_t len = 0;

	feed(b, "hunter2\0rest", 12, 12);
	ck_assert_int_eq(varlink_buffer_next(b, &first, &len), 1);
	ck_assert_str_eq(first, "hunter2");
	ck_assert_int_eq(varlink_buffer_next(b, &second, &len), 0);
	for (size_t i = 0; i < 7; i++)
		ck_assert_int_eq(first[i], 0);
	feed(b, "", 1, 1);
	ck_assert_int_eq(varlink_buffer_next(b, &second, &len), 1);
	ck_assert_str_eq(second, "rest");
	varlink_buffer_free(b);
}
END_TEST

START_TEST(empty_messages_are_handed_out_and_cost_little)
{
	struct varlink_buffer *b = varlink_buffer_new(1024 * 1024);
	const char *text = NULL;
	size_t len = 0, count = 0;
	char *zeros = calloc(1, 1024 * 1024);

	/* With a move of the rest for each message this would take minutes and run into the time
	 * limit. */
	feed(b, zeros, 1024 * 1024, 1024 * 1024);
	while (varlink_buffer_next(b, &text, &len) == 1) {
		ck_assert_uint_eq(len, 0);
		count++;
	}
	ck_assert_uint_eq(count, 1024 * 1024);
	free(zeros);
	varlink_buffer_free(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("varlink");
	TCase *tests = tcase_create("varlink");
	SRunner *runner;
	int failed;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	json_use_secret_memory();
	tcase_add_test(tests, a_call_is_taken_apart);
	tcase_add_test(tests, a_call_without_parameters_has_none);
	tcase_add_loop_test(tests, what_is_no_call_is_refused_with_a_reason, 0,
	                    ARRAY_LEN(no_calls));
	tcase_add_test(tests, an_endless_method_name_is_refused);
	tcase_add_test(tests, messages_are_written_as_the_protocol_says);
	tcase_add_loop_test(tests, messages_come_out_whole_however_they_came_in, 1, 40);
	tcase_add_test(tests, a_message_at_the_limit_passes_and_one_above_does_not);
	tcase_add_test(tests, room_is_ample_while_there_is_any);
	tcase_add_test(tests, a_message_is_wiped_once_the_next_is_asked_for);
	tcase_add_test(tests, empty_messages_are_handed_out_and_cost_little);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
