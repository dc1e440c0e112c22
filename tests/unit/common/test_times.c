/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/times.h"

static const struct {
	int64_t ns;
	const char *text;
} points[] = {
	{ 0, "1970-01-01T00:00:00.000000Z" },
	{ 1704067199999999999, "2023-12-31T23:59:59.999999Z" },
	{ 1709164800000001000, "2024-02-29T00:00:00.000001Z" },
	{ -1, "1969-12-31T23:59:59.999999Z" },
	{ -1000000000, "1969-12-31T23:59:59.000000Z" },
	{ INT64_MAX, "2262-04-11T23:47:16.854775Z" },
	{ INT64_MIN, "1677-09-21T00:12:43.145224Z" },
};

START_TEST(points_are_written_in_utc)
{
	char text[TIMES_TEXT_MAX];

	ck_assert_str_eq(times_format(points[_i].ns, text), points[_i].text);
}
END_TEST

START_TEST(what_is_written_is_read_back_to_the_microsecond)
{
	int64_t now = times_now(), read = 0;
	char text[TIMES_TEXT_MAX];

	ck_assert_int_eq(times_parse(times_format(now, text), &read, NULL), 0);
	ck_assert_int_eq(read, now / 1000 * 1000);
}
END_TEST

START_TEST(seconds_may_have_up_to_nine_decimals_or_none)
{
	int64_t ns = 0;

	ck_assert_int_eq(times_parse("1970-01-01T00:00:01Z", &ns, NULL), 0);
	ck_assert_int_eq(ns, NS_PER_S);
	ck_assert_int_eq(times_parse("1970-01-01T00:00:01.5Z", &ns, NULL), 0);
	ck_assert_int_eq(ns, 1500000000);
	ck_assert_int_eq(times_parse("1970-01-01T00:00:00.000000007Z", &ns, NULL), 0);
	ck_assert_int_eq(ns, 7);
}
END_TEST

static const char *const no_times[] = {
	"",
	"now",
	"2026-01-31",
	"2026-01-31T12:00:00",
	"2026-01-31 12:00:00Z",
	"2026-01-31T12:00:00+01:00",
	"2026-02-31T12:00:00Z",
	"2026-13-01T12:00:00Z",
	"2026-00-01T12:00:00Z",
	"2025-02-29T00:00:00Z",
	"2026-01-01T24:00:00Z",
	"2026-01-01T12:60:00Z",
	"2026-01-01T23:59:60Z",
	"2026-01-01T12:00:00.Z",
	"2026-01-01T12:00:00.1234567890Z",
	"2026-01-01T12:00:00Z ",
	"+026-01-01T12:00:00Z",
	"9999-01-01T12:00:00Z",
	"0001-01-01T12:00:00Z",
};

START_TEST(what_is_no_time_is_refused_with_an_example)
{
	struct err e = { 0 };
	int64_t ns = 42;

	ck_assert_msg(times_parse(no_times[_i], &ns, &e) == -EINVAL, "%s", no_times[_i]);
	ck_assert_int_eq(ns, 42);
	ck_assert_ptr_nonnull(strstr(e.text, "2026-01-31T12:00:00Z"));
}
END_TEST

static const struct {
	const char *text;
	int64_t seconds; /* 0: refused */
} durations[] = {
	{ "1s", 1 },
	{ "90s", 90 },
	{ "15m", 900 },
	{ "12h", 43200 },
	{ "30d", 2592000 },
	{ "2w", 1209600 },
	{ "3650d", 315360000 },
	{ "315360000s", 315360000 },
	{ "3651d", 0 },
	{ "315360001s", 0 },
	{ "0s", 0 },
	{ "", 0 },
	{ "s", 0 },
	{ "5", 0 },
	{ "5y", 0 },
	{ "-5s", 0 },
	{ "+5s", 0 },
	{ " 5s", 0 },
	{ "5s ", 0 },
	{ "1h30m", 0 },
	{ "1.5h", 0 },
	{ "99999999999999999999999999s", 0 },
	{ "18446744073709551617s", 0 },
};

START_TEST(durations_are_a_number_and_a_unit_within_limits)
{
	struct err e = { 0 };
	int64_t ns = 42;
	int r = times_parse_duration(durations[_i].text, &ns, &e);

	if (durations[_i].seconds) {
		ck_assert_msg(r == 0, "%s: %s", durations[_i].text, e.text);
		ck_assert_int_eq(ns, durations[_i].seconds * NS_PER_S);
	} else {
		ck_assert_msg(r == -EINVAL, "%s was taken", durations[_i].text);
		ck_assert_int_eq(ns, 42);
	}
}
END_TEST

START_TEST(clocks_go_forward)
{
	int64_t before = times_boottime();

	ck_assert_int_gt(before, 0);
	ck_assert_int_ge(times_boottime(), before);
	ck_assert_int_gt(times_now(), 1600000000LL * NS_PER_S);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("times");
	TCase *tests = tcase_create("times");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, points_are_written_in_utc, 0, ARRAY_LEN(points));
	tcase_add_test(tests, what_is_written_is_read_back_to_the_microsecond);
	tcase_add_test(tests, seconds_may_have_up_to_nine_decimals_or_none);
	tcase_add_loop_test(tests, what_is_no_time_is_refused_with_an_example, 0,
	                    ARRAY_LEN(no_times));
	tcase_add_loop_test(tests, durations_are_a_number_and_a_unit_within_limits, 0,
	                    ARRAY_LEN(durations));
	tcase_add_test(tests, clocks_go_forward);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
