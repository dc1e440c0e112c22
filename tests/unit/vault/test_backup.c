/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy is the store at one moment, whatever is changed while it is made; and a copy that is put in
 * a store's place is there whole, or not at all, wherever the process that does it is killed.
 */
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "workload.h"

#define INSTALLER "installer"
#define COPY "restore.part"
#define CALLS_MAX 200

/* The copy made to its end; -errno of the step that failed. */
static int finish_copy(struct store_copy *c)
{
	uint64_t done = 0, total = 0;
	int r;

	while ((r = store_copy_step(c, &done, &total, &fix.err)) == 1)
		ck_assert_uint_le(done, total);
	if (r == 0)
		ck_assert_uint_eq(done, total);
	return r;
}

static struct store_copy *begin_copy(void)
{
	struct store_copy *c = NULL;

	ck_ok(vault_copy_begin(fix.vault, &c, &fix.err));
	return c;
}

/* A descriptor of a whole copy. */
static int copy_fd(void)
{
	struct store_copy *c = begin_copy();
	int fd;

	ck_ok(finish_copy(c));
	fd = store_copy_take(c);
	store_copy_free(c);
	ck_assert_int_ge(fd, 0);
	return fd;
}

struct image {
	unsigned char *bytes;
	size_t len;
	struct vault *vault;
};

static int image_open(struct image *i, int fd)
{
	struct store *store = NULL;
	struct stat st;
	int r;

	ck_assert_int_eq(fstat(fd, &st), 0);
	i->len = (size_t)st.st_size;
	i->bytes = malloc(i->len);
	ck_assert_int_eq(pread(fd, i->bytes, i->len, 0), st.st_size);
	r = store_sqlite_open_image(i->bytes, i->len, &store, &fix.err);
	if (r == 0) {
		r = store_sqlite_check(store, &fix.err);
		if (r < 0)
			store_close(store);
	}
	return r < 0 ? r : vault_open(store, &i->vault, &fix.err);
}

static void image_close(struct image *i)
{
	vault_free(i->vault);
	free(i->bytes);
}

static void expect_workload(int fd, size_t steps)
{
	struct image i = { 0 };
	uint64_t versions = 0;

	ck_ok(image_open(&i, fd));
	ck_ok(vault_unseal(i.vault, 1, fix.key, 0, false, &fix.err));
	ck_assert(workload_is(i.vault, steps));
	ck_ok(vault_check(i.vault, &versions, &fix.err));
	image_close(&i);
	close(fd);
}

static void apply(size_t from, size_t to)
{
	for (size_t step = from; step < to; step++)
		ck_ok(workload_apply(fix.vault, fix.key, step, &fix.err));
}

static void no_file_left(void)
{
	struct stat st;

	ck_assert_int_eq(fstatat(fix.dirfd, "backup.part", &st, 0), -1);
	ck_assert_int_eq(errno, ENOENT);
}

START_TEST(a_copy_holds_all_that_the_store_holds)
{
	apply(0, ARRAY_LEN(workload));
	expect_workload(copy_fd(), ARRAY_LEN(workload));
	no_file_left();
}
END_TEST

START_TEST(a_sealed_store_is_copied_too)
{
	apply(0, 4);
	vault_seal(fix.vault);
	expect_workload(copy_fd(), 4);
}
END_TEST

START_TEST(a_store_that_is_not_there_is_not_copied)
{
	struct store_copy *c = NULL;

	ck_fails(-ENOKEY, vault_copy_begin(fix.vault, &c, &fix.err));
	ck_assert_ptr_null(c);
}
END_TEST

/* Some MB, so that a copy takes several steps. */
static void fill(void)
{
	static unsigned char value[SECRET_VALUE_MAX];
	uint64_t version;

	for (char name[] = "fill-a"; name[5] < 'f'; name[5]++)
		ck_ok(fixture_try_put(name, value, sizeof(value), &version));
}

START_TEST(what_changes_while_it_is_made_is_in_it)
{
	uint64_t done, total, versions = 0;
	struct store_copy *c;
	struct image i = { 0 };
	int fd, steps = 0;

	apply(0, 3);
	fill();
	c = begin_copy();
	while (store_copy_step(c, &done, &total, &fix.err) == 1) {
		char name[16];

		snprintf(name, sizeof(name), "new-%d", steps++);
		fixture_put(name, name);
		/* So does one that is taken back. */
		ck_fails(-EAGAIN, vault_put(fix.vault,
		                            &(struct vault_item){ .name = "b",
		                                                  .value = fix.key,
		                                                  .has_if_version = true,
		                                                  .if_version = 77 },
		                            1, &versions, &fix.err));
	}
	ck_assert_int_gt(steps, 3);
	fd = store_copy_take(c);
	store_copy_free(c);
	ck_ok(image_open(&i, fd));
	ck_ok(vault_unseal(i.vault, 1, fix.key, 0, false, &fix.err));
	ck_ok(vault_check(i.vault, &versions, &fix.err));
	ck_assert_uint_eq(vault_epoch(i.vault), vault_epoch(fix.vault));
	ck_assert_uint_eq(vault_count(i.vault), vault_count(fix.vault));
	image_close(&i);
	close(fd);
}
END_TEST

START_TEST(one_that_is_given_up_leaves_nothing_and_the_store_goes_on)
{
	uint64_t done, total;
	struct store_copy *c;

	apply(0, 3);
	fill();
	c = begin_copy();
	ck_assert_int_eq(store_copy_step(c, &done, &total, &fix.err), 1);
	store_copy_free(c);
	no_file_left();
	apply(3, 4);
	fixture_restart();
	fixture_expect("a", 0, "55555555555");
}
END_TEST

START_TEST(the_wrong_key_and_a_damaged_value_are_told)
{
	SCOPED(secret_free_ptr) struct secret *wrong = secret_copy(fix.key->bytes, fix.key->len);
	struct image i = { 0 };
	uint64_t versions = 0;
	sqlite3 *db;
	int fd;

	wrong->bytes[0] ^= 1;
	apply(0, 3);
	fd = copy_fd();
	ck_ok(image_open(&i, fd));
	ck_fails(-EKEYREJECTED, vault_unseal(i.vault, 1, wrong, 0, false, &fix.err));
	image_close(&i);
	close(fd);

	fixture_close();
	db = fixture_db();
	fixture_sql(db, "UPDATE large SET value = zeroblob(length(value)) WHERE rowid = 1");
	sqlite3_close(db);
	fixture_reopen();
	i = (struct image){ 0 };
	fd = copy_fd();
	ck_ok(image_open(&i, fd));
	ck_ok(vault_unseal(i.vault, 1, fix.key, 0, false, &fix.err));
	ck_fails(-EBADMSG, vault_check(i.vault, &versions, &fix.err));
	image_close(&i);
	close(fd);
}
END_TEST

/* --- putting one in place --- */

static void write_copy(int fd)
{
	SCOPED_FD int to = openat(fix.dirfd, COPY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char bytes[65536];
	ssize_t n;

	ck_assert_int_ge(to, 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		ck_assert_int_eq(write(to, bytes, (size_t)n), n);
	ck_assert_int_eq(n, 0);
}

static void remove_store(void)
{
	fixture_close();
	unlinkat(fix.dirfd, FIXTURE_FILE, 0);
	unlinkat(fix.dirfd, FIXTURE_FILE "-wal", 0);
}

/* What the broker does, in a process that is killed at the nth call of a kind. */
static int install_all(const char *dir)
{
	SCOPED_FD int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct store *store = NULL;
	struct vault *v = NULL;
	struct err e = { "" };
	int r = store_sqlite_open(dirfd, dir, &store, &e);

	if (r == 0)
		r = vault_open(store, &v, &e);
	vault_free(v);
	if (r == 0)
		r = store_sqlite_install(dirfd, dir, COPY, &e);
	if (r == 0)
		r = store_sqlite_open(dirfd, dir, &store, &e);
	if (r == 0)
		store_close(store);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* -1: it was not killed, there is no nth call. */
static int run_installer(const char *call, unsigned int nth)
{
	char inject[64], trace[64], log[128], self[4096];
	char *const argv[] = { (char *)(uintptr_t) "strace",
		               (char *)(uintptr_t) "-f",
		               (char *)(uintptr_t) "-o",
		               log,
		               (char *)(uintptr_t) "-e",
		               trace,
		               (char *)(uintptr_t) "-e",
		               inject,
		               self,
		               (char *)(uintptr_t)INSTALLER,
		               fix.dir,
		               NULL };
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int status = 0, r;
	pid_t pid;

	ck_assert_int_gt(len, 0);
	self[len] = '\0';
	fixture_path(log, fix.dir, "strace");
	snprintf(trace, sizeof(trace), "trace=%s", call);
	snprintf(inject, sizeof(inject), "inject=%s:signal=SIGKILL:when=%u", call, nth);
	r = posix_spawnp(&pid, "strace", NULL, NULL, argv, environ);
	ck_assert_msg(r == 0, "this test needs strace: %s", strerror(r));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	unlinkat(fix.dirfd, "strace", 0);
	if (WIFEXITED(status)) {
		ck_assert_msg(WEXITSTATUS(status) == 0, "%s %u: failed", call, nth);
		return -1;
	}
	return 0;
}

static const char *const install_calls[] = { "fsync",     "unlinkat",  "renameat", "pwrite64",
	                                     "fdatasync", "ftruncate", "unlink",   "openat" };

START_TEST(killed_at_any_call_there_is_no_store_or_the_whole_one)
{
	const char *call = install_calls[_i];
	bool old_seen = false;
	unsigned int nth;
	int fd;

	apply(0, ARRAY_LEN(workload));
	fd = copy_fd();
	for (nth = 1; nth < CALLS_MAX; nth++) {
		int r;

		remove_store();
		write_copy(fd);
		r = run_installer(call, nth);
		ck_ok(vault_open(fixture_store(), &fix.vault, &fix.err));
		if (vault_state(fix.vault) == VAULT_SEALED) {
			ck_ok(fixture_try_unseal());
			ck_assert(workload_is(fix.vault, ARRAY_LEN(workload)));
		} else {
			old_seen = true;
			ck_assert_msg(r == 0, "%s %u: done, and not there", call, nth);
		}
		if (r < 0)
			break;
	}
	ck_assert_msg(nth < CALLS_MAX, "no end of %s", call);
	if (strcmp(call, "fsync") == 0 || strcmp(call, "unlinkat") == 0)
		ck_assert_msg(old_seen && nth > 1, "%s was never struck", call);
	unlinkat(fix.dirfd, COPY, 0);
	close(fd);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tests;
	struct err e = { "" };

	if (argc == 3 && strcmp(argv[1], INSTALLER) == 0)
		return secret_process_init(&e) < 0 ? EXIT_FAILURE : install_all(argv[2]);
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	suite = suite_create("backup");
	tests = tcase_create("backup");
	tcase_add_checked_fixture(tests, fixture_empty, fixture_teardown);
	tcase_set_timeout(tests, 110);
	tcase_add_test(tests, a_copy_holds_all_that_the_store_holds);
	tcase_add_test(tests, a_sealed_store_is_copied_too);
	tcase_add_test(tests, a_store_that_is_not_there_is_not_copied);
	tcase_add_test(tests, what_changes_while_it_is_made_is_in_it);
	tcase_add_test(tests, one_that_is_given_up_leaves_nothing_and_the_store_goes_on);
	tcase_add_test(tests, the_wrong_key_and_a_damaged_value_are_told);
	tcase_add_loop_test(tests, killed_at_any_call_there_is_no_store_or_the_whole_one, 0,
	                    ARRAY_LEN(install_calls));
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
