/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker behind a real superblock: the test plays broker and attacher.
 */
#include "fake_container.h"

START_TEST(an_open_from_inside_reads_the_value_and_is_recorded)
{
	struct ring_record record;

	start(0);
	assert_reads("db-password", "version one");
	assert_reads("tls/cert", "certificate");
	assert_reads("link", "certificate");
	ck_assert(fake_record(&broker, RING_OPEN, &record));
	ck_assert_uint_eq(record.node, 2);
	ck_assert_uint_eq(record.version, 20);
	ck_assert_int_eq(record.result, 0);
	ck_assert_uint_eq(record.pid, 1);
	ck_assert_int_eq(inside_open("nothing"), -ENOENT);
}
END_TEST

START_TEST(a_large_value_is_read_whole)
{
	const int len = 200000;
	char *value = calloc(1, (size_t)len + 1);
	int fd, at = 0;

	for (int i = 0; i < len; i++)
		value[i] = (char)('a' + i * 7 % 26);
	fake_start(&broker);
	fake_hello(&broker, 0);
	send_tree();
	fake_file(&broker, 70, 1, "large", value);
	send_mount(false);
	fd = inside_open("large");
	ck_assert_int_ge(fd, 0);
	while (at < len) {
		struct told told = inside(PREAD, fd, at, "");

		ck_assert_int_gt(told.result, 0);
		ck_assert_mem_eq(told.text, value + at, (size_t)told.result);
		at += told.result;
	}
	ck_assert_int_eq(inside(PREAD, fd, at, "").result, 0);
	free(value);
}
END_TEST

START_TEST(attributes_are_those_of_the_version)
{
	struct told told;
	int fd;

	start(0);
	told = inside(STAT, 0, 0, "db-password");
	ck_assert_int_eq(told.result, 0);
	ck_assert_uint_eq(told.st.st_ino, 2);
	ck_assert_uint_eq(told.st.st_mode, S_IFREG | 0444);
	ck_assert_int_eq(told.st.st_size, 11);
	ck_assert_int_eq(told.st.st_mtime, 2000000000);
	fd = inside_open("db-password");
	told = inside(XATTR, fd, 0, "user.coffer.version");
	ck_assert_str_eq(told.text, "20");
	told = inside(XATTR, fd, 0, "user.coffer.expires");
	ck_assert_str_eq(told.text, "2033-05-18T03:33:20.000000Z");
	ck_assert_int_eq(inside(XATTR, fd, 0, "user.other").result, -ENODATA);
}
END_TEST

START_TEST(a_caller_from_outside_is_refused_and_recorded)
{
	struct ring_record record;

	start(0);
	ck_assert_int_eq(openat(box.mnt, "db-password", O_RDONLY), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert(fake_record(&broker, RING_LOOKUP, &record));
	ck_assert_uint_eq(record.pid, 0);
	ck_assert_int_eq(record.result, -EACCES);
	ck_assert_uint_eq(record.node, 2);
	ck_assert_int_eq(openat(box.mnt, "nothing", O_RDONLY), -1);
	ck_assert_int_eq(errno, EACCES); /* no oracle for names */
	assert_reads("db-password", "version one");
	/* The name is in the kernel's cache now: the open itself is refused. */
	ck_assert_int_eq(openat(box.mnt, "db-password", O_RDONLY), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert(fake_record(&broker, RING_OPEN, &record)); /* the container's */
	ck_assert(fake_record(&broker, RING_OPEN, &record));
	ck_assert_int_eq(record.result, -EACCES);
	ck_assert_int_eq(openat(box.mnt, ".", O_RDONLY | O_DIRECTORY), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert(fake_record(&broker, RING_OPENDIR, &record));
	ck_assert_int_eq(faccessat(box.mnt, "kubernetes.io", F_OK, 0), 0);
}
END_TEST

START_TEST(rotation_is_a_rename_that_watchers_see_and_old_descriptors_do_not)
{
	int watch, old;
	struct told told;

	start(0);
	old = inside_open("db-password");
	watch = inside(WATCH, 0, 0, "").result;
	ck_assert_int_ge(watch, 0);
	ck_assert_int_eq(move("60", "db-password"), -EACCES); /* not prepared */
	fake_stage_put(&broker, 60, 1, "db-password", "version two");
	ck_assert_int_eq(fake_prepare(&broker), 0);
	ck_assert_int_eq(move("60", "other"), -EACCES); /* not announced */
	assert_reads("db-password", "version one");
	ck_assert_int_eq(move("60", "db-password"), 0);
	told = inside(EVENT, watch, 0, "");
	ck_assert_int_eq(told.result, IN_MOVED_TO);
	ck_assert_str_eq(told.text, "db-password");
	assert_holds(old, "version one");
	assert_reads("db-password", "version two");
	ck_assert_int_eq(move("60", "db-password"), 0); /* again, as after a killed child */
	ck_assert_int_eq(inside(EVENT, watch, 0, "").result, 0);
	ck_assert_int_eq(fake_finish(&broker), 0);
	ck_assert_int_eq(inside(STAT, 0, 0, FAKE_STAGING).result, -ENOENT);
	assert_holds(old, "version one");
	inside(CLOSE, old, 0, "");
	wait_released(2);
	assert_reads("db-password", "version two");
}
END_TEST

START_TEST(a_change_makes_and_removes_folders_and_files)
{
	int watch;
	struct told told;

	start(0);
	assert_reads("tls/cert", "certificate");
	watch = inside(WATCH, 0, 0, "").result;
	fake_stage(&broker, STAGE_UNLINK, 4, 3, "cert");
	fake_stage(&broker, STAGE_RMDIR, 3, 1, "tls");
	fake_stage(&broker, STAGE_MKDIR, 61, 1, "new");
	fake_stage_put(&broker, 62, 61, "key", "the key");
	ck_assert_int_eq(fake_prepare(&broker), 0);
	for (int again = 0; again < 2; again++) {
		int gone = again ? ENOENT : 0;

		ck_assert_int_eq(unlinkat(box.mnt, "tls/cert", 0) < 0 ? errno : 0, gone);
		ck_assert_int_eq(unlinkat(box.mnt, "tls", AT_REMOVEDIR) < 0 ? errno : 0, gone);
		ck_assert_int_eq(mkdirat(box.mnt, "new", 0755) < 0 ? errno : 0, again ? EEXIST : 0);
		ck_assert_int_eq(move("62", "new/key"), 0);
	}
	told = inside(EVENT, watch, 0, "");
	ck_assert_int_eq(told.result, IN_DELETE | IN_ISDIR);
	ck_assert_int_eq(fake_finish(&broker), 0);
	assert_reads("new/key", "the key");
	ck_assert_int_eq(inside_open("tls/cert"), -ENOENT);
}
END_TEST

START_TEST(finish_makes_what_the_attacher_did_not)
{
	start(0);
	fake_stage_put(&broker, 60, 1, "fresh", "new value");
	ck_assert_int_eq(fake_prepare(&broker), 0);
	ck_assert_int_eq(inside_open("fresh"), -ENOENT);
	ck_assert_int_eq(fake_finish(&broker), 0);
	assert_reads("fresh", "new value");
}
END_TEST

START_TEST(a_denied_version_is_gone_from_an_open_descriptor)
{
	struct ring_record record;
	int fd;

	start(0);
	fd = inside_open("db-password");
	assert_holds(fd, "version one");
	ck_assert_int_eq(fake_deny(&broker, 2), 0);
	drop_pages(2);
	ck_assert_int_eq(inside(PREAD, fd, 0, "").result, -EACCES);
	ck_assert(fake_record(&broker, RING_READ, &record));
	ck_assert_uint_eq(record.node, 2);
	ck_assert_int_eq(inside_open("db-password"), -EACCES);
	ck_assert_int_eq(fake_deny(&broker, 999), -ENOENT);
}
END_TEST

static const struct write_row {
	const char *name; /* as the record names it */
	enum task task;
	int flags;
	const char *path;
} write_rows[] = {
	{ "open", OPEN, O_RDWR, "db-password" },
	{ "open", OPEN, O_WRONLY | O_TRUNC, "db-password" },
	{ "create", OPEN, O_RDWR | O_CREAT, "mine" },
	{ "unlink", REMOVE, 0, "db-password" },
	{ "rmdir", REMOVE, AT_REMOVEDIR, "tls" },
	{ "tmpfile", TMPFILE, 0, "" },
	{ "setattr", CHMOD, 0, "db-password" },
};

START_TEST(writes_are_refused_and_recorded_by_name)
{
	const struct write_row *row = &write_rows[_i];
	struct ring_record record;

	start(0);
	ck_assert_msg(inside(row->task, 0, row->flags, row->path).result == -EROFS, "%s",
	              row->name);
	ck_assert_msg(fake_record(&broker, RING_WRITE, &record), "%s", row->name);
	ck_assert_msg(strncmp(record.text, row->name, sizeof(record.text)) == 0, "%s: %.*s",
	              row->name, RING_TEXT_MAX, record.text);
	ck_assert_int_eq(record.result, -EROFS);
	assert_reads("db-password", "version one");
}
END_TEST

START_TEST(a_listing_shows_each_name_once_though_files_rotate_meanwhile)
{
	char name[16];
	int seen[100] = { 0 }, fd, dots = 0;
	bool rotated = false;

	fake_start(&broker);
	fake_hello(&broker, 0);
	fake_root(&broker);
	for (uint64_t i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "file-%02u", (unsigned int)i);
		fake_file(&broker, 100 + i, 1, name, "value");
	}
	send_mount(false);
	fd = inside(OPEN, 0, O_RDONLY | O_DIRECTORY, ".").result;
	ck_assert_int_ge(fd, 0);
	for (;;) {
		struct told told = inside(LIST_SOME, fd, 0, "");

		ck_assert_int_ge(told.result, 0);
		if (told.result == 0)
			break;
		for (char *at = strtok(told.text, "/"); at; at = strtok(NULL, "/")) {
			if (at[0] == '.')
				dots++;
			else
				seen[atoi(at + strlen("file-"))]++;
		}
		if (rotated)
			continue;
		rotated = true;
		for (uint64_t i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "file-%02u", (unsigned int)i);
			fake_stage_put(&broker, 300 + i, 1, name, "value");
		}
		ck_assert_int_eq(fake_prepare(&broker), 0);
		ck_assert_int_eq(fake_finish(&broker), 0);
	}
	ck_assert_int_eq(dots, 2);
	for (int i = 0; i < 100; i++)
		ck_assert_msg(seen[i] == 1, "file-%02d was listed %d times", i, seen[i]);
}
END_TEST

START_TEST(with_the_audit_ring_full_an_open_fails_unless_told_to_serve)
{
	struct ring_record record = { .event = RING_OPEN, .count = 1 };
	bool wake;

	/* Different users and files, so that nothing folds any more. */
	for (record.uid = 0; ring_put(broker.ring, &record, 0, &wake) == 0; record.uid++)
		record.node = record.uid;
	start(_i == 0 ? 0 : WORKER_FULL_SERVE);
	ck_assert_int_eq(inside_open("db-password") >= 0 ? 0 : -EIO, _i == 0 ? -EIO : 0);
}
END_TEST

START_TEST(a_sleeping_consumer_is_woken_for_a_record)
{
	uint64_t count;

	start(0);
	inside_open("db-password");
	ck_assert_int_eq(read(broker.wake, &count, sizeof(count)), -1);
	while (!ring_sleep(broker.ring)) {
		struct ring_record record;
		bool corrupt = false;

		while (ring_take(broker.ring, &record, &corrupt) == 1)
			;
	}
	inside_open("db-password");
	ck_assert_int_eq(read(broker.wake, &count, sizeof(count)), sizeof(count));
}
END_TEST

START_TEST(the_mount_is_served_on_when_the_broker_is_gone)
{
	int clone; /* any descriptor does: the worker only holds it, and a real one would hold the mount */

	start(0);
	clone = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fake_send_raw(&broker, WR_KEEP, NULL, 0, &clone, 1);
	close(clone);
	assert_reads("db-password", "version one");
	broker.channel = fd_close(broker.channel);
	assert_reads("tls/cert", "certificate");
	/* With the last of the mount's holders gone too, nothing is left to do. */
	kill(box.pid, SIGKILL);
	box.mnt = fd_close(box.mnt);
	ck_assert_int_eq(fake_wait(&broker), 0);
}
END_TEST

START_TEST(a_mount_that_was_still_being_made_ends_with_the_broker)
{
	start(0);
	assert_reads("db-password", "version one");
	broker.channel = fd_close(broker.channel);
	ck_assert_int_eq(fake_wait(&broker), 0);
}
END_TEST

START_TEST(a_worker_outlives_its_mount_as_long_as_it_has_a_broker)
{
	start(0);
	assert_reads("db-password", "version one");
	kill(box.pid, SIGKILL);
	box.mnt = fd_close(box.mnt);
	for (int i = 0; i < 3; i++)
		fake_ping(&broker);
	broker.channel = fd_close(broker.channel);
	ck_assert_int_eq(fake_wait(&broker), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mount");
	TCase *t = tcase_create("mount");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_open_from_inside_reads_the_value_and_is_recorded);
	tcase_add_test(t, a_large_value_is_read_whole);
	tcase_add_test(t, attributes_are_those_of_the_version);
	tcase_add_test(t, a_caller_from_outside_is_refused_and_recorded);
	tcase_add_test(t, rotation_is_a_rename_that_watchers_see_and_old_descriptors_do_not);
	tcase_add_test(t, a_change_makes_and_removes_folders_and_files);
	tcase_add_test(t, finish_makes_what_the_attacher_did_not);
	tcase_add_test(t, a_denied_version_is_gone_from_an_open_descriptor);
	tcase_add_loop_test(t, writes_are_refused_and_recorded_by_name, 0,
	                    (int)ARRAY_LEN(write_rows));
	tcase_add_test(t, a_listing_shows_each_name_once_though_files_rotate_meanwhile);
	tcase_add_loop_test(t, with_the_audit_ring_full_an_open_fails_unless_told_to_serve, 0, 2);
	tcase_add_test(t, a_sleeping_consumer_is_woken_for_a_record);
	tcase_add_test(t, the_mount_is_served_on_when_the_broker_is_gone);
	tcase_add_test(t, a_mount_that_was_still_being_made_ends_with_the_broker);
	tcase_add_test(t, a_worker_outlives_its_mount_as_long_as_it_has_a_broker);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
