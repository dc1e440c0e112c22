/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cert.h"
#include "cert_pair.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "crypto_memory.h"
#include "make_cert.h"

/* Made once: an authority, one below it, and a server's certificate below that. */
static struct made root, middle, server, other;

static void make_all(void)
{
	root = make_certificate(
		&(struct make){ .subject = "root", .authority = true, .to_s = 1000 * DAY });
	middle = make_certificate(&(struct make){
		.subject = "middle", .issuer = &root, .authority = true, .to_s = 500 * DAY });
	server = make_certificate(&(struct make){ .subject = "web.example",
	                                          .issuer = &middle,
	                                          .to_s = 90 * DAY + 60,
	                                          .names = "DNS:web.example,IP:10.0.0.1" });
	other = make_certificate(&(struct make){ .subject = "web.example", .to_s = 90 * DAY });
}

static void clear_all(void)
{
	made_clear(&root);
	made_clear(&middle);
	made_clear(&server);
	made_clear(&other);
}

/* Reads and frees the value. */
static struct cert_file *read_file(struct secret *value)
{
	struct cert_file *f = NULL;

	ck_assert_int_eq(cert_file_read(value->bytes, value->len, &f), 0);
	secret_free(value);
	return f;
}

static void gather(void *arg, const char *sentence)
{
	strcat(arg, sentence);
	strcat(arg, "\n");
}

static const char *warnings(const struct cert_file *f, char text[4096])
{
	text[0] = '\0';
	cert_file_warn(f, time(NULL), gather, text);
	return text;
}

START_TEST(a_certificate_says_whose_it_is_and_how_long_it_holds)
{
	SCOPED(cert_file_free_ptr) struct cert_file *f = read_file(pem_certificates(&server, NULL));
	SCOPED(json_ptr) json_t *list = cert_file_describe(f, time(NULL));
	SCOPED(json_text_ptr) char *text = json_text(json_array_get(list, 0));
	char said[4096];

	ck_assert_uint_eq(cert_file_count(f), 1);
	ck_assert_ptr_nonnull(strstr(text,
	                             "\"subject\":\"CN=web.example\",\"issuer\":\"CN=middle\","
	                             "\"names\":[\"DNS:web.example\",\"IP:10.0.0.1\"]"));
	ck_assert_ptr_nonnull(strstr(text,
	                             "\"days_left\":90,\"serial\":\"1234\",\"key_type\":\"EC\","
	                             "\"key_bits\":256,\"key_curve\":\"prime256v1\","
	                             "\"self_signed\":false,\"ca\":false"));
	ck_assert_str_eq(warnings(f, said), "");
}
END_TEST

START_TEST(der_is_read_as_pem_is)
{
	SCOPED(cert_file_free_ptr)
	struct cert_file *pem = read_file(pem_certificates(&server, NULL));
	SCOPED(cert_file_free_ptr) struct cert_file *der = read_file(der_certificate(&server));
	SCOPED(json_ptr) json_t *a = cert_file_describe(pem, 0);
	SCOPED(json_ptr) json_t *b = cert_file_describe(der, 0);

	ck_assert_uint_eq(cert_file_count(der), 1);
	ck_assert(json_equal(a, b));
}
END_TEST

static const struct kind {
	const char *type, *facts;
} kinds[] = {
	{ "EC", "\"key_type\":\"EC\",\"key_bits\":256" },
	{ "RSA", "\"key_type\":\"RSA\",\"key_bits\":2048" },
	{ "ED25519", "\"key_type\":\"ED25519\",\"key_bits\":256" },
};

START_TEST(a_key_of_each_kind_fits_its_certificate_and_no_other)
{
	struct made own = make_certificate(
		&(struct make){ .subject = "own", .type = kinds[_i].type, .to_s = 99 * DAY });
	struct made same = make_certificate(
		&(struct make){ .subject = "own", .type = kinds[_i].type, .to_s = 99 * DAY });
	SCOPED(cert_file_free_ptr) struct cert_file *f = read_file(pem_certificates(&own, NULL));
	SCOPED(cert_file_free_ptr) struct cert_file *key = read_file(pem_key(&own, NULL));
	SCOPED(cert_file_free_ptr)
	struct cert_file *old = read_file(pem_key_traditional(&own, NULL));
	SCOPED(cert_file_free_ptr) struct cert_file *wrong = read_file(pem_key(&same, NULL));
	SCOPED(cert_file_free_ptr) struct cert_file *elsewhere = read_file(pem_key(&root, NULL));
	SCOPED(json_ptr) json_t *list = cert_file_describe(f, 0);
	SCOPED(json_text_ptr) char *text = json_text(list);

	ck_assert_ptr_nonnull(strstr(text, kinds[_i].facts));
	ck_assert_int_eq(cert_file_key(key), CERT_KEY_READ);
	ck_assert_int_eq(cert_file_fits(f, key), 1);
	ck_assert_int_eq(cert_file_fits(f, old), 1);
	ck_assert_int_eq(cert_file_fits(f, wrong), 0);
	ck_assert_int_eq(cert_file_fits(f, elsewhere), 0);
	made_clear(&own);
	made_clear(&same);
}
END_TEST

static const struct age {
	long from, to; /* seconds from now */
	const char *says;
} ages[] = {
	{ -90 * DAY, -60, "expired on" },
	{ DAY, 90 * DAY, "is not valid before" },
	{ -80 * DAY, 10 * DAY + 60, "expires in 10 days" },
	{ -80 * DAY, 60, "expires in 0 days" },
	{ -80 * DAY, 15 * DAY, NULL },
	{ 0, 6 * DAY, NULL },            /* made for a week */
	{ -5 * DAY, DAY, "expires in" }, /* and nearly over */
};

START_TEST(the_time_of_a_certificate_is_warned_of)
{
	struct made m = make_certificate(
		&(struct make){ .subject = "web", .from_s = ages[_i].from, .to_s = ages[_i].to });
	SCOPED(cert_file_free_ptr) struct cert_file *f = read_file(pem_certificates(&m, NULL));
	char text[4096];

	warnings(f, text);
	if (ages[_i].says)
		ck_assert_msg(strstr(text, ages[_i].says) && strstr(text, "CN=web"), "%s", text);
	else
		ck_assert_str_eq(text, "");
	made_clear(&m);
}
END_TEST

START_TEST(a_chain_begins_with_the_server_and_each_is_signed_by_the_next)
{
	struct made forged = make_certificate(
		&(struct make){ .subject = "middle", .authority = true, .to_s = 99 * DAY });
	const struct {
		struct secret *value;
		enum cert_chain chain;
	} rows[] = {
		{ pem_certificates(&server, NULL), CERT_CHAIN_SINGLE },
		{ pem_certificates(&server, &middle, &root, NULL), CERT_CHAIN_IN_ORDER },
		{ pem_certificates(&server, &middle, NULL), CERT_CHAIN_IN_ORDER },
		{ pem_certificates(&middle, &server, NULL), CERT_CHAIN_OUT_OF_ORDER },
		{ pem_certificates(&server, &root, &middle, NULL), CERT_CHAIN_OUT_OF_ORDER },
		{ pem_certificates(&server, &forged, NULL), CERT_CHAIN_OUT_OF_ORDER },
		{ pem_certificates(&root, &middle, &forged, NULL), CERT_CHAIN_BUNDLE },
	};
	char text[4096];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		SCOPED(cert_file_free_ptr) struct cert_file *f = read_file(rows[i].value);
		bool bad = rows[i].chain == CERT_CHAIN_OUT_OF_ORDER;

		ck_assert_msg(cert_file_chain(f) == rows[i].chain, "row %zu: %s", i,
		              cert_chain_text(cert_file_chain(f)));
		ck_assert_msg(!strstr(warnings(f, text), "not in order") == !bad, "row %zu", i);
	}
	made_clear(&forged);
}
END_TEST

START_TEST(an_encrypted_key_is_told_and_nobody_is_asked)
{
	SCOPED(cert_file_free_ptr) struct cert_file *f = read_file(pem_key(&server, "secret"));
	SCOPED(cert_file_free_ptr)
	struct cert_file *old = read_file(pem_key_traditional(&server, "secret"));
	SCOPED(cert_file_free_ptr)
	struct cert_file *certificate = read_file(pem_certificates(&server, NULL));
	char text[4096];

	ck_assert_int_eq(cert_file_key(f), CERT_KEY_ENCRYPTED);
	ck_assert_int_eq(cert_file_key(old), CERT_KEY_ENCRYPTED);
	ck_assert_int_eq(cert_file_fits(certificate, f), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(warnings(f, text), "is encrypted"));
}
END_TEST

START_TEST(a_key_in_the_same_file_is_held_against_it)
{
	SCOPED(secret_free_ptr) struct secret *certificate = pem_certificates(&server, NULL);
	SCOPED(secret_free_ptr) struct secret *key = pem_key(&server, NULL);
	SCOPED(secret_free_ptr) struct secret *wrong = pem_key(&other, NULL);
	SCOPED(cert_file_free_ptr) struct cert_file *good = read_file(joined(key, certificate));
	SCOPED(cert_file_free_ptr) struct cert_file *bad = read_file(joined(certificate, wrong));
	char text[4096];

	ck_assert_str_eq(warnings(good, text), "");
	ck_assert_ptr_nonnull(strstr(warnings(bad, text), "does not fit"));
}
END_TEST

/* Cut, and changed byte by byte: read or not, never more than a refusal. */
START_TEST(what_is_broken_is_refused_and_told)
{
	SCOPED(secret_free_ptr) struct secret *pem = pem_certificates(&server, &middle, NULL);
	SCOPED(secret_free_ptr) struct secret *der = der_certificate(&server);
	char text[4096];

	for (size_t len = 0; len < der->len; len++) {
		struct cert_file *f = NULL;

		ck_assert_int_eq(cert_file_read(der->bytes, len, &f), 0);
		ck_assert_uint_eq(cert_file_count(f), 0);
		cert_file_free(f);
	}
	for (size_t len = 0; len < pem->len; len += 7) {
		struct cert_file *f = NULL;

		ck_assert_int_eq(cert_file_read(pem->bytes, len, &f), 0);
		ck_assert_uint_lt(cert_file_count(f), 2);
		cert_file_free(f);
	}
	pem->bytes[40] = '*';
	{
		SCOPED(cert_file_free_ptr)
		struct cert_file *f = read_file(secret_copy(pem->bytes, pem->len));

		ck_assert_uint_eq(cert_file_count(f), 1);
		ck_assert_ptr_nonnull(strstr(warnings(f, text), "cannot be read"));
	}
}
END_TEST

START_TEST(what_is_no_certificate_and_no_key_is_not_looked_at)
{
	static const char pgp[] = "-----BEGIN PGP MESSAGE-----\nVersion: GnuPG v2\n\n"
				  "hQEMAwAAAAAAAAAAAQf/\n=abcd\n-----END PGP MESSAGE-----\n";
	static const char cut[] = "-----BEGIN CERTIFICATE-----\nMIIB*\n";
	static const struct {
		const char *before, *behind;
		bool told;
	} rows[] = {
		{ pgp, "", false },
		{ "", pgp, false },
		{ pgp, pgp, false },
		{ "-----BEGIN DH PARAMETERS-----\n*\n-----END DH PARAMETERS-----\n", "", false },
		{ pgp, cut, true },
		{ "-----BEGIN EC PRIVATE KEY-----\n*\n-----END EC PRIVATE KEY-----\n", "", true },
		{ "-----BEGIN TRUSTED CERTIFICATE-----\n*\n-----END TRUSTED CERTIFICATE-----\n",
		  pgp, true },
	};
	SCOPED(secret_free_ptr) struct secret *pem = pem_certificates(&server, NULL);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		SCOPED(cert_file_free_ptr) struct cert_file *f = NULL;
		char text[8192], said[4096];
		int len = snprintf(text, sizeof(text), "%s%s%s", rows[i].before,
		                   (const char *)pem->bytes, rows[i].behind);

		ck_assert_int_eq(cert_file_read(text, (size_t)len, &f), 0);
		ck_assert_uint_eq(cert_file_count(f), 1);
		ck_assert_msg((strstr(warnings(f, said), "cannot be read") != NULL) == rows[i].told,
		              "row %zu: %s", i, said);
	}
}
END_TEST

START_TEST(an_address_of_a_wrong_length_is_not_read)
{
	static const struct {
		const char *names, *shown;
	} rows[] = {
		{ "DER:30:03:87:01:7f", "[\"IP:unreadable\"]" },
		{ "DER:30:02:87:00", "[\"IP:unreadable\"]" },
		{ "DER:30:07:87:05:7f:00:00:01:00", "[\"IP:unreadable\"]" },
		{ "DER:30:06:87:04:7f:00:00:01", "[\"IP:127.0.0.1\"]" },
		{ "IP:::1", "[\"IP:::1\"]" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct made made = make_certificate(
			&(struct make){ .subject = "s", .to_s = 90 * DAY, .names = rows[i].names });
		SCOPED(cert_file_free_ptr)
		struct cert_file *f = read_file(pem_certificates(&made, NULL));
		SCOPED(json_ptr) json_t *list = cert_file_describe(f, time(NULL));
		SCOPED(json_text_ptr)
		char *text = json_text(json_object_get(json_array_get(list, 0), "names"));

		ck_assert_str_eq(text, rows[i].shown);
		made_clear(&made);
	}
}
END_TEST

/* Of the mapping that an address lies in: locked (lo), not dumped (dd), wiped on fork (wf). */
static bool is_guarded(const void *address)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	uintptr_t at = (uintptr_t)address, from = 0, to = 0;
	char line[4096];
	bool inside = false, guarded = false;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			inside = from <= at && at < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			guarded = strstr(line, " lo") && strstr(line, " dd") && strstr(line, " wf");
	}
	fclose(maps);
	return guarded;
}

START_TEST(libcrypto_has_no_memory_but_what_is_locked_and_not_dumped)
{
	void *block = OPENSSL_malloc(100), *larger = NULL;
	void *plain = malloc(100);

	ck_assert_ptr_nonnull(block);
	ck_assert(is_guarded(block));
	ck_assert(is_guarded(server.key));
	ck_assert(is_guarded(EVP_PKEY_get0_provider(server.key)));
	ck_assert(!is_guarded(plain));
	memset(block, 7, 100);
	larger = OPENSSL_realloc(block, 5000);
	ck_assert_ptr_nonnull(larger);
	ck_assert(is_guarded(larger));
	ck_assert_int_eq(((unsigned char *)larger)[99], 7);
	OPENSSL_free(larger);
	ck_assert_ptr_null(OPENSSL_malloc(0));
	ck_assert_ptr_null(OPENSSL_malloc(SIZE_MAX - 3));
	OPENSSL_free(NULL);
	free(plain);
}
END_TEST

#ifndef COFFER_SANITIZE /* whose shadow has terabytes */
/* Whether the bytes are in writable memory that is neither locked nor a stack. */
static bool lies_open(const unsigned char *needle, size_t len)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	uintptr_t from = 0, to = 0, a = 0, b = 0;
	char line[4096], kind[8] = "";
	bool found = false, stack = false;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &a, &b, kind) == 3) {
			from = a;
			to = b;
			stack = strstr(line, "[stack]") != NULL;
		} else if (strncmp(line, "VmFlags:", 8) == 0 && kind[0] == 'r' && kind[1] == 'w' &&
		           !stack && !strstr(line, " lo"))
			found |= memmem((const void *)from, to - from, needle, len) != NULL;
	}
	fclose(maps);
	return found;
}

START_TEST(a_private_key_that_is_read_lies_in_no_memory_that_could_be_swapped)
{
	struct made m = make_certificate(
		&(struct make){ .subject = "web", .type = "ED25519", .to_s = 99 * DAY });
	SCOPED(secret_free_ptr) struct secret *raw = secret_new(32);
	SCOPED(cert_file_free_ptr)
	struct cert_file *certificate = read_file(pem_certificates(&m, NULL));
	SCOPED(cert_file_free_ptr) struct cert_file *key = read_file(pem_key(&m, NULL));
	char *seen = malloc(32);

	ck_assert_int_eq(EVP_PKEY_get_raw_private_key(m.key, raw->bytes, &raw->len), 1);
	ck_assert_int_eq(cert_file_fits(certificate, key), 1);
	ck_assert(!lies_open(raw->bytes, raw->len));
	memcpy(seen, raw->bytes, 32); /* and would be found */
	ck_assert(lies_open(raw->bytes, raw->len));
	sodium_memzero(seen, 32);
	free(seen);
	made_clear(&m);
}
END_TEST
#endif

static const struct pair {
	const char *certificate, *keys[5];
	int chosen;
} pairs[] = {
	{ "tls/tls.crt", { "tls/tls.key" }, 0 },
	{ "tls/cert.pem", { "tls/key.pem" }, 0 },
	{ "tls/fullchain.pem", { "tls/privkey.pem" }, 0 },
	{ "tls/cert", { "tls/key" }, 0 },
	{ "cert", { "key" }, 0 },
	{ "web-cert.pem", { "db-key.pem", "web-key.pem" }, 1 },
	{ "tls/web.crt", { "tls/db.key", "tls/web.key" }, 1 },
	{ "tls/cert", { "tls/web.key" }, 0 }, /* the only one */
	{ "tls/cert", { "tls/web.key", "tls/db.key" }, CERT_PAIR_SEVERAL },
	{ "tls/ca.crt", { "tls/tls.key" }, CERT_PAIR_NONE },
	{ "tls/web.crt", { "tls/web.key", "tls/web.pem" }, CERT_PAIR_SEVERAL },
	{ "tls/web.crt", { "other/web.key", "web.key", "tls/sub/web.key" }, CERT_PAIR_NONE },
	{ "tls/web", { "tls/web" }, CERT_PAIR_NONE }, /* itself */
	{ "tls/cert", { NULL }, CERT_PAIR_NONE },
};

START_TEST(the_key_beside_a_certificate_is_known_by_its_name)
{
	size_t count = 0;

	while (pairs[_i].keys[count])
		count++;
	ck_assert_int_eq(cert_pair_choose(pairs[_i].certificate, pairs[_i].keys, count),
	                 pairs[_i].chosen);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cert");
	TCase *tests = tcase_create("cert");
	SRunner *runner = NULL;
	int failed = 0;

	if (crypto_memory_use() < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tests, make_all, clear_all);
	tcase_add_test(tests, a_certificate_says_whose_it_is_and_how_long_it_holds);
	tcase_add_test(tests, der_is_read_as_pem_is);
	tcase_add_loop_test(tests, a_key_of_each_kind_fits_its_certificate_and_no_other, 0,
	                    ARRAY_LEN(kinds));
	tcase_add_loop_test(tests, the_time_of_a_certificate_is_warned_of, 0, ARRAY_LEN(ages));
	tcase_add_test(tests, a_chain_begins_with_the_server_and_each_is_signed_by_the_next);
	tcase_add_test(tests, an_encrypted_key_is_told_and_nobody_is_asked);
	tcase_add_test(tests, a_key_in_the_same_file_is_held_against_it);
	tcase_add_test(tests, what_is_broken_is_refused_and_told);
	tcase_add_test(tests, what_is_no_certificate_and_no_key_is_not_looked_at);
	tcase_add_test(tests, an_address_of_a_wrong_length_is_not_read);
	tcase_add_test(tests, libcrypto_has_no_memory_but_what_is_locked_and_not_dumped);
#ifndef COFFER_SANITIZE
	tcase_add_test(tests, a_private_key_that_is_read_lies_in_no_memory_that_could_be_swapped);
#endif
	tcase_add_loop_test(tests, the_key_beside_a_certificate_is_known_by_its_name, 0,
	                    ARRAY_LEN(pairs));
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
