/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call by which the log touches the disk fails, or is where the process dies, one after the
 * other. Whatever happens: no line whose flush was acknowledged is missing, and the next start
 * takes the log for undamaged.
 *
 * The calls are taken over by defining them here: the program's own definition goes before the C
 * library's.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "log_fixture.h"

enum fault {
	FAIL_ONCE,
	FAIL_FROM_NOW_ON,
	DIE_BEFORE,
	DIE_AFTER,
	DIE_HALF_WAY, /* of a write */
	FAULTS,
};

struct shared {
	int calls;
	uint64_t acknowledged;
	bool finished;
};

static struct shared *shared;
static enum fault fault;
static int fault_at; /* which call; 0: none */
static bool counting;

/* Whether the call in hand is to fail; may not return. */
static bool strikes(void)
{
	if (!counting)
		return false;
	shared->calls++;
	if (fault_at == 0 || shared->calls < fault_at)
		return false;
	if (shared->calls > fault_at)
		return fault == FAIL_FROM_NOW_ON;
	if (fault == DIE_BEFORE)
		_exit(0);
	return fault == FAIL_ONCE || fault == FAIL_FROM_NOW_ON;
}

static void after(void)
{
	if (counting && shared->calls == fault_at && fault == DIE_AFTER)
		_exit(0);
}

#define TAKEN_OVER(...)                 \
	long result_;                   \
	if (strikes()) {                \
		errno = EIO;            \
		return -1;              \
	}                               \
	result_ = syscall(__VA_ARGS__); \
	after();                        \
	return result_

ssize_t write(int fd, const void *bytes, size_t len)
{
	if (counting && shared->calls + 1 == fault_at && fault == DIE_HALF_WAY) {
		syscall(SYS_write, fd, bytes, len / 2);
		_exit(0);
	}
	TAKEN_OVER(SYS_write, fd, bytes, len);
}

int fdatasync(int fd)
{
	TAKEN_OVER(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	TAKEN_OVER(SYS_fsync, fd);
}

int ftruncate(int fd, off_t size)
{
	TAKEN_OVER(SYS_ftruncate, fd, size);
}

int renameat(int from, const char *old, int to, const char *new)
{
	TAKEN_OVER(SYS_renameat2, from, old, to, new, 0);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned int flags)
{
	TAKEN_OVER(SYS_renameat2, from, old, to, new, flags);
}

int unlinkat(int dir, const char *name, int flags)
{
	TAKEN_OVER(SYS_unlinkat, dir, name, flags);
}

static void add_and_flush(struct audit *a, int count)
{
	for (int i = 0; i < count; i++)
		audit_add(a, "test.line", json_pack("{si}", "i", i));
	if (audit_flush(a, NULL) == 0)
		shared->acknowledged = audit_lines(a);
}

/* Two lives of a log, with rotation and pruning. Runs in a child. */
static void scenario(void)
{
	for (int life = 0; life < 2; life++) {
		struct audit *a = NULL;

		counting = true;
		if (audit_open(state, &a, NULL) < 0)
			_exit(0);
		audit_set_limits(a, 1500, 2, AUDIT_BACKLOG_MAX);
		log_key(a, 1);
		for (int i = 0; i < 5; i++)
			add_and_flush(a, 3 + i);
		audit_close(a);
		counting = false;
	}
	shared->finished = true;
	_exit(0);
}

static void run(enum fault kind, int at)
{
	int status;
	pid_t child;

	*shared = (struct shared){ 0 };
	fault = kind;
	fault_at = at;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		scenario();
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

static void check_log(enum fault kind, int at)
{
	struct audit *a = log_open();
	char names[AUDIT_FILES_MAX + 1][64];
	int fds[AUDIT_FILES_MAX + 1], count;
	struct verdict v;

	ck_assert_msg(audit_lines(a) >= shared->acknowledged, "fault %d at call %d: %llu of %llu",
	              kind, at, (unsigned long long)audit_lines(a),
	              (unsigned long long)shared->acknowledged);
	log_key(a, 1);
	log_fill(a, 1);
	v = log_verify(a);
	ck_assert_msg(v.result == 0, "fault %d at call %d: %s", kind, at, v.e.text);
	count = audit_files(a, fds, names);
	for (int i = 0; i < count; i++) {
		SCOPED(free_ptr) char *text = file_read(names[i]);

		ck_assert_msg(count_of(text, "audit.damaged") == 0, "fault %d at call %d", kind,
		              at);
		close(fds[i]);
	}
	audit_close(a);
}

START_TEST(no_acknowledged_line_is_lost_wherever_a_call_fails_or_the_process_dies)
{
	enum fault kind = (enum fault)_i;
	int calls;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	              0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	folder_make();
	run(kind, 0);
	ck_assert(shared->finished);
	calls = shared->calls;
	ck_assert_int_gt(calls, 60);
	check_log(kind, 0);
	folder_remove();
	for (int at = 1; at <= calls; at++) {
		folder_make();
		run(kind, at);
		ck_assert_int_ge(shared->calls + (kind == DIE_HALF_WAY), at);
		check_log(kind, at);
		folder_remove();
	}
	munmap(shared, sizeof(*shared));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");
	TCase *t = tcase_create("faults");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t,
	                    no_acknowledged_line_is_lost_wherever_a_call_fails_or_the_process_dies,
	                    0, FAULTS);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
