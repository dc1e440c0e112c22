/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting the wall clock back brings nothing back that had expired. The host's clock can't be set
 * for a test, so this program brings its own clock_gettime, which the vault then reads.
 */
#include <sys/syscall.h>
#include <time.h>

#include "coffer/times.h"
#include "fixture.h"

#define HOUR (3600 * NS_PER_S)
#define START (1900000000 * NS_PER_S)

static int64_t wall, boot; /* what the vault is told; 0: the truth */

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int64_t now = clock == CLOCK_REALTIME ? wall : clock == CLOCK_BOOTTIME ? boot : 0;

	if (!now)
		return (int)syscall(SYS_clock_gettime, clock, ret);
	*ret = (struct timespec){ .tv_sec = now / NS_PER_S, .tv_nsec = now % NS_PER_S };
	return 0;
}

static void set_up(void)
{
	wall = START;
	boot = 5 * NS_PER_S;
	fixture_setup();
}

/* Time goes on for all clocks. */
static void pass(int64_t ns)
{
	wall += ns;
	boot += ns;
}

static int try_read(void)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	struct vault_version version;

	return vault_get(fix.vault, "short-lived", 0, false, &value, &version, &fix.err);
}

/* Expires an hour from now. */
static void put_short_lived(void)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy("value", 5);
	struct vault_item item = { .name = "short-lived",
		                   .value = value,
		                   .expires_ns = vault_now(fix.vault) + HOUR };
	uint64_t number;

	ck_ok(vault_put(fix.vault, &item, 1, &number, &fix.err));
	ck_ok(try_read());
}

START_TEST(time_passes_with_both_clocks)
{
	ck_assert_int_eq(vault_now(fix.vault), START);
	pass(HOUR);
	ck_assert_int_eq(vault_now(fix.vault), START + HOUR);
}
END_TEST

START_TEST(a_clock_set_back_does_not_delay_expiry)
{
	put_short_lived();
	wall -= 1000 * HOUR;
	boot += HOUR + NS_PER_S; /* the boot-time clock, which nobody can set */
	wall += HOUR + NS_PER_S;
	ck_fails(-EKEYEXPIRED, try_read());
}
END_TEST

START_TEST(time_spent_suspended_counts)
{
	put_short_lived();
	boot += HOUR + NS_PER_S;
	ck_fails(-EKEYEXPIRED, try_read());
}
END_TEST

START_TEST(a_clock_set_back_does_not_bring_back_what_expired)
{
	put_short_lived();
	pass(HOUR + NS_PER_S);
	ck_fails(-EKEYEXPIRED, try_read());
	wall = START;
	ck_fails(-EKEYEXPIRED, try_read());
}
END_TEST

START_TEST(a_restart_with_the_clock_set_back_stays_at_the_mark)
{
	put_short_lived();
	pass(HOUR + NS_PER_S);
	ck_ok(vault_mark_time(fix.vault, &fix.err));
	wall = START - 1000 * HOUR;
	boot = NS_PER_S; /* another boot */
	fixture_restart();
	ck_assert_int_ge(vault_now(fix.vault), START + HOUR);
	ck_fails(-EKEYEXPIRED, try_read());
	pass(HOUR);
	ck_assert_int_ge(vault_now(fix.vault), START + 2 * HOUR);
}
END_TEST

START_TEST(each_change_is_a_mark_too)
{
	pass(10 * HOUR);
	fixture_put("other", "value");
	wall = START;
	boot = NS_PER_S;
	fixture_restart();
	ck_assert_int_ge(vault_now(fix.vault), START + 10 * HOUR);
}
END_TEST

START_TEST(a_mark_in_the_past_is_no_brake)
{
	ck_ok(vault_mark_time(fix.vault, &fix.err));
	wall += 100 * HOUR;
	boot = NS_PER_S;
	fixture_restart();
	ck_assert_int_eq(vault_now(fix.vault), START + 100 * HOUR);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *t = tcase_create("clock");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, set_up, fixture_teardown);
	tcase_add_test(t, time_passes_with_both_clocks);
	tcase_add_test(t, a_clock_set_back_does_not_delay_expiry);
	tcase_add_test(t, time_spent_suspended_counts);
	tcase_add_test(t, a_clock_set_back_does_not_bring_back_what_expired);
	tcase_add_test(t, a_restart_with_the_clock_set_back_stays_at_the_mark);
	tcase_add_test(t, each_change_is_a_mark_too);
	tcase_add_test(t, a_mark_in_the_past_is_no_brake);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
