/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "audit/fold.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/times.h"

#define BUDGET 10
#define START (1700000000LL * NS_PER_S)

/* A log that keeps its lines as objects. */
struct lines {
	json_t *all; /* of {event, time, fields} */
	bool full;
};

static struct lines lines;
static struct audit_fold *fold;
static const struct ring_context web = { .instance = "aa11",
	                                 .container = "web",
	                                 .runtime = "runc",
	                                 .name = "db/password",
	                                 .path = "password" };

static int sink(void *arg, int64_t time_ns, const char *event, json_t *fields)
{
	struct lines *l = arg;

	if (l->full) {
		json_decref(fields);
		return -ENOSPC;
	}
	return json_array_append_new(l->all, json_pack("{ss sI so}", "event", event, "time",
	                                               (json_int_t)time_ns, "fields", fields));
}

static void setup(void)
{
	lines = (struct lines){ .all = json_array() };
	ck_assert_int_eq(audit_fold_new(BUDGET, sink, &lines, &fold), 0);
}

static void teardown(void)
{
	audit_fold_free(fold);
	json_decref(lines.all);
}

static struct ring_record make(uint64_t node, int16_t result)
{
	return (struct ring_record){ .time_ns = START,
		                     .node = node,
		                     .version = 3,
		                     .uid = 1000,
		                     .pid = 77,
		                     .count = 1,
		                     .event = RING_OPEN,
		                     .result = result };
}

static void add(uint64_t node, int16_t result, int64_t now)
{
	struct ring_record r = make(node, result);

	r.time_ns = now;
	ck_assert_int_ge(audit_fold_add(fold, &web, &r, now), 0);
}

static size_t count(void)
{
	return json_array_size(lines.all);
}

static json_t *fields_at(size_t i)
{
	return json_object_get(json_array_get(lines.all, i), "fields");
}

static const char *text_at(size_t i, const char *key)
{
	const char *text = json_string_value(json_object_get(fields_at(i), key));

	return text ? text : "";
}

static int64_t number_at(size_t i, const char *key)
{
	return json_integer_value(json_object_get(fields_at(i), key));
}

/* Of all lines whose result is `result`. */
static int64_t sum(const char *result)
{
	int64_t total = 0;

	for (size_t i = 0; i < count(); i++)
		if (strcmp(text_at(i, "result"), result) == 0)
			total += number_at(i, "count");
	return total;
}

START_TEST(a_record_within_the_budget_is_a_line_with_all_its_facts)
{
	struct ring_record r = make(5, -EACCES);

	memcpy(r.text, "chmod", 5);
	r.event = RING_WRITE;
	ck_assert_int_ge(audit_fold_add(fold, &web, &r, START + 5), 0);
	ck_assert_uint_eq(count(), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(lines.all, 0), "event")),
	                 "write");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(lines.all, 0), "time")),
	                 START);
	ck_assert_str_eq(text_at(0, "container"), "web");
	ck_assert_str_eq(text_at(0, "runtime"), "runc");
	ck_assert_str_eq(text_at(0, "instance"), "aa11");
	ck_assert_str_eq(text_at(0, "name"), "db/password");
	ck_assert_str_eq(text_at(0, "path"), "password");
	ck_assert_str_eq(text_at(0, "result"), "EACCES");
	ck_assert_str_eq(text_at(0, "text"), "chmod");
	ck_assert_int_eq(number_at(0, "version"), 3);
	ck_assert_int_eq(number_at(0, "uid"), 1000);
	ck_assert_int_eq(number_at(0, "pid"), 77);
	ck_assert_int_eq(number_at(0, "count"), 1);
	ck_assert_ptr_null(json_object_get(fields_at(0), "first"));
	ck_assert_int_eq(audit_fold_due(fold), INT64_MAX);
}
END_TEST

START_TEST(beyond_the_budget_equal_records_add_up_until_the_minute_ends)
{
	char time[TIMES_TEXT_MAX];

	for (int i = 0; i < BUDGET + 100; i++)
		add(1 + (uint64_t)i % 2, 0, START + i);
	ck_assert_uint_eq(count(), BUDGET);
	ck_assert_int_eq(audit_fold_due(fold), START + FOLD_WINDOW_NS);
	ck_assert_int_eq(audit_fold_flush(fold, START + FOLD_WINDOW_NS - 1, false), 0);
	ck_assert_uint_eq(count(), BUDGET);
	ck_assert_int_eq(audit_fold_flush(fold, START + FOLD_WINDOW_NS, false), 0);
	ck_assert_uint_eq(count(), BUDGET + 2);
	ck_assert_int_eq(sum("granted"), BUDGET + 100);
	ck_assert_int_eq(number_at(BUDGET, "count"), 50);
	ck_assert_str_eq(text_at(BUDGET, "name"), "db/password");
	times_format(START + BUDGET + 98, time);
	ck_assert_str_eq(text_at(BUDGET, "last"), time);
	ck_assert_int_eq(audit_fold_due(fold), INT64_MAX);
	/* A new minute has a new budget. */
	add(1, 0, START + FOLD_WINDOW_NS + 1);
	ck_assert_uint_eq(count(), BUDGET + 3);
}
END_TEST

START_TEST(a_new_minute_begins_by_itself_and_what_waits_waits_for_the_flush)
{
	for (int i = 0; i < BUDGET + 5; i++)
		add(1, 0, START);
	add(1, 0, START + FOLD_WINDOW_NS);
	ck_assert_uint_eq(count(), BUDGET + 1);
	ck_assert_int_eq(audit_fold_flush(fold, START + FOLD_WINDOW_NS, true), 0);
	ck_assert_uint_eq(count(), BUDGET + 2);
	ck_assert_int_eq(sum("granted"), BUDGET + 6);
}
END_TEST

START_TEST(a_refusal_after_a_flood_of_opens_is_a_line_at_once)
{
	for (int i = 0; i < 10000; i++)
		add((uint64_t)i, 0, START);
	ck_assert_uint_eq(count(), BUDGET);
	add(1, -EACCES, START);
	ck_assert_uint_eq(count(), BUDGET + 1);
	ck_assert_str_eq(text_at(BUDGET, "result"), "EACCES");
}
END_TEST

START_TEST(refusals_beyond_their_budget_are_counted_never_dropped)
{
	for (int i = 0; i < 5000; i++)
		add((uint64_t)i % 3, i % 2 ? -EACCES : -EROFS, START);
	ck_assert_uint_eq(count(), BUDGET);
	ck_assert_int_eq(audit_fold_flush(fold, START, true), 0);
	ck_assert_uint_eq(count(), BUDGET + 6);
	ck_assert_int_eq(sum("EACCES"), 2500);
	ck_assert_int_eq(sum("EROFS"), 2500);
}
END_TEST

START_TEST(more_groups_than_are_told_apart_add_up_by_event_and_result)
{
	for (int i = 0; i < 5000; i++)
		add((uint64_t)i, 0, START);
	for (int i = 0; i < 3000; i++)
		add((uint64_t)i, -EACCES, START);
	ck_assert_int_eq(audit_fold_flush(fold, START, true), 0);
	ck_assert_int_eq(sum("granted"), 5000);
	ck_assert_int_eq(sum("EACCES"), 3000);
	ck_assert_uint_le(count(), 2 * BUDGET + FOLD_GROUPS_MAX + 2);
	for (size_t i = 0; i < count(); i++)
		if (json_is_true(json_object_get(fields_at(i), "mixed")))
			ck_assert_ptr_null(json_object_get(fields_at(i), "name"));
}
END_TEST

START_TEST(showing_the_log_gives_no_fresh_budget)
{
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 100; i++)
			add(1, 0, START);
		ck_assert_int_eq(audit_fold_flush(fold, START, true), 0);
	}
	ck_assert_int_eq(sum("granted"), 1000);
	ck_assert_uint_eq(count(), BUDGET + 10);
}
END_TEST

START_TEST(each_container_has_its_own_budget)
{
	struct ring_context other = web;
	struct ring_record r = make(1, 0);

	other.instance = "bb22";
	for (int i = 0; i < 100; i++)
		add(1, 0, START);
	for (int i = 0; i < BUDGET; i++)
		ck_assert_int_ge(audit_fold_add(fold, &other, &r, START), 0);
	ck_assert_int_eq(audit_fold_add(fold, &other, &r, START), 0);
	ck_assert_uint_eq(count(), 2 * BUDGET);
	audit_fold_forget(fold, "aa11", START + 2 * FOLD_WINDOW_NS);
	/* The other's count waits on: whose ring has its records is told when they are lines. */
	ck_assert_uint_eq(count(), 2 * BUDGET + 1);
	ck_assert_int_eq(audit_fold_due(fold), START + FOLD_WINDOW_NS);
	ck_assert_int_eq(audit_fold_flush(fold, START, true), 0);
	ck_assert_int_eq(audit_fold_due(fold), INT64_MAX);
	/* The same name again is a new one. */
	add(1, 0, START);
	ck_assert_uint_eq(count(), 2 * BUDGET + 3);
}
END_TEST

START_TEST(it_is_told_whether_a_record_became_a_line_or_waits)
{
	struct ring_record r = make(1, 0);

	for (int i = 0; i < BUDGET; i++)
		ck_assert_int_eq(audit_fold_add(fold, &web, &r, START), 1);
	ck_assert_int_eq(audit_fold_add(fold, &web, &r, START), 0);
}
END_TEST

START_TEST(what_a_full_log_does_not_take_is_kept_and_comes_later)
{
	for (int i = 0; i < 3; i++)
		add(1, -EACCES, START);
	lines.full = true;
	for (int i = 0; i < 4; i++)
		add(1, -EACCES, START);
	ck_assert_int_eq(audit_fold_flush(fold, START, true), -ENOSPC);
	audit_fold_forget(fold, "aa11", START);
	ck_assert_int_eq(audit_fold_due(fold), 0);
	lines.full = false;
	ck_assert_int_eq(audit_fold_flush(fold, START, false), 0);
	ck_assert_int_eq(sum("EACCES"), 7);
	ck_assert_int_eq(audit_fold_due(fold), INT64_MAX);
}
END_TEST

START_TEST(counts_of_the_ring_are_kept_and_its_gaps_told)
{
	struct ring_record r = make(1, 0), gap = { .count = 9 };

	r.count = 40;
	r.last_ns = START + 7;
	ck_assert_int_ge(audit_fold_add(fold, &web, &r, START + 10), 0);
	ck_assert_int_eq(number_at(0, "count"), 40);
	ck_assert_str_ne(text_at(0, "first"), "");
	ck_assert_str_ne(text_at(0, "last"), "");
	ck_assert_int_ge(audit_fold_add(fold, &web, &gap, START + 10), 0);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(lines.all, 1), "event")),
	                 "audit.gap");
	ck_assert_int_eq(number_at(1, "count"), 9);
	ck_assert_str_eq(text_at(1, "container"), "web");
}
END_TEST

START_TEST(a_hostile_record_makes_a_harmless_line)
{
	static const struct {
		const char *name;
		int64_t time_ns, last_ns;
	} times[] = { { "future", INT64_MAX, INT64_MAX }, { "past", INT64_MIN, -1 } };
	struct ring_record r = make(UINT64_MAX, INT16_MIN);

	r.version = UINT64_MAX;
	r.uid = r.pid = r.count = UINT32_MAX;
	memset(r.text, 0x9b, sizeof(r.text));
	memcpy(r.text, "\"\n\x1b[2J", 6);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		SCOPED(json_text_ptr) char *text = NULL;

		r.time_ns = times[i].time_ns;
		r.last_ns = times[i].last_ns;
		ck_assert_int_ge(audit_fold_add(fold, &web, &r, START), 0);
		ck_assert_int_eq(
			json_integer_value(json_object_get(json_array_get(lines.all, i), "time")),
			START);
		ck_assert_str_eq(text_at(i, "result"), "errno 32768");
		ck_assert_int_eq(number_at(i, "count"), UINT32_MAX);
		text = json_text(fields_at(i));
		for (const char *c = text; *c; c++)
			ck_assert(*c >= 32 && *c < 127);
	}
	r.event = RING_EVENT_LAST + 1;
	ck_assert_int_eq(audit_fold_add(fold, &web, &r, START), -EBADMSG);
	r.event = RING_OPEN;
	r.result = 1;
	ck_assert_int_eq(audit_fold_add(fold, &web, &r, START), -EBADMSG);
	ck_assert_uint_eq(count(), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fold");
	TCase *t = tcase_create("fold");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_record_within_the_budget_is_a_line_with_all_its_facts);
	tcase_add_test(t, beyond_the_budget_equal_records_add_up_until_the_minute_ends);
	tcase_add_test(t, a_new_minute_begins_by_itself_and_what_waits_waits_for_the_flush);
	tcase_add_test(t, a_refusal_after_a_flood_of_opens_is_a_line_at_once);
	tcase_add_test(t, refusals_beyond_their_budget_are_counted_never_dropped);
	tcase_add_test(t, more_groups_than_are_told_apart_add_up_by_event_and_result);
	tcase_add_test(t, showing_the_log_gives_no_fresh_budget);
	tcase_add_test(t, each_container_has_its_own_budget);
	tcase_add_test(t, it_is_told_whether_a_record_became_a_line_or_waits);
	tcase_add_test(t, what_a_full_log_does_not_take_is_kept_and_comes_later);
	tcase_add_test(t, counts_of_the_ring_are_kept_and_its_gaps_told);
	tcase_add_test(t, a_hostile_record_makes_a_harmless_line);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
