/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "coffer/cleanup.h"
#include "crypto_memory.h"
#include "lint.h"
#include "make_cert.h"

static void gather(void *arg, const char *sentence)
{
	strcat(arg, sentence);
	strcat(arg, "\n");
}

#define PEM "-----BEGIN X-----\nAAAA\n-----END X-----"

static const struct row {
	const char *bytes;
	size_t len;
	const char *says; /* NULL: nothing */
} rows[] = {
	{ "", 0, "empty" },
	{ "pass", 4, NULL },
	{ "pass\n", 5, "ends with a newline" },
	{ "\n", 1, "ends with a newline" },
	{ "two\nlines\n", 10, NULL },
	{ "bin\0ary\n", 8, NULL },
	{ "\xef\xbb\xbfpass", 7, "byte order mark" },
	{ PEM "\n", sizeof(PEM), NULL },
	{ PEM, sizeof(PEM) - 1, "no line feed" },
	{ "-----BEGIN X-----\r\nAAAA\r\n", 25, "CR LF" },
	{ "windows\r\nlines\r\n", 16, NULL },
};

START_TEST(bytes_that_were_hardly_meant_are_told)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy(rows[_i].bytes, rows[_i].len);
	char text[4096] = "";

	lint_bytes(value, gather, text);
	if (rows[_i].says)
		ck_assert_msg(strstr(text, rows[_i].says), "row %d: %s", _i, text);
	else
		ck_assert_msg(!text[0], "row %d: %s", _i, text);
	ck_assert_ptr_null(strstr(text, "pass\n"));
}
END_TEST

static void add(struct lint *l, const char *name, struct secret *value, char text[4096])
{
	ck_assert_int_eq(lint_add(l, name, value, time(NULL), gather, text), 0);
	secret_free(value);
}

START_TEST(a_key_put_beside_a_certificate_that_it_does_not_fit_is_told)
{
	struct made web = make_certificate(&(struct make){ .subject = "web", .to_s = 99 * DAY });
	struct made other = make_certificate(&(struct make){ .subject = "web", .to_s = 99 * DAY });
	SCOPED(lint_free_ptr) struct lint *l = lint_new();
	char text[4096] = "";

	add(l, "tls/good.crt", pem_certificates(&web, NULL), text);
	add(l, "tls/good.key", pem_key(&web, NULL), text);
	add(l, "tls/bad.crt", pem_certificates(&web, NULL), text);
	add(l, "tls/bad.key", pem_key(&other, NULL), text);
	add(l, "elsewhere/cert", pem_certificates(&web, NULL), text);
	add(l, "tls/password", secret_copy("x", 1), text);
	ck_assert_str_eq(text, "");
	lint_pairs(l, gather, text);
	ck_assert_str_eq(text, "tls/bad.crt: the private key in tls/bad.key does not fit this "
	                       "certificate\n");
	made_clear(&web);
	made_clear(&other);
}
END_TEST

START_TEST(warnings_name_the_secret)
{
	struct made old = make_certificate(
		&(struct make){ .subject = "web", .from_s = -9 * DAY, .to_s = -60 });
	SCOPED(lint_free_ptr) struct lint *l = lint_new();
	char text[4096] = "";

	add(l, "tls/old.crt", pem_certificates(&old, NULL), text);
	ck_assert_msg(strstr(text, "tls/old.crt: the certificate CN=web expired on"), "%s", text);
	made_clear(&old);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lint");
	TCase *tests = tcase_create("lint");
	SRunner *runner = NULL;
	int failed = 0;

	if (crypto_memory_use() < 0)
		return EXIT_FAILURE;
	tcase_add_loop_test(tests, bytes_that_were_hardly_meant_are_told, 0, ARRAY_LEN(rows));
	tcase_add_test(tests, a_key_put_beside_a_certificate_that_it_does_not_fit_is_told);
	tcase_add_test(tests, warnings_name_the_secret);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
