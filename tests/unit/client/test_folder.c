/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/secret.h"
#include "folder.h"

static char dir[64];
static char said[8192];
static struct folder found;
static struct err why;

static void setup(void)
{
	strcpy(dir, "/tmp/coffer-folder-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(mkdir("d", 0700), 0);
	said[0] = '\0';
}

static void teardown(void)
{
	char command[128];

	folder_clear(&found);
	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void make_file(const char *path, mode_t mode, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void hear(void *arg, enum folder_remark remark, const char *sentence)
{
	static const char *const kinds[] = { "skipped", "refused", "exposed" };

	(void)arg;
	sprintf(said + strlen(said), "%s %s\n", kinds[remark], sentence);
}

static int scan(const char *prefix)
{
	return folder_scan("d", prefix, hear, NULL, &found, &why);
}

/* "a b/c": the names found, in their order. */
static const char *names(char text[1024])
{
	text[0] = '\0';
	for (size_t i = 0; i < found.files; i++)
		sprintf(text + strlen(text), "%s%s", i ? " " : "", found.file[i].name);
	return text;
}

START_TEST(files_are_named_by_where_they_lie)
{
	char text[1024];

	mkdir("d/tls", 0700);
	make_file("d/tls/cert.pem", 0600, 3);
	make_file("d/b", 0600, 0);
	make_file("d/a", 0600, SECRET_VALUE_MAX);
	ck_assert_int_eq(scan("app/"), 0);
	ck_assert_str_eq(names(text), "app/a app/b app/tls/cert.pem");
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(found.refused, 0);
	ck_assert_uint_eq(found.file[2].size, 3);
}
END_TEST

START_TEST(hidden_files_and_backups_are_left_out_and_said)
{
	char text[1024];

	mkdir("d/.git", 0700);
	make_file("d/.git/config", 0600, 1);
	make_file("d/.env", 0600, 1);
	make_file("d/a~", 0600, 1);
	make_file("d/#a#", 0600, 1);
	make_file("d/a", 0600, 1);
	ck_assert_int_eq(scan(""), 0);
	ck_assert_str_eq(names(text), "a");
	ck_assert_ptr_nonnull(strstr(said, "skipped .git: "));
	ck_assert_ptr_nonnull(strstr(said, "skipped .env: "));
	ck_assert_ptr_nonnull(strstr(said, "skipped a~: "));
	ck_assert_ptr_nonnull(strstr(said, "skipped #a#: "));
	ck_assert_ptr_null(strstr(said, "config"));
}
END_TEST

START_TEST(everything_that_cannot_be_a_secret_is_named)
{
	char text[1024];

	make_file("d/Upper", 0600, 1);
	make_file("d/new\nline", 0600, 1);
	make_file("d/large", 0600, SECRET_VALUE_MAX + 1);
	make_file("outside", 0600, 1);
	mkdir("d/sub", 0700);
	ck_assert_int_eq(mkfifo("d/pipe", 0600), 0);
	ck_assert_int_eq(symlink("../outside", "d/out"), 0);
	ck_assert_int_eq(symlink("/etc/passwd", "d/passwd"), 0);
	ck_assert_int_eq(symlink("nowhere", "d/dangling"), 0);
	ck_assert_int_eq(symlink("sub", "d/to-folder"), 0);
	ck_assert_int_eq(symlink("round", "d/round"), 0);
	make_file("d/good", 0600, 1);
	ck_assert_int_eq(scan(""), 0);
	ck_assert_str_eq(names(text), "good");
	ck_assert_uint_eq(found.refused, 9);
	ck_assert_ptr_nonnull(strstr(said, "refused Upper: "));
	ck_assert_ptr_nonnull(strstr(said, "refused new\\x0aline: "));
	ck_assert_ptr_nonnull(strstr(said, "refused large: it holds more than 1 MiB"));
	ck_assert_ptr_nonnull(strstr(said, "refused pipe: it is no regular file"));
	ck_assert_ptr_nonnull(strstr(said, "refused out: it is a link that leads out"));
	ck_assert_ptr_nonnull(strstr(said, "refused passwd: it is a link that leads out"));
	ck_assert_ptr_nonnull(strstr(said, "refused dangling: it is a link to nothing"));
	ck_assert_ptr_nonnull(strstr(said, "refused to-folder: it is a link to something"));
	ck_assert_ptr_nonnull(strstr(said, "refused round: it is a link to nothing"));
}
END_TEST

/* As Kubernetes lays out a mounted secret: tls.crt -> ..data/tls.crt, ..data -> ..2026. */
START_TEST(links_within_the_folder_are_the_files_they_lead_to)
{
	SCOPED_FD int fd = -1;
	char text[1024];

	mkdir("d/..2026", 0700);
	make_file("d/..2026/tls.crt", 0600, 5);
	ck_assert_int_eq(symlink("..2026", "d/..data"), 0);
	ck_assert_int_eq(symlink("..data/tls.crt", "d/tls.crt"), 0);
	ck_assert_int_eq(scan("tls/"), 0);
	ck_assert_str_eq(names(text), "tls/tls.crt");
	ck_assert_uint_eq(found.file[0].size, 5);
	fd = folder_open(&found, 0, &why);
	ck_assert_int_ge(fd, 0);
}
END_TEST

START_TEST(a_file_that_was_made_a_link_meanwhile_is_not_followed_out)
{
	make_file("d/a", 0600, 1);
	make_file("d/b", 0600, 1);
	ck_assert_int_eq(scan(""), 0);
	unlink("d/a");
	unlink("d/b");
	ck_assert_int_eq(symlink("/etc/passwd", "d/a"), 0);
	ck_assert_int_eq(mkfifo("d/b", 0600), 0);
	ck_assert_int_eq(folder_open(&found, 0, &why), -EXDEV);
	ck_assert_int_eq(folder_open(&found, 1, &why), -EINVAL);
}
END_TEST

START_TEST(what_everybody_can_read_is_said)
{
	make_file("d/open", 0644, 1);
	make_file("d/group", 0640, 1);
	ck_assert_int_eq(scan(""), 0);
	ck_assert_str_eq(said, "exposed open: every user of this host can read it\n");
}
END_TEST

START_TEST(folders_without_end_are_cut_off)
{
	char path[128] = "d", text[1024];

	for (int i = 0; i < 12; i++) {
		strcat(path, "/x");
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
	strcat(path, "/deep");
	make_file(path, 0600, 1);
	ck_assert_int_eq(scan(""), 0);
	ck_assert_str_eq(names(text), "");
	ck_assert_uint_eq(found.refused, 1);
}
END_TEST

START_TEST(no_folder_is_an_error)
{
	ck_assert_int_eq(folder_scan("nowhere", "", hear, NULL, &found, &why), -ENOENT);
	make_file("file", 0600, 1);
	ck_assert_int_eq(folder_scan("file", "", hear, NULL, &found, &why), -ENOTDIR);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("folder");
	TCase *tests = tcase_create("folder");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, files_are_named_by_where_they_lie);
	tcase_add_test(tests, hidden_files_and_backups_are_left_out_and_said);
	tcase_add_test(tests, everything_that_cannot_be_a_secret_is_named);
	tcase_add_test(tests, links_within_the_folder_are_the_files_they_lead_to);
	tcase_add_test(tests, a_file_that_was_made_a_link_meanwhile_is_not_followed_out);
	tcase_add_test(tests, what_everybody_can_read_is_said);
	tcase_add_test(tests, folders_without_end_are_cut_off);
	tcase_add_test(tests, no_folder_is_an_error);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
