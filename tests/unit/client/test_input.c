/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/io.h"
#include "coffer/keys.h"
#include "input.h"

static char dir[64];

static void setup(void)
{
	strcpy(dir, "/tmp/coffer-input-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static size_t count_files(bool remove)
{
	DIR *d = opendir(dir);
	size_t count = 0;

	for (struct dirent *entry; (entry = readdir(d));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			count++;
			if (remove)
				unlinkat(dirfd(d), entry->d_name, 0);
		}
	closedir(d);
	return count;
}

static void teardown(void)
{
	count_files(true);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void write_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, path, bytes, len, mode), 0);
}

START_TEST(keyfile_is_made_once_and_readable_by_its_owner_alone)
{
	struct secret *made = NULL, *read = NULL, *again = NULL;
	struct stat st;
	struct err e;

	umask(0);
	ck_assert_int_eq(input_make_keyfile("key", &made, &e), 0);
	ck_assert_int_eq(stat("key", &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0400);
	ck_assert_uint_eq(made->len, 65);
	ck_assert_uint_eq(strspn((const char *)made->bytes, "0123456789abcdef"), 64);
	ck_assert_int_eq(made->bytes[64], '\n');
	ck_assert_int_eq(input_keyfile("key", &read, &e), 0);
	ck_assert_uint_eq(read->len, made->len);
	ck_assert_mem_eq(read->bytes, made->bytes, made->len);
	ck_assert_int_eq(input_make_keyfile("key", &again, &e), -EEXIST);
	ck_assert_ptr_null(again);
	ck_assert_uint_eq(count_files(false), 1);
	secret_free(made);
	secret_free(read);
}
END_TEST

START_TEST(two_keyfiles_differ)
{
	struct secret *one = NULL, *two = NULL;
	char path[128];
	struct err e;

	snprintf(path, sizeof(path), "%s/two", dir);
	ck_assert_int_eq(input_make_keyfile("one", &one, &e), 0);
	ck_assert_int_eq(input_make_keyfile(path, &two, &e), 0);
	ck_assert(memcmp(one->bytes, two->bytes, one->len) != 0);
	secret_free(one);
	secret_free(two);
}
END_TEST

START_TEST(keyfile_is_never_made_through_a_link)
{
	struct secret *made = NULL;
	struct err e;

	ck_assert_int_eq(symlink("elsewhere", "key"), 0);
	ck_assert_int_eq(input_make_keyfile("key", &made, &e), -EEXIST);
	ck_assert_int_eq(access("elsewhere", F_OK), -1);
	ck_assert_int_eq(input_make_keyfile("no/such/folder", &made, &e), -ENOENT);
	ck_assert_ptr_null(made);
}
END_TEST

START_TEST(keyfile_that_is_no_file_is_refused)
{
	struct secret *read = NULL;
	struct err e;

	ck_assert_int_eq(mkfifo("fifo", 0600), 0); /* must not wait for a writer */
	ck_assert_int_eq(input_keyfile("fifo", &read, &e), -EINVAL);
	ck_assert_int_eq(input_keyfile("/dev/zero", &read, &e), -EINVAL);
	ck_assert_int_eq(input_keyfile(".", &read, &e), -EINVAL);
	ck_assert_int_eq(input_keyfile("absent", &read, &e), -ENOENT);
	ck_assert_ptr_null(read);
}
END_TEST

START_TEST(keyfile_that_is_too_large_is_refused)
{
	char bytes[KEYS_CONTENT_MAX + 1] = { 0 };
	struct secret *read = NULL;
	struct err e;

	write_file("key", bytes, sizeof(bytes), 0400);
	ck_assert_int_eq(input_keyfile("key", &read, &e), -EFBIG);
	ck_assert_ptr_null(read);
}
END_TEST

START_TEST(keyfile_open_to_others_is_warned_of)
{
	char bytes[64] = { 0 }, line[512] = "";
	struct secret *read_back = NULL;
	int ends[2], saved = dup(STDERR_FILENO);
	struct err e;

	write_file("key", bytes, sizeof(bytes), 0644);
	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	ck_assert_int_eq(input_keyfile("key", &read_back, &e), 0);
	dup2(saved, STDERR_FILENO);
	ck_assert_int_gt(read(ends[0], line, sizeof(line) - 1), 0);
	ck_assert_ptr_nonnull(strstr(line, "chmod"));
	secret_free(read_back);
}
END_TEST

START_TEST(one_line_feed_at_the_end_of_a_passphrase_file_is_not_part_of_it)
{
	static const struct {
		const char *content, *passphrase;
	} rows[] = {
		{ "abc", "abc" },       { "abc\n", "abc" }, { "abc\n\n", "abc\n" },
		{ " abc \n", " abc " }, { "\n", "" },       { "", "" },
		{ "a\r\n", "a\r" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret *s = NULL;
		struct err e;

		write_file("pass", rows[i].content, strlen(rows[i].content), 0600);
		ck_assert_int_eq(input_passphrase("pass", true, &s, &e), 0);
		ck_assert_msg(strcmp((const char *)s->bytes, rows[i].passphrase) == 0, "row %zu",
		              i);
		ck_assert_uint_eq(s->len, strlen(rows[i].passphrase));
		secret_free(s);
	}
}
END_TEST

START_TEST(value_may_have_any_bytes_up_to_its_limit)
{
	char *bytes = calloc(1, SECRET_VALUE_MAX + 1);
	static const struct {
		size_t len;
		int result;
	} rows[] = {
		{ 0, 0 }, { 1, 0 }, { SECRET_VALUE_MAX, 0 }, { SECRET_VALUE_MAX + 1, -EFBIG }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret *s = NULL;
		struct err e;

		write_file("value", bytes, rows[i].len, 0600);
		ck_assert_msg(input_value_file("value", &s, &e) == rows[i].result, "%zu bytes",
		              rows[i].len);
		if (rows[i].result == 0)
			ck_assert_uint_eq(s->len, rows[i].len);
		else
			ck_assert_ptr_null(s);
		secret_free(s);
	}
	free(bytes);
}
END_TEST

START_TEST(value_from_a_pipe_is_taken_raw)
{
	static const char value[] = "line\nwith \0 and \xff\n";
	struct secret *s = NULL;
	int ends[2];
	struct err e;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], value, sizeof(value)), (ssize_t)sizeof(value));
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	ck_assert_int_eq(input_value_stdin("db", &s, &e), 0);
	ck_assert_uint_eq(s->len, sizeof(value));
	ck_assert_mem_eq(s->bytes, value, sizeof(value));
	secret_free(s);
}
END_TEST

START_TEST(unreadable_value_is_an_error_that_names_the_file)
{
	struct secret *s = NULL;
	struct err e;

	ck_assert_int_eq(input_value_file("no\nsuch", &s, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "no\\x0asuch"));
	ck_assert_int_eq(input_value_file(".", &s, &e), -EISDIR);
	ck_assert_ptr_null(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("input");
	TCase *tc = tcase_create("input");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, keyfile_is_made_once_and_readable_by_its_owner_alone);
	tcase_add_test(tc, two_keyfiles_differ);
	tcase_add_test(tc, keyfile_is_never_made_through_a_link);
	tcase_add_test(tc, keyfile_that_is_no_file_is_refused);
	tcase_add_test(tc, keyfile_that_is_too_large_is_refused);
	tcase_add_test(tc, keyfile_open_to_others_is_warned_of);
	tcase_add_test(tc, one_line_feed_at_the_end_of_a_passphrase_file_is_not_part_of_it);
	tcase_add_test(tc, value_may_have_any_bytes_up_to_its_limit);
	tcase_add_test(tc, value_from_a_pipe_is_taken_raw);
	tcase_add_test(tc, unreadable_value_is_an_error_that_names_the_file);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
