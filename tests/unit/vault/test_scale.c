/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twenty thousand secrets, stored in transactions of the greatest size, all there after a restart
 * and in order. With an argument, the program measures instead: `unit-vault-scale 100000` prints
 * times and memory for that many.
 */
#include <malloc.h>
#include <time.h>

#include "fixture.h"

#define SECRETS 20000
#define NAMES_PER_PREFIX 100
#define VALUE_LEN 1024

static void name_of(size_t i, char name[64])
{
	snprintf(name, 64, "service-%05zu/secret-%02zu", i / NAMES_PER_PREFIX,
	         i % NAMES_PER_PREFIX);
}

/* A permutation, so that names do not come in order. */
static size_t shuffled(size_t i, size_t n)
{
	return (i * 7919) % n;
}

static void fill(size_t n)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_new(VALUE_LEN);
	struct vault_item items[VAULT_ITEMS_MAX];
	char names[VAULT_ITEMS_MAX][64];
	uint64_t versions[VAULT_ITEMS_MAX];

	ck_assert_ptr_nonnull(value);
	for (size_t done = 0; done < n;) {
		size_t batch = 0;

		for (; batch < VAULT_ITEMS_MAX && done < n; batch++, done++) {
			name_of(shuffled(done, n), names[batch]);
			items[batch] = (struct vault_item){ .name = names[batch], .value = value };
		}
		ck_ok(vault_put(fix.vault, items, batch, versions, &fix.err));
	}
}

static int check_order(void *arg, const struct vault_secret *secret)
{
	size_t *i = arg;
	char name[64];

	name_of((*i)++, name);
	ck_assert_str_eq(secret->name, name);
	ck_assert_uint_eq(secret->current.size, VALUE_LEN);
	return 0;
}

START_TEST(twenty_thousand_secrets_are_kept_in_order)
{
	struct vault_secret secret;
	char name[64];
	size_t seen = 0;

	fill(SECRETS);
	ck_assert_uint_eq(vault_count(fix.vault), SECRETS);
	fixture_restart();
	ck_assert_uint_eq(vault_count(fix.vault), SECRETS);
	ck_ok(vault_list(fix.vault, "", check_order, &seen));
	ck_assert_uint_eq(seen, SECRETS);
	seen = 10 * NAMES_PER_PREFIX;
	ck_ok(vault_list(fix.vault, "service-00010/", check_order, &seen));
	ck_assert_uint_eq(seen, 11 * NAMES_PER_PREFIX);
	for (size_t i = 0; i < SECRETS; i++) {
		name_of(i, name);
		ck_ok(vault_find(fix.vault, name, &secret));
		if (i % 97 == 0)
			ck_ok(fixture_try_get(name, 0));
	}
	for (size_t i = 0; i < SECRETS; i += 1000) {
		name_of(i, name);
		ck_ok(vault_remove(fix.vault, name, &fix.err));
	}
	fixture_restart();
	ck_assert_uint_eq(vault_count(fix.vault), SECRETS - SECRETS / 1000);
}
END_TEST

/* --- measuring --- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long total = 0, resident = 0;

	if (!f || fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static int count(void *arg, const struct vault_secret *secret)
{
	++*(size_t *)arg;
	return 0;
}

static double microseconds(double start, size_t times)
{
	return (now() - start) * 1e6 / (double)times;
}

static size_t measured;

START_TEST(measure)
{
	const size_t n = measured;
	struct vault_secret secret;
	char name[64], prefix[64];
	size_t seen = 0;
	double start;
	long before;

	start = now();
	fill(n);
	printf("%zu secrets stored, %d in a transaction: %.2f s\n", n, VAULT_ITEMS_MAX,
	       now() - start);
	fixture_reopen();
	malloc_trim(0);
	before = rss_kib();
	start = now();
	ck_ok(fixture_try_unseal());
	printf("unseal: %.3f s; memory %ld KiB before, %ld KiB after (%.0f bytes a secret)\n",
	       now() - start, before, rss_kib(), (double)(rss_kib() - before) * 1024 / (double)n);
	start = now();
	for (size_t i = 0; i < 1000; i++) {
		snprintf(prefix, sizeof(prefix), "service-%05zu/",
		         (i * 31) % (n / NAMES_PER_PREFIX));
		ck_ok(vault_list(fix.vault, prefix, count, &seen));
	}
	printf("list of %d names: %.1f µs\n", (int)(seen / 1000), microseconds(start, 1000));
	start = now();
	for (size_t i = 0; i < 100000; i++) {
		name_of(shuffled(i, n), name);
		ck_ok(vault_find(fix.vault, name, &secret));
	}
	printf("find: %.2f µs\n", microseconds(start, 100000));
	start = now();
	for (size_t i = 0; i < 10000; i++) {
		name_of(shuffled(i, n), name);
		ck_ok(fixture_try_get(name, 0));
	}
	printf("get of %d bytes: %.1f µs\n", VALUE_LEN, microseconds(start, 10000));
	start = now();
	for (size_t i = 0; i < 200; i++) {
		name_of(shuffled(i, n), name);
		fixture_put(name, "changed");
	}
	printf("put of one name, durable: %.0f µs\n", microseconds(start, 200));
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("scale");
	TCase *tests = tcase_create("scale");

	tcase_add_checked_fixture(tests, fixture_setup, fixture_teardown);
	tcase_set_timeout(tests, 110);
	measured = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	if (measured >= NAMES_PER_PREFIX)
		tcase_add_test(tests, measure);
	else
		tcase_add_test(tests, twenty_thousand_secrets_are_kept_in_order);
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
