/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "fixture.h"

static struct store *store;

static void open_store(void)
{
	store = fixture_store();
}

static void close_it(void)
{
	store_close(store);
	store = NULL;
}

static void setup(void)
{
	fixture_empty();
	fixture_close();
	open_store();
}

static void teardown(void)
{
	close_it();
	fixture_teardown();
}

static const unsigned char *key_of(enum store_class class, unsigned char last)
{
	static unsigned char key[4][STORE_KEY_LEN];
	static unsigned int turn;
	unsigned char *k = key[turn++ % 4];

	memset(k, 0, STORE_KEY_LEN);
	k[0] = (unsigned char)class;
	k[STORE_KEY_LEN - 1] = last;
	return k;
}

static int put(enum store_class class, unsigned char last, const char *text,
               const struct store_bytes *expected)
{
	return store->backend->put(store, key_of(class, last),
	                           (struct store_bytes){ text, strlen(text) }, expected, &fix.err);
}

static void begin(void)
{
	ck_ok(store->backend->begin(store, &fix.err));
}

static void commit(void)
{
	ck_ok(store->backend->commit(store, &fix.err));
}

static void expect(enum store_class class, unsigned char last, const char *text)
{
	SCOPED(free_ptr) void *bytes = NULL;
	size_t len = 0;
	int r = store->backend->get(store, key_of(class, last), &bytes, &len, &fix.err);

	if (!text) {
		ck_assert_int_eq(r, 0);
		return;
	}
	ck_assert_int_eq(r, 1);
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_mem_eq(bytes, text, len);
}

START_TEST(a_commit_keeps_and_a_rollback_undoes)
{
	begin();
	ck_ok(put(STORE_DOC, 1, "doc", NULL));
	ck_ok(put(STORE_BODY, 1, "body", NULL));
	ck_ok(put(STORE_BODY, 2, "", NULL));
	commit();
	begin();
	ck_ok(put(STORE_DOC, 1, "changed", NULL));
	ck_ok(store->backend->remove(store, key_of(STORE_BODY, 1), &fix.err));
	expect(STORE_DOC, 1, "changed");
	store->backend->rollback(store);
	expect(STORE_DOC, 1, "doc");
	expect(STORE_BODY, 1, "body");
	close_it();
	open_store();
	expect(STORE_DOC, 1, "doc");
	expect(STORE_BODY, 1, "body");
	expect(STORE_BODY, 2, "");
	expect(STORE_BODY, 3, NULL);
	begin();
	ck_ok(store->backend->remove(store, key_of(STORE_BODY, 1), &fix.err));
	ck_ok(store->backend->remove(store, key_of(STORE_BODY, 9), &fix.err));
	commit();
	expect(STORE_BODY, 1, NULL);
	ck_assert_int_eq(store->backend->watch(store), 0);
}
END_TEST

START_TEST(what_was_not_committed_is_gone_after_closing)
{
	begin();
	ck_ok(put(STORE_DOC, 1, "doc", NULL));
	close_it();
	open_store();
	expect(STORE_DOC, 1, NULL);
}
END_TEST

START_TEST(changes_need_a_transaction)
{
	ck_fails(-EINVAL, put(STORE_DOC, 1, "doc", NULL));
	ck_fails(-EINVAL, store->backend->remove(store, key_of(STORE_DOC, 1), &fix.err));
	ck_fails(-EINVAL, store->backend->commit(store, &fix.err));
	begin();
	ck_fails(-EINVAL, store->backend->begin(store, &fix.err));
	commit();
}
END_TEST

START_TEST(compare_and_set_sets_only_what_is_as_expected)
{
	const struct store_bytes absent = { NULL, 0 }, doc = { "doc", 3 }, other = { "dox", 3 },
				 empty = { "", 0 };

	begin();
	ck_fails(-EAGAIN, put(STORE_DOC, 1, "new", &doc));
	ck_ok(put(STORE_DOC, 1, "doc", &absent));
	ck_fails(-EAGAIN, put(STORE_DOC, 1, "new", &absent));
	ck_fails(-EAGAIN, put(STORE_DOC, 1, "new", &other));
	ck_fails(-EAGAIN, put(STORE_DOC, 1, "new", &empty));
	expect(STORE_DOC, 1, "doc");
	ck_ok(put(STORE_DOC, 1, "new", &doc));
	expect(STORE_DOC, 1, "new");
	commit();
}
END_TEST

static int collect(void *arg, const unsigned char key[STORE_KEY_LEN], struct store_bytes value)
{
	char *text = arg;

	sprintf(text + strlen(text), "%d:%.*s ", key[STORE_KEY_LEN - 1], (int)value.len,
	        (const char *)value.bytes);
	return key[STORE_KEY_LEN - 1] == 9 ? -ECANCELED : 0;
}

START_TEST(a_scan_visits_one_class_and_can_be_ended)
{
	char text[256] = "";

	begin();
	ck_ok(put(STORE_HEADER, 0, "h", NULL));
	ck_ok(put(STORE_ROOT, 0, "r", NULL));
	ck_ok(put(STORE_DOC, 2, "b", NULL));
	ck_ok(put(STORE_DOC, 1, "a", NULL));
	ck_ok(put(STORE_BODY, 9, "x", NULL));
	ck_ok(put(STORE_BODY, 10, "y", NULL));
	commit();
	ck_ok(store->backend->scan(store, STORE_DOC, collect, text, &fix.err));
	ck_assert_str_eq(text, "1:a 2:b ");
	text[0] = '\0';
	ck_fails(-ECANCELED, store->backend->scan(store, STORE_BODY, collect, text, &fix.err));
	ck_assert_str_eq(text, "9:x ");
	text[0] = '\0';
	ck_ok(store->backend->scan(store, STORE_HEADER, collect, text, &fix.err));
	ck_assert_str_eq(text, "0:h ");
}
END_TEST

START_TEST(a_record_has_at_most_two_mebibytes)
{
	char *bytes = calloc(1, STORE_VALUE_MAX + 1);
	SCOPED(free_ptr) void *back = NULL;
	size_t len = 0;

	ck_assert_ptr_nonnull(bytes);
	begin();
	ck_ok(store->backend->put(store, key_of(STORE_BODY, 1),
	                          (struct store_bytes){ bytes, STORE_VALUE_MAX }, NULL, &fix.err));
	ck_fails(-EFBIG, store->backend->put(store, key_of(STORE_BODY, 1),
	                                     (struct store_bytes){ bytes, STORE_VALUE_MAX + 1 },
	                                     NULL, &fix.err));
	commit();
	ck_assert_int_eq(store->backend->get(store, key_of(STORE_BODY, 1), &back, &len, &fix.err),
	                 1);
	ck_assert_uint_eq(len, STORE_VALUE_MAX);
	free(bytes);
}
END_TEST

START_TEST(a_second_broker_is_told_which_folder_is_taken)
{
	struct store *second = NULL;
	int other = open(fix.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_fails(-EWOULDBLOCK, store_sqlite_open(other, fix.dir, &second, &fix.err));
	ck_assert_ptr_null(second);
	ck_assert_ptr_nonnull(strstr(fix.err.text, fix.dir));
	close_it();
	ck_ok(store_sqlite_open(other, fix.dir, &second, &fix.err));
	store_close(second);
	fd_close(other);
	open_store();
}
END_TEST

START_TEST(a_reader_with_sqlite_cannot_come_between)
{
	char path[128];
	sqlite3 *db = NULL;

	begin();
	ck_ok(put(STORE_DOC, 1, "doc", NULL));
	commit();
	fixture_path(path, fix.dir, FIXTURE_FILE);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM small", NULL, NULL, NULL), SQLITE_BUSY);
	/* And the other way round: what holds the file keeps the broker out, with a reason. */
	close_it();
	fixture_sql(db, "PRAGMA locking_mode = EXCLUSIVE");
	fixture_sql(db, "BEGIN EXCLUSIVE; DELETE FROM small");
	ck_fails(-EWOULDBLOCK, store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err));
	sqlite3_close(db);
	open_store();
	expect(STORE_DOC, 1, "doc");
}
END_TEST

START_TEST(files_are_the_brokers_alone)
{
	static const char *const files[] = { FIXTURE_FILE, FIXTURE_FILE "-wal" };
	struct stat st;

	umask(0);
	close_it();
	ck_assert_int_eq(unlinkat(fix.dirfd, FIXTURE_FILE, 0), 0);
	open_store();
	begin();
	ck_ok(put(STORE_DOC, 1, "doc", NULL));
	commit();
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		ck_assert_int_eq(fstatat(fix.dirfd, files[i], &st, AT_SYMLINK_NOFOLLOW), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
	}
	ck_assert_int_eq(faccessat(fix.dirfd, FIXTURE_FILE "-shm", F_OK, 0), -1);
	close_it();
	ck_assert_int_eq(fchmodat(fix.dirfd, FIXTURE_FILE, 0666, 0), 0);
	open_store();
	ck_assert_int_eq(fstatat(fix.dirfd, FIXTURE_FILE, &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(the_file_says_what_it_is)
{
	unsigned char bytes[100];
	int fd;

	close_it();
	fd = openat(fix.dirfd, FIXTURE_FILE, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	ck_assert_mem_eq(bytes + 68, "CFFR", 4);
	ck_assert_mem_eq(bytes + 60, "\0\0\0\1", 4);
	fd_close(fd);
}
END_TEST

static const struct foreign {
	const char *what, *sql;
	int error;
} foreign[] = {
	{ "another program's id", "PRAGMA application_id = 1", -EBADMSG },
	{ "no id", "PRAGMA application_id = 0", -EBADMSG },
	{ "a later format", "PRAGMA user_version = 2", -EPROTONOSUPPORT },
	{ "no format", "PRAGMA user_version = 0", -EPROTONOSUPPORT },
	{ "a table more", "CREATE TABLE x (y)", -EBADMSG },
	{ "a table less", "DROP TABLE large", -EBADMSG },
	{ "no table", "DROP TABLE large; DROP TABLE small", -EBADMSG },
	{ "a trigger", "CREATE TRIGGER t AFTER INSERT ON small BEGIN DELETE FROM large; END",
	  -EBADMSG },
	{ "a view", "CREATE VIEW v AS SELECT * FROM small", -EBADMSG },
	{ "an index", "CREATE INDEX i ON small (value)", -EBADMSG },
	{ "a column more", "ALTER TABLE small ADD COLUMN z TEXT", -EBADMSG },
};

START_TEST(a_database_that_is_not_ours_is_refused_and_left_alone)
{
	const struct foreign *row = &foreign[_i];
	sqlite3 *db;
	int r;

	close_it();
	db = fixture_db();
	fixture_sql(db, row->sql);
	sqlite3_close(db);
	r = store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err);
	ck_assert_msg(r == row->error, "%s: %d: %s", row->what, r, fix.err.text);
	ck_assert_msg(strstr(fix.err.text, fix.dir) != NULL, "%s: %s", row->what, fix.err.text);
	ck_assert_ptr_null(store);
}
END_TEST

static void write_file(const void *bytes, size_t len)
{
	int fd;

	close_it();
	fd = openat(fix.dirfd, FIXTURE_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	fd_close(fd);
}

START_TEST(a_file_that_is_no_database_is_refused)
{
	static const size_t lengths[] = { 1, 99, 100, 511, 512, 4096, 9999 };
	char bytes[9999];

	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		write_file(bytes, lengths[i]);
		ck_fails(-EBADMSG, store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err));
		ck_assert_ptr_nonnull(strstr(fix.err.text, fix.dir));
	}
}
END_TEST

static int count(void *arg, const unsigned char key[STORE_KEY_LEN], struct store_bytes value)
{
	++*(size_t *)arg;
	return 0;
}

START_TEST(a_torn_file_is_refused)
{
	static char bytes[1 << 20];
	ssize_t len;
	int fd, r;

	begin();
	for (int i = 0; i < 200; i++)
		ck_ok(put(STORE_DOC, (unsigned char)i,
		          "a document of some length, so that the file has some pages", NULL));
	commit();
	close_it();
	fd = openat(fix.dirfd, FIXTURE_FILE, O_RDONLY | O_CLOEXEC);
	len = read(fd, bytes, sizeof(bytes));
	fd_close(fd);
	ck_assert_int_gt(len, 5 * 4096);
	for (ssize_t cut = 1; cut < len; cut += 2048) {
		size_t n = 0;

		write_file(bytes, (size_t)cut);
		r = store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err);
		if (r == 0)
			r = store->backend->scan(store, STORE_DOC, count, &n, &fix.err);
		ck_assert_msg(r == -EBADMSG, "cut to %zd: %d, %zu records: %s", cut, r, n,
		              fix.err.text);
	}
}
END_TEST

START_TEST(only_an_ordinary_file_is_opened)
{
	close_it();
	ck_assert_int_eq(renameat(fix.dirfd, FIXTURE_FILE, fix.dirfd, "elsewhere"), 0);
	ck_assert_int_eq(symlinkat("elsewhere", fix.dirfd, FIXTURE_FILE), 0);
	ck_fails(-ELOOP, store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err));
	ck_assert_int_eq(unlinkat(fix.dirfd, FIXTURE_FILE, 0), 0);
	ck_assert_int_eq(linkat(fix.dirfd, "elsewhere", fix.dirfd, FIXTURE_FILE, 0), 0);
	ck_fails(-EBADMSG, store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err));
	ck_assert_int_eq(unlinkat(fix.dirfd, FIXTURE_FILE, 0), 0);
	ck_assert_int_eq(unlinkat(fix.dirfd, "elsewhere", 0), 0);
	ck_assert_int_eq(mkfifoat(fix.dirfd, FIXTURE_FILE, 0600), 0);
	ck_fails(-EBADMSG, store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err));
}
END_TEST

START_TEST(a_file_made_but_never_written_counts_as_new)
{
	write_file("", 0);
	open_store();
	begin();
	ck_ok(put(STORE_DOC, 1, "doc", NULL));
	commit();
}
END_TEST

/* Needs root: a small file system of the test's own, seen by nobody else and gone with the test's
 * process. */
static void mount_small(const char *options)
{
	close_it();
	ck_assert_msg(unshare(CLONE_NEWNS) == 0, "this test needs root: %s", strerror(errno));
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("coffer-test", fix.dir, "tmpfs", 0, options), 0);
	fd_close(fix.dirfd);
	fix.dirfd = open(fix.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fix.dirfd, 0);
}

static void unmount_small(void)
{
	close_it();
	fixture_close();
	fd_close(fix.dirfd);
	ck_assert_int_eq(umount2(fix.dir, MNT_DETACH), 0);
	fix.dirfd = open(fix.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Fill what the file system has left. */
static void fill(void)
{
	static const char zeros[4096];
	int fd = openat(fix.dirfd, "filler", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	fd_close(fd);
}

START_TEST(a_full_disk_refuses_changes_and_loses_nothing)
{
	uint64_t version = 0;
	unsigned int stored = 0;
	char text[4000];
	int r = 0;

	mount_small("size=1m");
	fixture_reopen();
	fixture_init();
	memset(text, 'v', sizeof(text));
	fixture_put("before", "kept");
	fill();
	while (r == 0 && stored < 1000) {
		r = fixture_try_put("filling", text, sizeof(text), &version);
		stored += r == 0;
	}
	ck_assert_msg(r == -ENOSPC, "%d: %s", r, fix.err.text);
	ck_assert_ptr_nonnull(strstr(fix.err.text, "full"));
	ck_fails(-ENOSPC, fixture_try_put("another", text, sizeof(text), &version));
	fixture_expect("before", 0, "kept");
	ck_fails(-ENOENT, fixture_try_get("another", 0));
	/* A broker that starts on the full disk serves as well. */
	fixture_restart();
	fixture_expect("before", 0, "kept");
	ck_assert_int_eq(fixture_try_get("filling", 0), stored ? 0 : -ENOENT);
	/* With room again it goes on, without a restart. */
	ck_assert_int_eq(unlinkat(fix.dirfd, "filler", 0), 0);
	ck_ok(fixture_try_put("another", text, sizeof(text), &version));
	fixture_restart();
	ck_ok(fixture_try_get("another", 0));
	fixture_expect("before", 0, "kept");
	unmount_small();
}
END_TEST

START_TEST(a_read_only_disk_says_so)
{
	mount_small("size=1m");
	open_store();
	close_it();
	ck_assert_int_eq(mount(NULL, fix.dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_fails(-EROFS, store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err));
	ck_assert_ptr_nonnull(strstr(fix.err.text, fix.dir));
	unmount_small();
}
END_TEST

START_TEST(the_log_is_moved_into_the_database_as_it_grows)
{
	static char bytes[100000];
	struct stat st;

	for (unsigned char i = 0; i < 200; i++) {
		memset(bytes, i, sizeof(bytes));
		begin();
		ck_ok(store->backend->put(store, key_of(STORE_BODY, i % 10),
		                          (struct store_bytes){ bytes, sizeof(bytes) }, NULL,
		                          &fix.err));
		commit();
	}
	ck_assert_int_eq(fstatat(fix.dirfd, FIXTURE_FILE "-wal", &st, 0), 0);
	ck_assert_int_lt(st.st_size, 8 << 20); /* 20 MB went through it */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tests = tcase_create("store");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_commit_keeps_and_a_rollback_undoes);
	tcase_add_test(tests, what_was_not_committed_is_gone_after_closing);
	tcase_add_test(tests, changes_need_a_transaction);
	tcase_add_test(tests, compare_and_set_sets_only_what_is_as_expected);
	tcase_add_test(tests, a_scan_visits_one_class_and_can_be_ended);
	tcase_add_test(tests, a_record_has_at_most_two_mebibytes);
	tcase_add_test(tests, a_second_broker_is_told_which_folder_is_taken);
	tcase_add_test(tests, a_reader_with_sqlite_cannot_come_between);
	tcase_add_test(tests, files_are_the_brokers_alone);
	tcase_add_test(tests, the_file_says_what_it_is);
	tcase_add_loop_test(tests, a_database_that_is_not_ours_is_refused_and_left_alone, 0,
	                    ARRAY_LEN(foreign));
	tcase_add_test(tests, a_file_that_is_no_database_is_refused);
	tcase_add_test(tests, a_torn_file_is_refused);
	tcase_add_test(tests, only_an_ordinary_file_is_opened);
	tcase_add_test(tests, a_file_made_but_never_written_counts_as_new);
	tcase_add_test(tests, a_full_disk_refuses_changes_and_loses_nothing);
	tcase_add_test(tests, a_read_only_disk_says_so);
	tcase_add_test(tests, the_log_is_moved_into_the_database_as_it_grows);
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
