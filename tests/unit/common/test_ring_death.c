/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A producer that dies at any instruction of ring_put, and a successor that is asked the same
 * again: the record is there once. A child puts one record and is stepped through it, instruction
 * by instruction; after each the memory is what a producer killed there would have left.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/ring.h"

#define REQUEST 40
#define NODE 7

static unsigned char *memory, *left;

static void setup(void)
{
	memory = mmap(NULL, ring_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	left = aligned_alloc(64, (ring_size() + 63) / 64 * 64);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_ptr_nonnull(left);
	ring_format(memory);
}

static void teardown(void)
{
	munmap(memory, ring_size());
	free(left);
}

static int put(struct ring *ring, uint64_t node, uint64_t request)
{
	const struct ring_record r = {
		.time_ns = 1000, .node = node, .version = 1, .count = 1, .event = RING_OPEN
	};
	bool wake;

	return ring_put(ring, &r, request, &wake);
}

static uint64_t take_all(struct ring *ring, uint64_t node)
{
	struct ring_record r;
	bool corrupt = false;
	uint64_t count = 0;

	while (ring_take(ring, &r, &corrupt) == 1)
		count += r.node == node ? r.count : 0;
	ck_assert(!corrupt);
	return count;
}

/* What the broker does at a worker's end, and then its successor. Returns how often NODE is in the log. */
static uint64_t account(bool released)
{
	struct ring *ring = ring_attach(left);
	uint64_t count;

	ring_recover(ring);
	count = take_all(ring, NODE);
	if (released)
		ring_release(ring);
	ck_assert_int_eq(put(ring, NODE, REQUEST), 0);
	/* Another request for the same is another record. */
	ck_assert_int_eq(put(ring, NODE, REQUEST + 2), 0);
	return count + take_all(ring, NODE) - 1;
}

static pid_t start_producer(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		put((struct ring *)memory, NODE, REQUEST);
		raise(SIGSTOP);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSTOPPED(status));
	return child;
}

/* Returns at how many instructions the ring had changed. */
static int step_through(uint64_t before)
{
	pid_t child = start_producer();
	unsigned char *last = malloc(ring_size());
	int status, changes = 0;

	ck_assert_ptr_nonnull(last);
	memcpy(last, memory, ring_size());
	for (;;) {
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSTOPPED(status));
		if (WSTOPSIG(status) == SIGSTOP)
			break;
		if (memcmp(last, memory, ring_size()) == 0)
			continue;
		changes++;
		memcpy(last, memory, ring_size());
		for (int released = 0; released <= 1; released++) {
			memcpy(left, memory, ring_size());
			ck_assert_uint_eq(account(released), before + 1);
		}
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	free(last);
	memcpy(left, memory, ring_size());
	ck_assert_uint_eq(account(true), before + 1);
	return changes;
}

static void fill_main(void)
{
	for (uint64_t i = 0; i < RING_SLOTS - RING_RESERVED; i++)
		ck_assert_int_eq(put((struct ring *)memory, 1000, 0), 0);
}

START_TEST(a_record_of_its_own_is_there_once)
{
	ck_assert_int_gt(step_through(0), 3);
}
END_TEST

START_TEST(the_first_of_a_folded_group_is_counted_once)
{
	fill_main();
	ck_assert_int_gt(step_through(0), 5);
}
END_TEST

START_TEST(one_more_of_a_folded_group_is_counted_once)
{
	fill_main();
	ck_assert_int_eq(put((struct ring *)memory, NODE, REQUEST - 4), 0);
	ck_assert_int_eq(put((struct ring *)memory, NODE, REQUEST - 2), 0);
	ck_assert_int_gt(step_through(2), 3);
}
END_TEST

START_TEST(a_slot_that_had_another_group_before_is_counted_once)
{
	struct ring *ring = (struct ring *)memory;

	fill_main();
	for (uint64_t i = 0; i < RING_FOLDS - RING_FOLDS_RESERVED; i++)
		ck_assert_int_eq(put(ring, 2000 + i, 0), 0);
	take_all(ring, 0);
	ring_release(ring);
	fill_main();
	ck_assert_int_gt(step_through(0), 5);
}
END_TEST

START_TEST(numbers_of_another_mount_say_nothing)
{
	struct ring *ring = (struct ring *)memory;

	ck_assert_int_eq(put(ring, NODE, REQUEST), 0);
	ck_assert_int_eq(put(ring, NODE, REQUEST), 0);
	ck_assert_uint_eq(take_all(ring, NODE), 1);
	ring_forget_request(ring);
	ck_assert_int_eq(put(ring, NODE, REQUEST), 0);
	ck_assert_uint_eq(take_all(ring, NODE), 1);
}
END_TEST

START_TEST(what_was_refused_for_want_of_room_is_recorded_when_there_is_some)
{
	struct ring *ring = (struct ring *)memory;
	uint64_t i = 0;

	fill_main();
	while (put(ring, 2000 + i, 0) == 0)
		i++;
	ck_assert_int_eq(put(ring, NODE, REQUEST), -ENOSPC);
	take_all(ring, 0);
	ring_release(ring);
	ck_assert_int_eq(put(ring, NODE, REQUEST), 0);
	ck_assert_uint_eq(take_all(ring, NODE), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("a producer's death");
	TCase *t = tcase_create("ring");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_record_of_its_own_is_there_once);
	tcase_add_test(t, the_first_of_a_folded_group_is_counted_once);
	tcase_add_test(t, one_more_of_a_folded_group_is_counted_once);
	tcase_add_test(t, a_slot_that_had_another_group_before_is_counted_once);
	tcase_add_test(t, numbers_of_another_mount_say_nothing);
	tcase_add_test(t, what_was_refused_for_want_of_room_is_recorded_when_there_is_some);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
