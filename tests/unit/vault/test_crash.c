/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Killed, or failed by the disk, at every single system call by which the store writes.
 *
 * The program runs itself under strace as the writer, which makes the changes of workload.h and
 * says on standard output which were acknowledged. strace kills it, or fails one call, at the Nth
 * call of a kind, for every N until a run meets none. After each run the store is opened again and
 * compared.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "workload.h"

#define WRITER "writer"
#define KEY_FILL 0x5a  /* the key of the store is made of this byte: both sides know it */
#define CALLS_MAX 1000 /* more calls of one kind than any run makes */
#define TEXT_MAX 4096

/* --- the writer --- */

/* A store is opened and closed again, so that the log is moved over and removed while something is
 * in it. */
static int writer_open(struct vault **ret, const char *dir, const struct secret *key)
{
	SCOPED_FD int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct store *store = NULL;
	struct err e = { "" };
	int r = dirfd < 0 ? -errno : store_sqlite_open(dirfd, dir, &store, &e);

	if (r == 0)
		r = vault_open(store, ret, &e);
	if (r == 0 && vault_state(*ret) == VAULT_SEALED)
		r = vault_unseal(*ret, 1, key, 0, false, &e);
	if (r < 0) {
		dprintf(STDOUT_FILENO, "open %d %s\n", r, e.text);
		vault_free(*ret);
		*ret = NULL;
	}
	return r;
}

static int write_all(const char *dir)
{
	SCOPED(secret_free_ptr) struct secret *key = secret_new(VAULT_KEY_LEN);
	struct vault *v = NULL;
	struct err e;

	memset(key->bytes, KEY_FILL, key->len);
	if (writer_open(&v, dir, key) < 0)
		return EXIT_FAILURE;
	for (size_t step = 0; step < ARRAY_LEN(workload); step++) {
		int r = workload_apply(v, key, step, &e);

		if (r < 0) {
			dprintf(STDOUT_FILENO, "failed %d %s\n", r, e.text);
			r = workload_apply(v, key, step, &e);
		}
		if (r < 0) {
			dprintf(STDOUT_FILENO, "again %d %s\n", r, e.text);
			vault_free(v);
			return EXIT_FAILURE;
		}
		dprintf(STDOUT_FILENO, "done %zu\n", step + 1);
		if (step != ARRAY_LEN(workload) / 2)
			continue;
		vault_free(v);
		v = NULL;
		if (writer_open(&v, dir, key) < 0)
			return EXIT_FAILURE;
	}
	vault_free(v);
	dprintf(STDOUT_FILENO, "end\n");
	return EXIT_SUCCESS;
}

/* --- the test --- */

struct outcome {
	bool injected, killed, ended;
	int open, failed, again; /* errors that the writer met; 0: none */
	size_t acknowledged;
	char text[TEXT_MAX];
};

static void setup(void)
{
	fixture_empty();
	fixture_close();
	memset(fix.key->bytes, KEY_FILL, fix.key->len);
}

static size_t read_file(const char *name, char *text, size_t size)
{
	SCOPED_FD int fd = openat(fix.dirfd, name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

static void parse_outcome(struct outcome *o)
{
	char *state = NULL;

	for (char *line = strtok_r(o->text, "\n", &state); line;
	     line = strtok_r(NULL, "\n", &state)) {
		if (strncmp(line, "done ", 5) == 0)
			o->acknowledged = strtoul(line + 5, NULL, 10);
		else if (strncmp(line, "open ", 5) == 0)
			o->open = (int)strtol(line + 5, NULL, 10);
		else if (strncmp(line, "failed ", 7) == 0)
			o->failed = (int)strtol(line + 7, NULL, 10);
		else if (strncmp(line, "again ", 6) == 0)
			o->again = (int)strtol(line + 6, NULL, 10);
		else if (strcmp(line, "end") == 0)
			o->ended = true;
		else
			ck_abort_msg("the writer says: %s", line);
	}
}

/* One run of the writer in an empty store, with `what` injected into the nth call of `call`. */
static struct outcome run(const char *call, const char *what, unsigned int nth)
{
	char inject[128], log[128], out[128], trace[64], self[4096];
	char *const argv[] = { (char *)(uintptr_t) "strace",
		               (char *)(uintptr_t) "-f",
		               (char *)(uintptr_t) "-o",
		               log,
		               (char *)(uintptr_t) "-e",
		               trace,
		               (char *)(uintptr_t) "-e",
		               inject,
		               self,
		               (char *)(uintptr_t)WRITER,
		               fix.dir,
		               NULL };
	struct outcome o = { 0 };
	posix_spawn_file_actions_t actions;
	char traced[1 << 16];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int status = 0, r;
	pid_t pid;

	ck_assert_int_gt(len, 0);
	self[len] = '\0';
	unlinkat(fix.dirfd, FIXTURE_FILE, 0);
	unlinkat(fix.dirfd, FIXTURE_FILE "-wal", 0);
	unlinkat(fix.dirfd, FIXTURE_FILE "-journal", 0);
	fixture_path(log, fix.dir, "strace");
	fixture_path(out, fix.dir, "out");
	snprintf(trace, sizeof(trace), "trace=%s", call);
	snprintf(inject, sizeof(inject), "inject=%s:%s:when=%u", call, what, nth);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out,
	                                 O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	r = posix_spawnp(&pid, "strace", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	ck_assert_msg(r == 0, "this test needs strace: %s", strerror(r));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	read_file("strace", traced, sizeof(traced));
	o.injected = strstr(traced, "(INJECTED)") || strstr(traced, "killed by SIGKILL");
	o.killed = strstr(traced, "killed by SIGKILL");
	read_file("out", o.text, sizeof(o.text));
	parse_outcome(&o);
	unlinkat(fix.dirfd, "strace", 0);
	unlinkat(fix.dirfd, "out", 0);
	return o;
}

/* The calls by which the store writes; `least`: how many of them a run makes at the very least. */
static const struct call {
	const char *name;
	unsigned int least;
	bool can_be_missed; /* its failure need not fail a change: SQLite only tidies up with it */
} calls[] = {
	{ "pwrite64", 40, false }, { "fdatasync", 9, false }, { "fsync", 1, false },
	{ "ftruncate", 1, true },  { "unlink", 1, true },
};

START_TEST(killed_at_any_call_the_store_keeps_what_was_acknowledged)
{
	const struct call *call = &calls[_i];
	unsigned int nth;

	for (nth = 1; nth < CALLS_MAX; nth++) {
		struct outcome o = run(call->name, "signal=SIGKILL", nth);
		char what[64];

		snprintf(what, sizeof(what), "killed at %s %u", call->name, nth);
		if (!o.injected)
			break;
		ck_assert_msg(o.killed && !o.ended, "%s: it was not", what);
		ck_assert_msg(!o.open && !o.failed, "%s: an error before", what);
		workload_check(o.acknowledged, what);
	}
	ck_assert_msg(nth > call->least && nth < CALLS_MAX, "%u calls of %s", nth - 1, call->name);
}
END_TEST

/* What a failed change, or start, says. After an error that leaves the disk's state unknown the
 * store is done for. */
static void check_error(const struct call *call, const struct outcome *o, int error,
                        const char *what)
{
	const bool sync = strstr(call->name, "sync");
	const bool final = error == -EIO || sync;

	if (o->open) {
		ck_assert_msg(o->open == -EIO || o->open == error, "%s: start: %d", what, o->open);
		return;
	}
	if (o->ended) {
		ck_assert_msg(!o->again, "%s: gave up and went on", what);
		ck_assert_msg(o->failed == 0 || (!final && o->failed == error),
		              "%s: %d, then went on", what, o->failed);
		return;
	}
	ck_assert_msg(final, "%s: not final, but it did not go on", what);
	ck_assert_msg(o->failed == -EIO && o->again == -EIO, "%s: %d, then %d", what, o->failed,
	              o->again);
}

static const struct fault {
	const char *name;
	int error;
} faults[] = {
	{ "EIO", -EIO },
	{ "ENOSPC", -ENOSPC },
};

START_TEST(failed_at_any_call_the_store_says_so_and_stays_whole)
{
	const struct call *call = &calls[_i % (int)ARRAY_LEN(calls)];
	const struct fault *fault = &faults[_i / (int)ARRAY_LEN(calls)];
	unsigned int nth, reported = 0;
	char inject[32];

	snprintf(inject, sizeof(inject), "error=%s", fault->name);
	for (nth = 1; nth < CALLS_MAX; nth++) {
		struct outcome o = run(call->name, inject, nth);
		char what[64];

		snprintf(what, sizeof(what), "%s at %s %u", fault->name, call->name, nth);
		if (!o.injected)
			break;
		ck_assert_msg(!o.killed, "%s: it died", what);
		check_error(call, &o, fault->error, what);
		reported += o.open || o.failed;
		workload_check(o.acknowledged, what);
	}
	ck_assert_msg(nth > call->least && nth < CALLS_MAX, "%u calls of %s", nth - 1, call->name);
	ck_assert_msg(reported || call->can_be_missed, "no failure of %s was reported", call->name);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tests;
	struct err e = { "" };

	if (argc == 3 && strcmp(argv[1], WRITER) == 0)
		return secret_process_init(&e) < 0 ? EXIT_FAILURE : write_all(argv[2]);
	/* A leak checker can't look at a process that strace holds; it has no say in any other
	 * build. */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	suite = suite_create("crash");
	tests = tcase_create("crash");
	tcase_add_checked_fixture(tests, setup, fixture_teardown);
	tcase_set_timeout(tests, 110);
	tcase_add_loop_test(tests, killed_at_any_call_the_store_keeps_what_was_acknowledged, 0,
	                    ARRAY_LEN(calls));
	tcase_add_loop_test(tests, failed_at_any_call_the_store_says_so_and_stays_whole, 0,
	                    ARRAY_LEN(calls) * ARRAY_LEN(faults));
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
