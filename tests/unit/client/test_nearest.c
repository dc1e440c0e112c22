/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"

static const char *const words[] = {
	"put", "get", "rm", "ps", "status", "rollback", "runtime-dir"
};

static const char *nearest_to(const char *typed)
{
	struct nearest n = { .typed = typed, .len = strlen(typed) };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		nearest_look(&n, words[i]);
	return n.found;
}

START_TEST(slips_of_the_finger_are_seen_through)
{
	static const struct {
		const char *typed, *found; /* NULL: nothing is near */
	} rows[] = {
		{ "put", "put" },
		{ "pit", "put" },
		{ "putt", "put" },
		{ "ptu", "put" },
		{ "gt", "get" },
		{ "rn", "rm" },
		{ "sta", "status" },
		{ "stauts", "status" },
		{ "sttus", "status" },
		{ "rolbak", "rollback" },
		{ "runtime", "runtime-dir" },
		{ "runtimedir", "runtime-dir" },
		{ "", NULL },
		{ "list", NULL },
		{ "xyz", NULL },
		{ "tatsu", NULL },
		{ "rollllllback", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *found = nearest_to(rows[i].typed);

		ck_assert_msg(rows[i].found ? found && strcmp(found, rows[i].found) == 0 : !found,
		              "%s: %s", rows[i].typed, found ? found : "nothing");
	}
}
END_TEST

START_TEST(long_words_are_looked_at_no_further)
{
	char typed[4096];

	memset(typed, 'p', sizeof(typed) - 1);
	typed[sizeof(typed) - 1] = '\0';
	ck_assert_ptr_null(nearest_to(typed));
	typed[NEAREST_WORD_MAX] = '\0';
	ck_assert_ptr_null(nearest_to(typed));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nearest");
	TCase *tc = tcase_create("nearest");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	tcase_add_test(tc, slips_of_the_finger_are_seen_through);
	tcase_add_test(tc, long_words_are_looked_at_no_further);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
