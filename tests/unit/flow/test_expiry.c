/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When containers are looked at because a time is up. The clocks, the vault and the timer are the
 * test's own: a host that was suspended, or whose clock was set back, is one that says so here.
 */
#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "coffer/times.h"
#include "flow/container.h"

#define HOUR (3600 * NS_PER_S)
#define USEC(ns) ((uint64_t)(ns) / 1000)

static int64_t now_ns; /* by the vault's clock */
static enum vault_state state;
static unsigned int marks, refreshes;
static struct {
	clockid_t clock;
	uint64_t usec;
	sd_event_time_handler_t handler;
	void *arg;
	unsigned int armed;
} timer;

int64_t vault_now(const struct vault *v)
{
	return now_ns;
}

enum vault_state vault_state(const struct vault *v)
{
	return state;
}

int vault_mark_time(struct vault *v, struct err *e)
{
	marks++;
	return 0;
}

int containers_refresh(struct containers *c, containers_settled done, void *arg)
{
	refreshes++;
	return 0;
}

int sd_event_add_time_relative(sd_event *event, sd_event_source **ret, clockid_t clock,
                               uint64_t usec, uint64_t accuracy, sd_event_time_handler_t handler,
                               void *arg)
{
	timer.clock = clock;
	timer.usec = usec;
	timer.handler = handler;
	timer.arg = arg;
	timer.armed++;
	*ret = (sd_event_source *)&timer;
	return 0;
}

sd_event_source *sd_event_source_disable_unref(sd_event_source *source)
{
	return NULL;
}

static struct broker broker;
static struct node nodes[2];
static struct container container;
static struct containers set;

static void setup(void)
{
	now_ns = 1900000000 * NS_PER_S;
	state = VAULT_UNSEALED;
	marks = refreshes = 0;
	timer.armed = 0;
	for (size_t i = 0; i < 2; i++)
		nodes[i] = (struct node){ .kind = NODE_FILE, .linked = true };
	container = (struct container){ .set = &set, .tree = { .node = nodes, .count = 2 } };
	set = (struct containers){ .b = &broker, .first = &container, .count = 1 };
}

static void expect_armed(int64_t left_ns)
{
	ck_assert_int_eq(timer.clock, CLOCK_BOOTTIME);
	ck_assert_msg(timer.usec >= USEC(left_ns) && timer.usec <= USEC(left_ns) + 1,
	              "armed for %lu us, not %lu", (unsigned long)timer.usec,
	              (unsigned long)USEC(left_ns));
}

START_TEST(the_timer_counts_through_suspend_for_what_is_left)
{
	nodes[1].expires_ns = now_ns + HOUR / 2;
	expiry_arm(&set);
	expect_armed(HOUR / 2);
	now_ns += HOUR / 4; /* asleep: the vault's clock goes by the boot-time clock */
	expiry_arm(&set);
	expect_armed(HOUR / 4);
}
END_TEST

START_TEST(what_expired_while_the_host_slept_is_looked_at_at_once)
{
	nodes[0].expires_ns = now_ns + HOUR / 2;
	expiry_arm(&set);
	now_ns += 10 * HOUR;
	timer.handler((sd_event_source *)&timer, 0, timer.arg);
	ck_assert_int_eq(refreshes, 1);
	ck_assert_int_eq(marks, 1); /* after a restart the clock is not behind this */
	expiry_arm(&set);
	expect_armed(NS_PER_S / 4); /* until nothing shows it any more */
}
END_TEST

START_TEST(sealed_it_goes_all_the_same)
{
	nodes[0].expires_ns = now_ns + HOUR / 2;
	state = VAULT_SEALED;
	expiry_arm(&set);
	expect_armed(HOUR / 2);
	timer.handler((sd_event_source *)&timer, 0, timer.arg);
	ck_assert_int_eq(refreshes, 1);
	ck_assert_int_eq(marks, 0);
}
END_TEST

START_TEST(what_lost_its_name_expires_too_and_what_is_denied_does_not)
{
	nodes[0].expires_ns = now_ns + HOUR / 4;
	nodes[0].denied = true;
	nodes[1].expires_ns = now_ns + HOUR / 2;
	nodes[1].linked = false;
	expiry_arm(&set);
	expect_armed(HOUR / 2);
}
END_TEST

START_TEST(the_time_is_marked_each_hour_though_nothing_expires)
{
	expiry_arm(&set);
	expect_armed(HOUR);
	timer.handler((sd_event_source *)&timer, 0, timer.arg);
	ck_assert_int_eq(marks, 1);
}
END_TEST

START_TEST(what_is_shown_since_brings_the_timer_forward_only)
{
	nodes[0].expires_ns = now_ns + HOUR / 2;
	expiry_arm(&set);
	nodes[1].expires_ns = now_ns + HOUR / 8;
	expiry_shown(&container);
	expect_armed(HOUR / 8);
	nodes[1].expires_ns = 0;
	expiry_shown(&container);
	ck_assert_int_eq(timer.armed, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("expiry");
	TCase *t = tcase_create("expiry");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, the_timer_counts_through_suspend_for_what_is_left);
	tcase_add_test(t, what_expired_while_the_host_slept_is_looked_at_at_once);
	tcase_add_test(t, sealed_it_goes_all_the_same);
	tcase_add_test(t, what_lost_its_name_expires_too_and_what_is_denied_does_not);
	tcase_add_test(t, the_time_is_marked_each_hour_though_nothing_expires);
	tcase_add_test(t, what_is_shown_since_brings_the_timer_forward_only);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
