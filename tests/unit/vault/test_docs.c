/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of other parts in the vault. */
#include "fixture.h"

static int collect_doc(void *arg, const char *id, const void *bytes, size_t len)
{
	char *text = arg;

	sprintf(text + strlen(text), "%s=%.*s ", id, (int)len, (const char *)bytes);
	return 0;
}

START_TEST(documents_of_other_parts_are_kept_by_kind)
{
	char text[256] = "", *big = calloc(1, 1024 * 1024);

	ck_ok(vault_doc_put(fix.vault, "grant", "g2", "two", 3, &fix.err));
	ck_ok(vault_doc_put(fix.vault, "grant", "g1", "one", 3, &fix.err));
	ck_ok(vault_doc_put(fix.vault, "grants", "x", "other kind", 10, &fix.err));
	ck_ok(vault_doc_put(fix.vault, "grant", "g2", "TWO", 3, &fix.err));
	ck_ok(vault_doc_put(fix.vault, "grant", "empty", NULL, 0, &fix.err));
	ck_ok(vault_doc_put(fix.vault, "grant", "g3", "three", 5, &fix.err));
	ck_ok(vault_doc_remove(fix.vault, "grant", "g3", &fix.err));
	ck_fails(-ENOENT, vault_doc_remove(fix.vault, "grant", "g3", &fix.err));
	fixture_restart();
	ck_ok(vault_doc_each(fix.vault, "grant", collect_doc, text, &fix.err));
	ck_assert_str_eq(text, "empty= g1=one g2=TWO ");
	ck_fails(-EINVAL, vault_doc_put(fix.vault, "secret", "a", "x", 1, &fix.err));
	ck_fails(-EINVAL, vault_doc_put(fix.vault, "gr:ant", "a", "x", 1, &fix.err));
	ck_fails(-EINVAL, vault_doc_put(fix.vault, "grant", "", "x", 1, &fix.err));
	ck_fails(-EFBIG, vault_doc_put(fix.vault, "grant", "a", big, 1024 * 1024, &fix.err));
	ck_assert_uint_eq(vault_count(fix.vault), 0);
	free(big);
}
END_TEST

START_TEST(many_documents_change_in_one_transaction_or_not_at_all)
{
	const struct vault_doc put[] = { { "g1", "ONE", 3 }, { "g4", "four", 4 } };
	const struct vault_doc bad[] = { { "g5", "five", 4 }, { "g 6", "six", 3 } };
	const char *gone[] = { "g2", "g3" }, *unknown[] = { "g1", "g9" };
	uint64_t epoch;
	char text[256] = "";

	ck_ok(vault_doc_put(fix.vault, "grant", "g1", "one", 3, &fix.err));
	ck_ok(vault_doc_put(fix.vault, "grant", "g2", "two", 3, &fix.err));
	ck_ok(vault_doc_put(fix.vault, "grant", "g3", "three", 5, &fix.err));
	epoch = vault_epoch(fix.vault);
	ck_fails(-ENOENT,
	         vault_docs_change(fix.vault, &(struct vault_docs){ "grant", put, 2, unknown, 2 },
	                           &fix.err));
	ck_fails(-EINVAL,
	         vault_docs_change(fix.vault, &(struct vault_docs){ "grant", bad, 2, gone, 2 },
	                           &fix.err));
	ck_ok(vault_doc_each(fix.vault, "grant", collect_doc, text, &fix.err));
	ck_assert_str_eq(text, "g1=one g2=two g3=three ");
	ck_assert_uint_eq(vault_epoch(fix.vault), epoch);
	ck_ok(vault_docs_change(fix.vault, &(struct vault_docs){ "grant", put, 2, gone, 2 },
	                        &fix.err));
	ck_assert_uint_eq(vault_epoch(fix.vault), epoch + 1);
	for (int i = 0; i < 2; i++) {
		text[0] = '\0';
		ck_ok(vault_doc_each(fix.vault, "grant", collect_doc, text, &fix.err));
		ck_assert_str_eq(text, "g1=ONE g4=four ");
		fixture_restart();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("docs");
	TCase *tests = tcase_create("docs");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, fixture_setup, fixture_teardown);
	tcase_add_test(tests, documents_of_other_parts_are_kept_by_kind);
	tcase_add_test(tests, many_documents_change_in_one_transaction_or_not_at_all);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
