/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "passes.h"

#define S 1000000000LL

static struct worker_passes *passes;

static void set_up(void)
{
	passes = calloc(1, sizeof(*passes));
	ck_assert_ptr_nonnull(passes);
	memset(passes, 0, sizeof(*passes));
}

static void tear_down(void)
{
	free(passes);
}

static struct pass_key key(uint32_t process, uint64_t set, int64_t now_ns)
{
	return (struct pass_key){
		.process = process, .thread = process, .set = set, .now_ns = now_ns
	};
}

START_TEST(a_pass_is_of_one_process_and_one_set_and_ends)
{
	struct pass_key k = key(7, 1, 100 * S);
	const struct pass_key others[] = { key(8, 1, 100 * S), key(7, 2, 100 * S) };
	struct worker_pass *pass;

	ck_assert_ptr_null(passes_find(passes, &k));
	passes_begin(passes, &k, 5, 0xabc);
	pass = passes_find(passes, &k);
	ck_assert_ptr_nonnull(pass);
	ck_assert_uint_eq(pass->generation, 5);
	ck_assert(passes_ended_by(passes, pass, 0xabc));
	ck_assert(!passes_ended_by(passes, pass, 0xabd));
	for (size_t i = 0; i < 2; i++)
		ck_assert_ptr_null(passes_find(passes, &others[i]));
	k.now_ns += PASS_NS - 1;
	ck_assert_ptr_nonnull(passes_find(passes, &k));
	k.now_ns++;
	ck_assert_ptr_null(passes_find(passes, &k));
}
END_TEST

START_TEST(what_was_opened_in_one_pass_is_not_in_the_next)
{
	struct pass_key k = key(7, 1, 100 * S);

	passes_begin(passes, &k, 5, 1);
	passes_add(passes, passes_find(passes, &k), 2, k.now_ns);
	ck_assert(passes_ended_by(passes, passes_find(passes, &k), 2));
	passes_begin(passes, &k, 5, 1); /* at the same time, by the clock */
	ck_assert(passes_ended_by(passes, passes_find(passes, &k), 1));
	ck_assert(!passes_ended_by(passes, passes_find(passes, &k), 2));
	k.now_ns++;
	passes_begin(passes, &k, 6, 2);
	ck_assert(!passes_ended_by(passes, passes_find(passes, &k), 1));
	ck_assert_uint_eq(passes_find(passes, &k)->generation, 6);
}
END_TEST

START_TEST(many_processes_with_many_files_find_their_own)
{
	enum { PROCESSES = 300, FILES = 10 };

	for (uint32_t p = 1; p <= PROCESSES; p++) {
		struct pass_key k = key(p, 9, 100 * S + p);

		passes_begin(passes, &k, p, 1);
		for (uint64_t f = 2; f <= FILES; f++)
			passes_add(passes, passes_find(passes, &k), f, k.now_ns);
	}
	for (uint32_t p = 1; p <= PROCESSES; p++) {
		struct pass_key k = key(p, 9, 100 * S + PROCESSES);
		struct worker_pass *pass = passes_find(passes, &k);

		ck_assert_ptr_nonnull(pass);
		ck_assert_uint_eq(pass->generation, p);
		for (uint64_t f = 1; f <= FILES; f++)
			ck_assert(passes_ended_by(passes, pass, f));
		ck_assert(!passes_ended_by(passes, pass, FILES + 1));
	}
}
END_TEST

START_TEST(a_pass_may_have_hundreds_of_files)
{
	struct pass_key k = key(7, 1, 100 * S);

	passes_begin(passes, &k, 5, 1);
	for (uint64_t f = 2; f <= 500; f++)
		passes_add(passes, passes_find(passes, &k), f, k.now_ns);
	for (uint64_t f = 1; f <= 500; f++)
		ck_assert(passes_ended_by(passes, passes_find(passes, &k), f));
	ck_assert(!passes_ended_by(passes, passes_find(passes, &k), 501));
}
END_TEST

START_TEST(a_full_table_loses_the_oldest_and_takes_the_new)
{
	for (uint32_t p = 1; p <= 3 * WORKER_PASSES_MAX; p++) {
		struct pass_key k = key(p, 9, 100 * S + p);

		passes_begin(passes, &k, p, p);
		ck_assert_ptr_nonnull(passes_find(passes, &k));
		ck_assert(passes_ended_by(passes, passes_find(passes, &k), p));
	}
}
END_TEST

START_TEST(nonsense_in_the_memory_is_no_pass_and_gives_way)
{
	struct pass_key k = key(7, 1, 100 * S);

	memset(passes, 0xff, sizeof(*passes));
	ck_assert_ptr_null(passes_find(passes, &k));
	passes_begin(passes, &k, 5, 1);
	ck_assert_uint_eq(passes_find(passes, &k)->generation, 5);
	memset(passes, 0x01, sizeof(*passes)); /* begun long ago */
	ck_assert_ptr_null(passes_find(passes, &k));
	passes_begin(passes, &k, 5, 1);
	ck_assert(passes_ended_by(passes, passes_find(passes, &k), 1));
}
END_TEST

START_TEST(nobody_is_sent_back_twice_nor_two_of_a_process_at_one_time)
{
	struct pass_key first = key(7, 1, 100 * S), second = first;

	second.thread = 8;
	ck_assert(passes_send_back(passes, &first));
	ck_assert(!passes_send_back(passes, &second));
	ck_assert(!passes_send_back(passes, &first));
	passes_begin(passes, &second, 5, 1); /* the mark stays */
	ck_assert(!passes_send_back(passes, &first));
	passes_come_back(passes, &second);
	ck_assert(!passes_send_back(passes, &second));
	passes_come_back(passes, &first);
	ck_assert(passes_send_back(passes, &second));
	first.now_ns += PASS_RETURN_NS; /* ended on its way */
	ck_assert(passes_send_back(passes, &first));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("passes");
	TCase *t = tcase_create("passes");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_pass_is_of_one_process_and_one_set_and_ends);
	tcase_add_test(t, what_was_opened_in_one_pass_is_not_in_the_next);
	tcase_add_test(t, many_processes_with_many_files_find_their_own);
	tcase_add_test(t, a_pass_may_have_hundreds_of_files);
	tcase_add_test(t, a_full_table_loses_the_oldest_and_takes_the_new);
	tcase_add_test(t, nonsense_in_the_memory_is_no_pass_and_gives_way);
	tcase_add_test(t, nobody_is_sent_back_twice_nor_two_of_a_process_at_one_time);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
