/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "policy/policy.h"

static struct grant *grant_of(unsigned int id, uint64_t order)
{
	struct grant *g = calloc(1, sizeof(*g));

	g->name = strdup("db");
	g->container = strdup("web");
	g->order = order;
	snprintf(g->id, sizeof(g->id), "%016x", id);
	return g;
}

START_TEST(grants_stand_in_order_of_age)
{
	static const unsigned int orders[] = { 5, 1, 9, 3, 7 };
	struct policy *p = policy_new();

	for (size_t i = 0; i < ARRAY_LEN(orders); i++)
		ck_assert_int_eq(policy_add(p, grant_of(orders[i], orders[i]), NULL), 0);
	ck_assert_uint_eq(policy_count(p), 5);
	for (size_t i = 0; i < 5; i++)
		ck_assert_uint_eq(policy_at(p, i)->order, 2 * i + 1);
	ck_assert_ptr_null(policy_at(p, 5));
	policy_free(p);
}
END_TEST

START_TEST(a_grant_without_an_order_becomes_the_youngest)
{
	struct policy *p = policy_new();

	ck_assert_int_eq(policy_add(p, grant_of(1, 0), NULL), 0);
	ck_assert_uint_eq(policy_at(p, 0)->order, 1);
	ck_assert_int_eq(policy_add(p, grant_of(2, 40), NULL), 0);
	ck_assert_int_eq(policy_add(p, grant_of(3, 0), NULL), 0);
	ck_assert_uint_eq(policy_find(p, "0000000000000003")->order, 41);
	policy_free(p);
}
END_TEST

START_TEST(a_grant_is_found_and_removed_by_its_id)
{
	struct policy *p = policy_new();

	for (unsigned int i = 1; i <= 40; i++)
		ck_assert_int_eq(policy_add(p, grant_of(i, i), NULL), 0);
	ck_assert_uint_eq(policy_find(p, "0000000000000007")->order, 7);
	ck_assert_ptr_null(policy_find(p, "00000000000000ff"));
	ck_assert_int_eq(policy_remove(p, "0000000000000007"), 0);
	ck_assert_int_eq(policy_remove(p, "0000000000000007"), -ENOENT);
	ck_assert_ptr_null(policy_find(p, "0000000000000007"));
	ck_assert_uint_eq(policy_count(p), 39);
	for (size_t i = 0; i < 39; i++)
		ck_assert_uint_eq(policy_at(p, i)->order, i < 6 ? i + 1 : i + 2);
	policy_free(p);
}
END_TEST

START_TEST(an_id_is_needed_and_not_taken_twice)
{
	struct policy *p = policy_new();
	struct grant *nameless = grant_of(1, 1);
	struct err e = { 0 };

	nameless->id[0] = '\0';
	ck_assert_int_eq(policy_add(p, nameless, &e), -EINVAL);
	ck_assert_int_eq(policy_add(p, grant_of(1, 1), &e), 0);
	ck_assert_int_eq(policy_add(p, grant_of(1, 2), &e), -EEXIST);
	ck_assert_uint_eq(policy_count(p), 1);
	policy_free(p);
}
END_TEST

START_TEST(there_is_a_limit_to_grants)
{
	struct policy *p = policy_new();
	struct err e = { 0 };

	for (unsigned int i = 1; i <= POLICY_GRANTS_MAX; i++)
		ck_assert_int_eq(policy_add(p, grant_of(i, i), NULL), 0);
	ck_assert_int_eq(policy_add(p, grant_of(POLICY_GRANTS_MAX + 1, 0), &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.text, "10000"));
	policy_free(p);
}
END_TEST

START_TEST(nothing_is_fine_to_free)
{
	struct subject s = { 0 };

	policy_free(NULL);
	grant_free(NULL);
	subject_clear(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy");
	TCase *tests = tcase_create("policy");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, grants_stand_in_order_of_age);
	tcase_add_test(tests, a_grant_without_an_order_becomes_the_youngest);
	tcase_add_test(tests, a_grant_is_found_and_removed_by_its_id);
	tcase_add_test(tests, an_id_is_needed_and_not_taken_twice);
	tcase_add_test(tests, there_is_a_limit_to_grants);
	tcase_add_test(tests, nothing_is_fine_to_free);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
