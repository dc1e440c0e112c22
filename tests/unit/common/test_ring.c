/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/ring.h"

#define HAMMER_PUTS 300000
#define UIDS 8
#define NODES 8

static unsigned char *memory;
static struct ring *ring;

static void setup(void)
{
	memory = mmap(NULL, ring_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	ring = ring_format(memory);
}

static void teardown(void)
{
	munmap(memory, ring_size());
}

static struct ring_record make(uint64_t node, int16_t result)
{
	return (struct ring_record){
		.time_ns = 1000,
		.node = node,
		.version = 1,
		.count = 1,
		.event = RING_OPEN,
		.result = result,
	};
}

static int put(uint64_t node, int16_t result)
{
	struct ring_record r = make(node, result);
	bool wake;

	return ring_put(ring, &r, 0, &wake);
}

static int take(struct ring_record *ret)
{
	bool corrupt = false;
	int n = ring_take(ring, ret, &corrupt);

	ck_assert(!corrupt);
	return n;
}

START_TEST(records_come_out_in_order_and_whole)
{
	struct ring_record r = make(0, 0), got;
	bool wake;

	r.uid = 1001;
	r.pid = 4242;
	memset(r.text, 'x', sizeof(r.text));
	for (uint64_t i = 1; i <= 100; i++) {
		r.node = i;
		ck_assert_int_eq(ring_put(ring, &r, 0, &wake), 0);
		ck_assert(!wake);
	}
	for (uint64_t i = 1; i <= 100; i++) {
		r.node = i;
		ck_assert_int_eq(take(&got), 1);
		ck_assert_int_eq(memcmp(&got, &r, sizeof(r)), 0);
	}
	ck_assert_int_eq(take(&got), 0);
}
END_TEST

START_TEST(only_a_formatted_ring_can_be_attached)
{
	ck_assert_ptr_eq(ring_attach(memory), ring);
	memory[0] ^= 1;
	ck_assert_ptr_null(ring_attach(memory));
	memory[0] ^= 1;
	memory[4] ^= 1;
	ck_assert_ptr_null(ring_attach(memory));
}
END_TEST

START_TEST(granted_opens_leave_the_reserve_to_refusals)
{
	struct ring_record got;
	uint64_t lines = 0, refused = 0;

	for (int i = 0; i < RING_SLOTS - RING_RESERVED + 50; i++)
		ck_assert_int_eq(put(1, 0), 0);
	for (int i = 0; i < RING_RESERVED; i++)
		ck_assert_int_eq(put(1, -EACCES), 0);
	while (take(&got)) {
		lines++;
		refused += got.result != 0 && got.count == 1 && !got.last_ns;
	}
	ck_assert_uint_eq(refused, RING_RESERVED);
	ck_assert_uint_eq(lines, RING_SLOTS + 1);
}
END_TEST

START_TEST(equal_events_fold_with_count_and_times_when_the_ring_is_full)
{
	struct ring_record r = make(5, 0), got;
	bool wake;

	for (int i = 0; i < RING_SLOTS - RING_RESERVED; i++)
		ck_assert_int_eq(put(1, 0), 0);
	for (int i = 0; i < 1000; i++) {
		r.time_ns = 2000 + i;
		r.uid = i % 2 ? 7 : 8;
		ck_assert_int_eq(ring_put(ring, &r, 0, &wake), 0);
	}
	for (int i = 0; i < RING_SLOTS - RING_RESERVED; i++)
		ck_assert_int_eq(take(&got), 1);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(take(&got), 1);
		ck_assert_uint_eq(got.count, 500);
		ck_assert_int_eq(got.time_ns, got.uid == 8 ? 2000 : 2001);
		ck_assert_int_eq(got.last_ns, got.uid == 8 ? 2998 : 2999);
	}
	ck_assert_int_eq(take(&got), 0);
}
END_TEST

START_TEST(a_full_ring_refuses_what_does_not_fold_and_refusals_last)
{
	int granted = 0, refused = 0;

	while (put((uint64_t)granted + 1, 0) == 0)
		granted++;
	ck_assert_int_eq(granted, RING_SLOTS - RING_RESERVED + RING_FOLDS - RING_FOLDS_RESERVED);
	while (put((uint64_t)refused + 1, -EACCES) == 0)
		refused++;
	ck_assert_int_eq(refused, RING_RESERVED + RING_FOLDS_RESERVED);
	ck_assert_int_eq(put(1, -EACCES), -ENOSPC);
	ck_assert_int_eq(put((uint64_t)granted, 0), 0);
	ck_assert_int_eq(put((uint64_t)refused, -EACCES), 0);
}
END_TEST

START_TEST(noted_gaps_come_last_as_one_record)
{
	struct ring_record got;

	put(1, 0);
	ring_note_gap(ring);
	ring_note_gap(ring);
	ck_assert_int_eq(take(&got), 1);
	ck_assert_uint_eq(got.event, RING_OPEN);
	ck_assert_int_eq(take(&got), 1);
	ck_assert_uint_eq(got.event, 0);
	ck_assert_uint_eq(got.count, 2);
	ck_assert_int_eq(take(&got), 0);
}
END_TEST

START_TEST(what_was_taken_but_not_released_comes_again)
{
	struct ring_record got;
	uint64_t sum = 0;

	for (int i = 0; i < RING_SLOTS - RING_RESERVED + 10; i++)
		put(3, 0);
	ring_note_gap(ring);
	while (take(&got))
		sum += got.count;
	ck_assert_uint_eq(sum, RING_SLOTS - RING_RESERVED + 11);
	/* Its room is not free yet. */
	ck_assert_int_eq(put(4, 0), 0);
	ring_rewind(ring, 0);
	sum = 0;
	while (take(&got))
		sum += got.count;
	ck_assert_uint_eq(sum, RING_SLOTS - RING_RESERVED + 12);
	ring_release(ring);
	ring_rewind(ring, 0);
	ck_assert_int_eq(take(&got), 0);
}
END_TEST

START_TEST(what_is_in_the_log_does_not_come_again)
{
	struct ring_record got;
	uint64_t line = 100;

	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(put(3, 0), 0);
	while (take(&got))
		ring_mark(ring, ++line);
	/* The log was found to end at line 104: four of the ten are in it. */
	ring_rewind(ring, 104);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(take(&got), 1);
	ck_assert_int_eq(take(&got), 0);
}
END_TEST

START_TEST(what_is_in_the_log_behind_one_that_waits_does_not_come_again)
{
	static const uint64_t lines[] = { RING_WAITS, 101, RING_WAITS, 102, 103 };
	struct ring_record r;

	for (uint64_t n = 1; n <= 5; n++)
		ck_assert_int_eq(put(n, 0), 0);
	for (size_t i = 0; i < 5; i++) {
		ck_assert_int_eq(take(&r), 1);
		ring_mark(ring, lines[i]);
	}
	/* Also when the broker that takes over is killed before its own lines are written. */
	for (int turn = 0; turn < 3; turn++) {
		static const uint64_t again[] = { 1, 3, 5 };

		ring_rewind(ring, 102);
		for (size_t i = 0; i < 3; i++) {
			ck_assert_int_eq(take(&r), 1);
			ck_assert_uint_eq(r.node, again[i]);
			ring_mark(ring, 200 + i);
		}
		ck_assert_int_eq(take(&r), 0);
	}
	ring_release(ring);
	/* Nothing of that sticks to the slots. */
	for (uint64_t n = 0; n < 3 * RING_SLOTS; n++) {
		ck_assert_int_eq(put(1000 + n, 0), 0);
		ck_assert_int_eq(take(&r), 1);
		ck_assert_uint_eq(r.node, 1000 + n);
		ring_mark(ring, 300 + n);
		ring_release(ring);
	}
}
END_TEST

START_TEST(what_waits_to_become_a_line_keeps_its_room_and_comes_again)
{
	struct ring_record got;

	ck_assert_int_eq(put(3, 0), 0);
	ck_assert_int_eq(put(3, 0), 0);
	ck_assert_int_eq(take(&got), 1);
	ring_mark(ring, 7);
	ck_assert_int_eq(take(&got), 1);
	ring_mark(ring, RING_WAITS);
	ring_release(ring);
	ring_rewind(ring, 7);
	ck_assert_int_eq(take(&got), 1);
	ring_mark(ring, RING_WAITS);
	ring_mark_waiting(ring, 8);
	ring_rewind(ring, 8);
	ck_assert_int_eq(take(&got), 0);
}
END_TEST

START_TEST(folded_records_in_the_log_do_not_come_again_either)
{
	struct ring_record got;
	uint64_t sum = 0, line = 0;

	for (int i = 0; i < RING_SLOTS - RING_RESERVED + 10; i++)
		put(3, 0);
	while (take(&got))
		ring_mark(ring, ++line);
	ring_rewind(ring, line);
	while (take(&got))
		sum += got.count;
	ck_assert_uint_eq(sum, 0);
}
END_TEST

START_TEST(a_sleeping_consumer_is_woken_once_and_a_busy_one_never)
{
	struct ring_record r = make(1, 0), got;
	bool wake;

	put(1, 0);
	ck_assert(!ring_sleep(ring));
	ck_assert_int_eq(take(&got), 1);
	ck_assert(ring_sleep(ring));
	ring_put(ring, &r, 0, &wake);
	ck_assert(wake);
	ring_put(ring, &r, 0, &wake);
	ck_assert(!wake);
	while (take(&got))
		;
	ring_note_gap(ring);
	ck_assert(!ring_sleep(ring));
}
END_TEST

START_TEST(any_bytes_a_hostile_producer_writes_leave_the_consumer_sound)
{
	struct ring_record got;
	int corrupted = 0;

	srandom(7);
	for (int round = 0; round < 2000; round++) {
		bool corrupt = false;

		for (int i = 0; i < 200; i++)
			memory[16 + (size_t)random() % (round % 2 ? 496 : ring_size() - 16)] =
				(unsigned char)random();
		for (int i = 0; i < 2 * RING_SLOTS; i++) {
			bool bad = false;
			int n = ring_take(ring, &got, &bad);

			corrupt = corrupt || bad;
			if (n == 0)
				break;
			if (got.event) {
				ck_assert_uint_le(got.event, RING_EVENT_LAST);
				ck_assert_int_le(got.result, 0);
				ck_assert_uint_ge(got.count, 1);
			}
		}
		corrupted += corrupt;
		ring_sleep(ring);
		ring_rewind(ring, 0);
		ring_recover(ring);
	}
	ck_assert_int_gt(corrupted, 100);
}
END_TEST

/* A producer of mixed events; tells through shared memory how many puts returned 0, for each kind.
 */
struct tally {
	_Atomic uint64_t granted[UIDS][NODES], refused, gaps, wakes;
	_Atomic int done;
};
static struct tally *tally;

static void produce(void)
{
	unsigned int seed = 1;

	for (int i = 0; i < HAMMER_PUTS; i++) {
		struct ring_record r = make((uint64_t)rand_r(&seed) % NODES, 0);
		bool wake;

		r.uid = (uint32_t)rand_r(&seed) % UIDS;
		r.time_ns = i + 1;
		if (i % 64 == 0)
			r.result = -EACCES;
		if (ring_put(ring, &r, 0, &wake) == 0) {
			if (r.result)
				tally->refused++;
			else
				tally->granted[r.uid][r.node]++;
			tally->wakes += wake;
		} else {
			ring_note_gap(ring);
			tally->gaps++;
		}
	}
	tally->done = 1;
}

struct sums {
	uint64_t granted[UIDS][NODES], refused, gaps, folded;
};

static void count(struct sums *s, const struct ring_record *r)
{
	s->folded += r->count > 1;
	if (r->event == 0)
		s->gaps += r->count;
	else if (r->result)
		s->refused += r->count;
	else
		s->granted[r->uid][r->node] += r->count;
}

/* `slow`: pauses between takes, so that the ring runs full and folding happens beside taking. */
static void consume(struct sums *s, bool slow)
{
	struct ring_record r;
	bool last = false;

	for (;;) {
		bool corrupt = false;

		if (ring_take(ring, &r, &corrupt)) {
			ck_assert(!corrupt);
			count(s, &r);
			if (slow)
				for (volatile int i = 0; i < 2000; i++)
					;
			continue;
		}
		ring_release(ring);
		if (last)
			return;
		last = tally->done;
		sched_yield();
	}
}

static void compare(const struct sums *s)
{
	for (int u = 0; u < UIDS; u++)
		for (int n = 0; n < NODES; n++)
			ck_assert_msg(s->granted[u][n] == tally->granted[u][n],
			              "uid %d node %d: %llu taken, %llu put", u, n,
			              (unsigned long long)s->granted[u][n],
			              (unsigned long long)tally->granted[u][n]);
	ck_assert_uint_eq(s->refused, tally->refused);
	ck_assert_uint_eq(s->gaps, tally->gaps);
}

static void setup_hammer(void)
{
	setup();
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	             0);
	ck_assert_ptr_ne(tally, MAP_FAILED);
}

static void teardown_hammer(void)
{
	munmap(tally, sizeof(*tally));
	teardown();
}

static void *producer_thread(void *arg)
{
	(void)arg;
	produce();
	return NULL;
}

START_TEST(no_count_is_lost_or_doubled_between_two_threads)
{
	struct sums s = { 0 };
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, producer_thread, NULL), 0);
	consume(&s, _i != 0);
	pthread_join(thread, NULL);
	compare(&s);
	if (_i)
		ck_assert_uint_gt(s.folded, 0);
}
END_TEST

START_TEST(no_count_is_lost_or_doubled_between_two_processes)
{
	struct sums s = { 0 };
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		produce();
		_exit(0);
	}
	consume(&s, _i != 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	compare(&s);
	if (_i)
		ck_assert_uint_gt(s.folded, 0);
}
END_TEST

/*
 * Producers are killed wherever they are; each successor goes on. An event whose put was under way
 * may be in the ring once more than was counted, so for each kill the sum may be one higher, never
 * lower.
 */
START_TEST(killed_producers_lose_nothing_that_was_acknowledged)
{
	enum { KILLS = 60 };
	struct sums s = { 0 };
	struct ring_record r;
	uint64_t put_sum, took = 0;
	bool corrupt = false;

	for (int k = 0; k < KILLS; k++) {
		uint64_t start = tally->refused;
		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		if (child == 0)
			for (;;)
				produce();
		while (tally->refused < start + 50)
			if (ring_take(ring, &r, &corrupt))
				count(&s, &r);
			else
				ring_release(ring);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		ring_recover(ring);
	}
	while (ring_take(ring, &r, &corrupt))
		count(&s, &r);
	put_sum = tally->refused + tally->gaps;
	took = s.refused + s.gaps;
	for (int u = 0; u < UIDS; u++)
		for (int n = 0; n < NODES; n++) {
			put_sum += tally->granted[u][n];
			took += s.granted[u][n];
		}
	ck_assert_uint_ge(took, put_sum);
	ck_assert_uint_le(took, put_sum + KILLS);
}
END_TEST

static void *sleepy_producer(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 20000; i++) {
		struct ring_record r = make(1, 0);
		bool wake;

		while (ring_put(ring, &r, 0, &wake) < 0)
			sched_yield();
		if (wake)
			ck_assert_int_eq(write(fd, "w", 1), 1);
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* A lost wake-up would leave the consumer in read(2) for ever: the time limit of the test. */
START_TEST(no_wake_up_is_lost)
{
	struct ring_record r;
	uint64_t sum = 0;
	pthread_t thread;
	int fds[2];
	char c;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, sleepy_producer, &fds[1]), 0);
	while (sum < 20000) {
		while (take(&r))
			sum += r.count;
		if (sum < 20000 && ring_sleep(ring))
			ck_assert_int_eq(read(fds[0], &c, 1), 1);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(sum, 20000);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring");
	TCase *t = tcase_create("ring"), *hammer = tcase_create("hammer");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, records_come_out_in_order_and_whole);
	tcase_add_test(t, only_a_formatted_ring_can_be_attached);
	tcase_add_test(t, granted_opens_leave_the_reserve_to_refusals);
	tcase_add_test(t, equal_events_fold_with_count_and_times_when_the_ring_is_full);
	tcase_add_test(t, a_full_ring_refuses_what_does_not_fold_and_refusals_last);
	tcase_add_test(t, noted_gaps_come_last_as_one_record);
	tcase_add_test(t, what_was_taken_but_not_released_comes_again);
	tcase_add_test(t, folded_records_in_the_log_do_not_come_again_either);
	tcase_add_test(t, what_is_in_the_log_behind_one_that_waits_does_not_come_again);
	tcase_add_test(t, what_waits_to_become_a_line_keeps_its_room_and_comes_again);
	tcase_add_test(t, what_is_in_the_log_does_not_come_again);
	tcase_add_test(t, a_sleeping_consumer_is_woken_once_and_a_busy_one_never);
	tcase_add_test(t, any_bytes_a_hostile_producer_writes_leave_the_consumer_sound);
	tcase_add_test(t, no_wake_up_is_lost);
	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(hammer, setup_hammer, teardown_hammer);
	tcase_set_timeout(hammer, 60);
	tcase_add_loop_test(hammer, no_count_is_lost_or_doubled_between_two_threads, 0, 2);
	tcase_add_loop_test(hammer, no_count_is_lost_or_doubled_between_two_processes, 0, 2);
	tcase_add_test(hammer, killed_producers_lose_nothing_that_was_acknowledged);
	suite_add_tcase(suite, hammer);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
