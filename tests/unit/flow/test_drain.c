/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What workers noted becomes lines: one container's real ring, budget and counts; the log is a sum.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "audit/audit.h"
#include "coffer/json.h"
#include "flow/container.h"
#include "server/audit_pump.h"
#include "server/config.h"

#define BUDGET 10

static struct config config = { .audit_budget = BUDGET };
static struct broker broker = { .config = &config };
static struct containers set;
static char name[] = "web";
static struct container web;
static void *memory;
static uint64_t lines, counted; /* of the log, and what they stand for */
static uint64_t flushed;        /* lines that are on its disk */
static bool disk_full;

/* What drain.c asks of others. */
int audit_add_at(struct audit *a, int64_t time_ns, const char *event, json_t *fields)
{
	counted += (uint64_t)json_integer_value(json_object_get(fields, "count"));
	json_decref(fields);
	lines++;
	return 0;
}

uint64_t audit_lines(const struct audit *a)
{
	return lines;
}

bool audit_dirty(const struct audit *a)
{
	return lines != flushed;
}

int audit_pump_flush(struct audit_pump *p, struct err *e)
{
	if (disk_full)
		return -ENOSPC;
	flushed = lines;
	containers_log_flushed(&set);
	return 0;
}

void registry_save_soon(struct container *c)
{
}

void uptake_check(struct containers *s, const struct container *c)
{
}

void mount_failed(struct container *c, const char *why)
{
	ck_abort_msg("%s", why);
}

void update_drop_released(struct container *c)
{
}

static void setup(void)
{
	struct err e;

	lines = counted = flushed = 0;
	disk_full = false;
	ck_assert_int_eq(sd_event_new(&broker.event), 0);
	set = (struct containers){ .b = &broker, .first = &web };
	memory = aligned_alloc(64, (ring_size() + 63) / 64 * 64);
	ck_assert_ptr_nonnull(memory);
	memset(memory, 0, ring_size());
	web = (struct container){ .set = &set,
		                  .ring = ring_format(memory),
		                  .facts.subject.name = name,
		                  .instance_text = "aa11" };
	ck_assert_int_eq(drain_new(&set, &e), 0);
}

static void teardown(void)
{
	drain_free(&set);
	sd_event_unref(broker.event);
	free(memory);
}

static void open_files(uint64_t n)
{
	const struct ring_record record = { .event = RING_OPEN, .uid = 7 };
	bool wake;

	while (n--)
		ck_assert_int_eq(ring_put(web.ring, &record, 0, &wake), 0);
}

START_TEST(all_that_came_before_the_log_is_asked_is_in_it)
{
	/* More than the ring tells apart: some of it folds … */
	open_files(5000);
	drain_promptly(&web);
	drain_all(&set);
	ck_assert_uint_eq(counted, 5000);
	/* … some of it alone, while the rest of the ring is not on disk … */
	open_files(5000);
	disk_full = true;
	drain_all(&set);
	open_files(5000);
	/* … and that is all that a look finds; so its counts wait when more comes. */
	disk_full = false;
	ck_assert_int_eq(audit_pump_flush(NULL, NULL), 0);
	drain_promptly(&web);
	open_files(5000);
	drain_all(&set);
	ck_assert_uint_eq(counted, 20000);
}
END_TEST

START_TEST(a_log_on_a_full_disk_takes_room_of_the_ring_once)
{
	disk_full = true;
	for (int i = 0; i < 100; i++) {
		open_files(5000);
		drain_promptly(&web);
		drain_all(&set);
	}
	disk_full = false;
	drain_all(&set);
	ck_assert_uint_eq(counted, 500000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drain");
	TCase *t = tcase_create("drain");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, all_that_came_before_the_log_is_asked_is_in_it);
	tcase_add_test(t, a_log_on_a_full_disk_takes_room_of_the_ring_once);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
