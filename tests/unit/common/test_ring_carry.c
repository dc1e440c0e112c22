/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records out of the ring of another build: here one with fewer slots, a longer header and longer
 * records, laid out by hand.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../../common/ring_layout.h"
#include "coffer/cleanup.h"
#include "coffer/ring.h"

#define SLOTS 48
#define FOLDS 8
#define HEADER_SIZE 256
#define RECORD_SIZE 128
#define STATE_AT ((HEADER_SIZE + 8 * (SLOTS + FOLDS) + 63) / 64 * 64)
#define FOLD_AT (STATE_AT + FOLDS)
#define MAIN_AT (FOLD_AT + FOLDS * RECORD_SIZE)
#define SIZE (MAIN_AT + SLOTS * RECORD_SIZE)

static unsigned char *foreign;
static struct ring_head *head;
static struct ring *ours;

static void setup(void)
{
	foreign = calloc(1, SIZE);
	ours = ring_format(aligned_alloc(64, (ring_size() + 63) / 64 * 64));
	memset(ours, 0, ring_size());
	ring_format(ours);
	head = (struct ring_head *)(void *)foreign;
	*head = (struct ring_head){
		.magic = RING_MAGIC,
		.layout = 77,
		.slots = SLOTS,
		.folds = FOLDS,
		.header_size = HEADER_SIZE,
		.record_size = RECORD_SIZE,
		.fold_used = FOLDS,
	};
}

static void teardown(void)
{
	free(foreign);
	free(ours);
}

static void set_record(size_t at, uint64_t node, uint32_t count, uint16_t event)
{
	const struct ring_record r = {
		.time_ns = 1000, .node = node, .version = 1, .count = count, .event = event
	};

	memcpy(foreign + at, &r, sizeof(r));
	memset(foreign + at + sizeof(r), 0xee, RECORD_SIZE - sizeof(r)); /* what we do not know */
}

static void set_line(size_t place, uint64_t line)
{
	memcpy(foreign + HEADER_SIZE + 8 * place, &line, sizeof(line));
}

static void put_main(uint64_t node)
{
	set_record(MAIN_AT + (head->head++ % SLOTS) * RECORD_SIZE, node, 1, RING_OPEN);
}

static void put_fold(size_t i, uint8_t state, uint64_t node, uint32_t count)
{
	set_record(FOLD_AT + i * RECORD_SIZE, node, count, RING_OPEN);
	foreign[STATE_AT + i] = state;
}

/* The sum of what is in our ring for `node`. */
static uint64_t carried(uint64_t node)
{
	struct ring_record r;
	bool corrupt = false;
	uint64_t count = 0;

	ring_rewind(ours, 0);
	while (ring_take(ours, &r, &corrupt) == 1)
		count += r.event != 0 && r.node == node ? r.count : 0;
	ck_assert(!corrupt);
	return count;
}

static uint64_t gaps(void)
{
	struct ring_record r;
	bool corrupt = false;
	uint64_t count = 0;

	while (ring_take(ours, &r, &corrupt) == 1)
		count += r.event == 0 ? r.count : 0;
	return count;
}

START_TEST(what_is_not_in_the_log_is_carried_over)
{
	head->head = head->released = head->taken = 40; /* the slots begin again in between */
	for (uint64_t node = 1; node <= 20; node++)
		put_main(node);
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 20);
	for (uint64_t node = 1; node <= 20; node++)
		ck_assert_uint_eq(carried(node), 1);
	ck_assert_uint_eq(carried(21), 0);
}
END_TEST

START_TEST(what_is_in_the_log_is_not)
{
	for (uint64_t node = 1; node <= 6; node++)
		put_main(node);
	head->taken = 4;
	set_line(0, 99);
	set_line(1, 100);
	set_line(2, 101); /* was not written any more */
	set_line(3, RING_WAITS);
	put_fold(0, FOLD_TAKEN, 10, 5);
	set_line(SLOTS, 98);
	put_fold(1, FOLD_TAKEN, 11, 6);
	set_line(SLOTS + 1, RING_WAITS);
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 5);
	ck_assert_uint_eq(carried(1) + carried(2), 0);
	ck_assert_uint_eq(carried(3) + carried(4) + carried(5) + carried(6), 4);
	ck_assert_uint_eq(carried(10), 0);
	ck_assert_uint_eq(carried(11), 6);
}
END_TEST

START_TEST(what_is_in_the_log_behind_one_that_waits_is_not)
{
	head->head = head->released = head->taken = 40;
	for (uint64_t node = 1; node <= 4; node++)
		put_main(node);
	/* Its broker went over the ring and began anew: the second and third are in the log. */
	set_line((40 + 1) % SLOTS, RING_DONE | 41);
	set_line((40 + 2) % SLOTS, RING_DONE | 42);
	set_line((40 + 3) % SLOTS, RING_DONE | (43 - SLOTS)); /* of an earlier lap */
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 2);
	ck_assert_uint_eq(carried(1) + carried(4), 2);
	ck_assert_uint_eq(carried(2) + carried(3), 0);
}
END_TEST

START_TEST(a_line_behind_one_that_waits_is_not_either)
{
	for (uint64_t node = 1; node <= 2; node++)
		put_main(node);
	head->taken = 2;
	set_line(0, RING_WAITS);
	set_line(1, 100);
	head->run = 0x1234;
	ck_assert_uint_eq(ring_carry_run(foreign, SIZE), 0x1234);
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 1);
	ck_assert_uint_eq(carried(1), 1);
	ck_assert_uint_eq(carried(2), 0);
}
END_TEST

START_TEST(folds_keep_their_counts_and_half_made_ones_are_not_there)
{
	put_fold(0, FOLD_FULL, 1, 1000);
	put_fold(1, FOLD_ADDING, 2, 500);
	put_fold(2, FOLD_FILLING, 3, 1);
	put_fold(3, FOLD_FREE, 4, 1);
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 2);
	ck_assert_uint_eq(carried(1), 1000);
	ck_assert_uint_eq(carried(2), 500);
	ck_assert_uint_eq(carried(3) + carried(4), 0);
}
END_TEST

START_TEST(gaps_and_events_of_a_later_build_are_noted_as_gaps)
{
	head->gaps = 12;
	head->gaps_released = 5;
	set_record(MAIN_AT, 1, 3, RING_EVENT_LAST + 1);
	head->head = 1;
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 0);
	ck_assert_uint_eq(gaps(), 10);
}
END_TEST

static int put_again(uint64_t request)
{
	const struct ring_record r = {
		.time_ns = 1000, .node = 5, .version = 1, .count = 1, .event = RING_OPEN
	};
	bool wake;

	return ring_put(ours, &r, request, &wake);
}

START_TEST(a_request_in_hand_is_recorded_once)
{
	head->request = 8;
	head->head_before = 0;
	put_main(5); /* its record is there */
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 1);
	ck_assert_int_eq(put_again(8), 0);
	ck_assert_uint_eq(carried(5), 1);
	ck_assert_int_eq(put_again(10), 0);
	ck_assert_uint_eq(carried(5), 2);
}
END_TEST

START_TEST(a_request_whose_record_is_not_there_is_recorded)
{
	put_main(5);
	head->request = 8;
	head->head_before = head->head; /* it died before it put the record */
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 1);
	ck_assert_int_eq(put_again(8), 0);
	ck_assert_uint_eq(carried(5), 2);
}
END_TEST

START_TEST(a_request_recorded_in_a_fold_is_recorded_once)
{
	head->request = 8;
	head->fold_used = 2;
	head->count_before = 6;
	put_fold(2, FOLD_ADDING, 5, 7);
	ck_assert_int_eq(ring_carry(ours, foreign, SIZE, 100), 1);
	ck_assert_int_eq(put_again(8), 0);
	ck_assert_uint_eq(carried(5), 7);
}
END_TEST

START_TEST(more_than_ours_holds_is_folded)
{
	unsigned char *large;
	struct ring *full = ring_format(aligned_alloc(64, (ring_size() + 63) / 64 * 64));
	bool wake;

	memset(full, 0, ring_size());
	ring_format(full);
	for (uint64_t i = 0; i < RING_SLOTS + 100; i++) {
		const struct ring_record r = {
			.time_ns = 1, .node = i % 4, .version = 1, .count = 1, .event = RING_OPEN
		};

		ck_assert_int_eq(ring_put(full, &r, 0, &wake), 0);
	}
	large = (unsigned char *)full;
	for (uint64_t i = 0; i < 100; i++) /* ours is half full when they come */
		ck_assert_int_eq(put_again(0), 0);
	ck_assert_int_ge(ring_carry(ours, large, ring_size(), 0), 1);
	ck_assert_uint_eq(carried(0) + carried(1) + carried(2) + carried(3), RING_SLOTS + 100);
	free(full);
}
END_TEST

/* What a process that was taken over may have left. */
static const struct {
	const char *name;
	size_t offset;
	uint64_t value;
	size_t len;
} nonsense[] = {
	{ "magic", offsetof(struct ring_head, magic), 1, 4 },
	{ "no slots", offsetof(struct ring_head, slots), 0, 4 },
	{ "more slots than fit", offsetof(struct ring_head, slots), SLOTS + 1, 4 },
	{ "slots beyond all", offsetof(struct ring_head, slots), UINT32_MAX, 4 },
	{ "folds beyond all", offsetof(struct ring_head, folds), UINT32_MAX, 4 },
	{ "short header", offsetof(struct ring_head, header_size), 8, 4 },
	{ "long header", offsetof(struct ring_head, header_size), UINT32_MAX - 7, 4 },
	{ "odd header", offsetof(struct ring_head, header_size), HEADER_SIZE + 1, 4 },
	{ "short record", offsetof(struct ring_head, record_size), 8, 4 },
	{ "long record", offsetof(struct ring_head, record_size), UINT32_MAX - 7, 4 },
	{ "head far ahead", offsetof(struct ring_head, head), SLOTS + 1, 8 },
	{ "taken ahead of head", offsetof(struct ring_head, taken), 5, 8 },
	{ "released ahead of head", offsetof(struct ring_head, released), 5, 8 },
};

START_TEST(nonsense_is_refused)
{
	memcpy(foreign + nonsense[_i].offset, &nonsense[_i].value, nonsense[_i].len);
	ck_assert_msg(ring_carry(ours, foreign, SIZE, 0) == -EBADMSG, "%s", nonsense[_i].name);
}
END_TEST

START_TEST(memory_that_is_too_short_is_refused)
{
	for (size_t size = 0; size < SIZE; size++)
		ck_assert_int_eq(ring_carry(ours, foreign, size, 0), -EBADMSG);
}
END_TEST

/* Their ring has the same places; only what says how long its parts are was not there. */
START_TEST(records_of_the_first_builds_are_carried_over)
{
	const size_t size = (size_t)ring_size();
	unsigned char *first = aligned_alloc(64, (size + 63) / 64 * 64);
	struct ring_record record = { .time_ns = 1, .node = 5, .count = 1, .event = RING_OPEN };
	bool wake;

	memset(first, 0, size);
	ck_assert_int_eq(ring_put(ring_format(first), &record, 0, &wake), 0);
	((struct ring_head *)(void *)first)->header_size = 0;
	((struct ring_head *)(void *)first)->record_size = 0;
	ck_assert_int_eq(ring_carry(ours, first, size, 0), 1);
	ck_assert_uint_eq(carried(5), 1);
	free(first);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_carry");
	TCase *tests = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, what_is_not_in_the_log_is_carried_over);
	tcase_add_test(tests, what_is_in_the_log_is_not);
	tcase_add_test(tests, what_is_in_the_log_behind_one_that_waits_is_not);
	tcase_add_test(tests, a_line_behind_one_that_waits_is_not_either);
	tcase_add_test(tests, folds_keep_their_counts_and_half_made_ones_are_not_there);
	tcase_add_test(tests, gaps_and_events_of_a_later_build_are_noted_as_gaps);
	tcase_add_test(tests, a_request_in_hand_is_recorded_once);
	tcase_add_test(tests, a_request_whose_record_is_not_there_is_recorded);
	tcase_add_test(tests, a_request_recorded_in_a_fold_is_recorded_once);
	tcase_add_test(tests, more_than_ours_holds_is_folded);
	tcase_add_loop_test(tests, nonsense_is_refused, 0, (int)ARRAY_LEN(nonsense));
	tcase_add_test(tests, memory_that_is_too_short_is_refused);
	tcase_add_test(tests, records_of_the_first_builds_are_carried_over);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
