/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "coffer/cleanup.h"
#include "policy/policy.h"

static const struct id_map map[] = {
	{ 0, 100000, 1000 },          { 1000, 1000, 1 },
	{ 1001, 101001, 64535 },      { 4294967290U, 4294967290U, 6 },
	{ 100000, 4294967290U, 100 },
};

static const struct {
	uint32_t inside;
	int64_t outside; /* -1: not mapped */
} rows[] = {
	{ 0, 100000 },
	{ 999, 100999 },
	{ 1000, 1000 },
	{ 1001, 101001 },
	{ 65535, 165535 },
	{ 65536, -1 },
	{ 99999, -1 },
	{ 4294967289U, -1 },
	{ 4294967290U, 4294967290 },
	{ 4294967294U, 4294967294 },
	{ 4294967295U, -1 }, /* (uid_t)-1 */
	{ 100004, 4294967294 },
	{ 100005, -1 }, /* would come out as (uid_t)-1 */
	{ 100006, -1 }, /* and this one as root */
};

START_TEST(ids_are_mapped_line_by_line)
{
	uint32_t outside = 42;
	int r = policy_map_id(map, ARRAY_LEN(map), rows[_i].inside, &outside);

	if (rows[_i].outside < 0) {
		ck_assert_msg(r == -ERANGE, "%u is mapped to %u", rows[_i].inside, outside);
		ck_assert_uint_eq(outside, 42);
	} else {
		ck_assert_msg(r == 0, "%u is not mapped", rows[_i].inside);
		ck_assert_uint_eq(outside, (uint32_t)rows[_i].outside);
	}
}
END_TEST

START_TEST(an_empty_map_maps_nobody)
{
	static const struct id_map none = { 0, 0, 0 };
	uint32_t outside;

	ck_assert_int_eq(policy_map_id(NULL, 0, 0, &outside), -ERANGE);
	ck_assert_int_eq(policy_map_id(&none, 1, 0, &outside), -ERANGE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("idmap");
	TCase *tests = tcase_create("idmap");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, ids_are_mapped_line_by_line, 0, ARRAY_LEN(rows));
	tcase_add_test(tests, an_empty_map_maps_nobody);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
