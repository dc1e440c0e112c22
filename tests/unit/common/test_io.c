/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"

static char folder[] = "/tmp/coffer-io-XXXXXX";
static int dir = -1;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
}

/* Remove all files; returns how many there were. */
static int empty_folder(void)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.') {
			unlinkat(dir, entry->d_name, 0);
			count++;
		}
	closedir(d);
	return count;
}

static void teardown(void)
{
	empty_folder();
	dir = fd_close(dir);
	rmdir(folder);
	memcpy(strrchr(folder, '-') + 1, "XXXXXX", 6);
}

static int rename_fault; /* of one that must not replace; 0: it works */

/* Stands before libc's. */
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
	if (rename_fault && flags) {
		errno = rename_fault;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static void make(const char *name, const char *text)
{
	ck_assert_int_eq(io_write_file_atomic(dir, name, text, strlen(text), 0600), 0);
}

static bool holds(const char *name, const char *text)
{
	SCOPED(free_ptr) char *found = NULL;

	return io_read_file(dir, name, 100, &found, NULL) == 0 && strcmp(found, text) == 0;
}

static int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

START_TEST(a_file_put_in_place_has_the_bytes_and_mode_asked_for)
{
	SCOPED(free_ptr) char *text = NULL;
	struct stat st;
	size_t len;

	umask(077);
	ck_assert_int_eq(io_write_file_atomic(dir, "f", "old", 3, 0600), 0);
	ck_assert_int_eq(io_write_file_atomic(dir, "f", "new one", 7, 0644), 0);
	ck_assert_int_eq(io_read_file(dir, "f", 100, &text, &len), 0);
	ck_assert_uint_eq(len, 7);
	ck_assert_str_eq(text, "new one");
	ck_assert_int_eq(fstatat(dir, "f", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0644);
	ck_assert_int_eq(empty_folder(), 1);
}
END_TEST

START_TEST(a_failed_replacement_leaves_the_old_file_and_nothing_else)
{
	struct stat st;

	ck_assert_int_eq(mkdirat(dir, "f", 0700), 0);
	ck_assert_int_eq(io_write_file_atomic(dir, "f", "x", 1, 0600), -EISDIR);
	ck_assert_int_eq(fstatat(dir, "f", &st, 0), 0);
	ck_assert_int_eq(unlinkat(dir, "f", AT_REMOVEDIR), 0);
	ck_assert_int_eq(empty_folder(), 0);
	ck_assert_int_eq(io_write_file_atomic(dir, "no/f", "x", 1, 0600), -ENOENT);
}
END_TEST

START_TEST(a_new_name_replaces_nothing_on_any_file_system)
{
	static const int faults[] = { 0, EINVAL, ENOSYS, EOPNOTSUPP };

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		rename_fault = faults[i];
		make("from", "new");
		make("to", "old");
		ck_assert_int_eq(io_rename_new(dir, "from", "to"), -EEXIST);
		ck_assert(holds("from", "new") && holds("to", "old"));
		unlinkat(dir, "to", 0);
		ck_assert_int_eq(symlinkat("nowhere", dir, "to"), 0);
		ck_assert_int_eq(io_rename_new(dir, "from", "to"), -EEXIST);
		unlinkat(dir, "to", 0);
		ck_assert_msg(io_rename_new(dir, "from", "to") == 0, "with %s",
		              strerror(faults[i]));
		ck_assert(holds("to", "new"));
		ck_assert_int_eq(empty_folder(), 1);
	}
	rename_fault = EACCES;
	make("from", "new");
	ck_assert_int_eq(io_rename_new(dir, "from", "to"), -EACCES);
	rename_fault = 0;
}
END_TEST

START_TEST(a_file_is_read_up_to_its_limit_and_not_beyond)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 8192, 10000 };
	char bytes[10001];

	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		SCOPED(free_ptr) char *text = NULL;
		size_t len;

		ck_assert_int_eq(io_write_file_atomic(dir, "f", bytes, sizes[i], 0600), 0);
		ck_assert_int_eq(io_read_file(dir, "f", sizes[i], &text, &len), 0);
		ck_assert_uint_eq(len, sizes[i]);
		ck_assert_uint_eq(strlen(text), sizes[i]);
		ck_assert_int_eq(io_write_file_atomic(dir, "f", bytes, sizes[i] + 1, 0600), 0);
		ck_assert_int_eq(io_read_file(dir, "f", sizes[i], &text, NULL), -EFBIG);
	}
	ck_assert_int_eq(io_read_file(dir, "none", 10, NULL, NULL), -ENOENT);
}
END_TEST

START_TEST(files_of_proc_are_read_whole_though_their_size_is_0)
{
	SCOPED(free_ptr) char *text = NULL;
	size_t len;

	ck_assert_int_eq(io_read_file(AT_FDCWD, "/proc/self/stat", 4096, &text, &len), 0);
	ck_assert_uint_gt(len, 50);
}
END_TEST

START_TEST(descriptors_arrive_close_on_exec_and_in_order)
{
	int sv[2], pipes[2], got[4];
	size_t n = ARRAY_LEN(got);
	char buffer[8];
	struct stat a, b;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(io_send(sv[0], "hello", 5, pipes, 2, 0), 5);
	ck_assert_int_eq(io_recv(sv[1], buffer, sizeof(buffer), got, &n, 0), 5);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(memcmp(buffer, "hello", 5), 0);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(fcntl(got[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		ck_assert_int_eq(fstat(got[i], &a), 0);
		ck_assert_int_eq(fstat(pipes[i], &b), 0);
		ck_assert_uint_eq(a.st_ino, b.st_ino);
		ck_assert_int_eq(fcntl(got[i], F_GETFL) & O_ACCMODE, i ? O_WRONLY : O_RDONLY);
		close(got[i]);
		close(pipes[i]);
	}
	close(sv[0]);
	ck_assert_int_eq(io_recv(sv[1], buffer, sizeof(buffer), NULL, NULL, 0), 0);
	close(sv[1]);
}
END_TEST

START_TEST(descriptors_that_do_not_fit_are_closed_and_refuse_the_message)
{
	static const size_t rooms[] = { 0, 1, 249 };
	int sv[2], fds[IO_FDS_MAX], got[IO_FDS_MAX];
	char buffer[8];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	for (size_t i = 0; i < IO_FDS_MAX; i++)
		fds[i] = sv[0];
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		int before = open_fds();
		size_t n = rooms[i];

		ck_assert_int_eq(io_send(sv[0], "x", 1, fds, IO_FDS_MAX, 0), 1);
		ck_assert_int_eq(io_recv(sv[1], buffer, 8, n ? got : NULL, n ? &n : NULL, 0),
		                 -EMSGSIZE);
		ck_assert_int_eq(open_fds(), before);
	}
	ck_assert_int_eq(io_send(sv[0], "x", 1, fds, IO_FDS_MAX + 1, 0), -EINVAL);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(a_message_longer_than_the_buffer_is_refused_with_its_descriptors)
{
	int sv[2], before, got[1];
	size_t n = 1;
	char buffer[4];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	before = open_fds();
	ck_assert_int_eq(io_send(sv[0], "12345", 5, sv, 1, 0), 5);
	ck_assert_int_eq(io_recv(sv[1], buffer, sizeof(buffer), got, &n, 0), -EMSGSIZE);
	ck_assert_int_eq(open_fds(), before);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(credentials_beside_a_message_are_ignored)
{
	int sv[2], on = 1, got[1];
	size_t n = 1;
	char buffer[4];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_int_eq(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	ck_assert_int_eq(io_send(sv[0], "1", 1, sv, 1, 0), 1);
	ck_assert_int_eq(io_recv(sv[1], buffer, sizeof(buffer), got, &n, 0), 1);
	ck_assert_uint_eq(n, 1);
	close(got[0]);
	close(sv[0]);
	ck_assert_int_eq(io_send(sv[1], "1", 1, NULL, 0, 0), -EPIPE);
	close(sv[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("io");
	TCase *t = tcase_create("io");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_file_put_in_place_has_the_bytes_and_mode_asked_for);
	tcase_add_test(t, a_failed_replacement_leaves_the_old_file_and_nothing_else);
	tcase_add_test(t, a_new_name_replaces_nothing_on_any_file_system);
	tcase_add_test(t, a_file_is_read_up_to_its_limit_and_not_beyond);
	tcase_add_test(t, files_of_proc_are_read_whole_though_their_size_is_0);
	tcase_add_test(t, descriptors_arrive_close_on_exec_and_in_order);
	tcase_add_test(t, descriptors_that_do_not_fit_are_closed_and_refuse_the_message);
	tcase_add_test(t, a_message_longer_than_the_buffer_is_refused_with_its_descriptors);
	tcase_add_test(t, credentials_beside_a_message_are_ignored);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
