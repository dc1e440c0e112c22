/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/secret.h"

#define KIB 1024

static bool is_zero(const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Whether the mapping that holds `address` has the flag (two letters) in smaps' VmFlags. */
static bool has_vm_flag(const void *address, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[4096];
	bool inside = false, found = false;

	ck_assert_ptr_nonnull(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)address >= from && (uintptr_t)address < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return found;
}

START_TEST(a_process_with_secrets_leaves_no_core)
{
	struct rlimit limit = { 1, 1 };

	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
	ck_assert_uint_eq(limit.rlim_cur, 0);
	ck_assert_uint_eq(limit.rlim_max, 0);
}
END_TEST

static const size_t sizes[] = { 0,
	                        1,
	                        15,
	                        16,
	                        17,
	                        31,
	                        32,
	                        100,
	                        1000,
	                        4000,
	                        4079,
	                        4080,
	                        4096,
	                        5000,
	                        65536,
	                        100000,
	                        SECRET_VALUE_MAX };

START_TEST(memory_is_zeroed_locked_and_out_of_cores)
{
	SCOPED(secret_free_ptr) struct secret *s = secret_new(sizes[_i]);

	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(s->len, sizes[_i]);
	ck_assert(is_zero(s->bytes, s->len + 1));
	memset(s->bytes, 0xa5, s->len);
	ck_assert_int_eq(s->bytes[s->len], 0);
#ifndef COFFER_SANITIZE
	ck_assert_msg(has_vm_flag(s->bytes, " lo"), "%zu bytes are not locked", sizes[_i]);
	ck_assert_msg(has_vm_flag(s->bytes + s->len, " lo"), "their end is not locked");
#endif
	ck_assert_msg(has_vm_flag(s->bytes, " dd"), "%zu bytes would be dumped", sizes[_i]);
	ck_assert_msg(has_vm_flag(s->bytes, " wf"), "%zu bytes survive fork", sizes[_i]);
}
END_TEST

/* One assertion for a block: for each byte they would cost minutes with sanitizers. */
static bool is_all(const struct secret *s, unsigned char value)
{
	for (size_t i = 0; i < s->len; i++)
		if (s->bytes[i] != value)
			return false;
	return true;
}

START_TEST(blocks_do_not_overlap_and_come_back_zeroed)
{
	enum { COUNT = 5000 };
	static struct secret *all[COUNT];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT; i++) {
			all[i] = secret_new(i * 7 % 3000);
			ck_assert_ptr_nonnull(all[i]);
			ck_assert(is_zero(all[i]->bytes, all[i]->len));
			memset(all[i]->bytes, (int)(i % 255) + 1, all[i]->len);
		}
		for (size_t i = 0; i < COUNT; i++) {
			size_t at = i * 2741 % COUNT; /* coprime: every one, out of order */

			ck_assert_uint_eq(all[at]->len, at * 7 % 3000);
			ck_assert(is_all(all[at], (unsigned char)(at % 255 + 1)));
			secret_free(all[at]);
		}
	}
}
END_TEST

START_TEST(freed_bytes_are_wiped)
{
	struct secret *keep = secret_copy("stay", 4), *s = secret_copy("hunter2", 7);
	const unsigned char *bytes = s->bytes;

	/* `keep` holds the chunk, so the wiped block may still be looked at. */
	secret_free(s);
	ck_assert(is_zero(bytes, 7));
	ck_assert(memcmp(keep->bytes, "stay", 5) == 0);
	secret_free(keep);
	secret_free(NULL);
	secret_mfree(NULL);
}
END_TEST

START_TEST(cut_bytes_are_wiped)
{
	SCOPED(secret_free_ptr) struct secret *s = secret_copy("hunter2", 7);

	secret_truncate(s, 3);
	ck_assert_uint_eq(s->len, 3);
	ck_assert(memcmp(s->bytes, "hun\0\0\0\0", 8) == 0);
}
END_TEST

/* Runs in the child: what is inherited is empty, and new secrets work and are locked. */
static int look_from_child(struct secret *small, struct secret *large, const unsigned char *bytes)
{
	SCOPED(secret_free_ptr) struct secret *own = NULL;

	if (!is_zero(bytes, 7) || !is_zero((const unsigned char *)large, 100000))
		return 1;
	own = secret_copy("child", 5);
	if (!own || memcmp(own->bytes, "child", 5) != 0)
		return 2;
#ifndef COFFER_SANITIZE
	if (!has_vm_flag(own->bytes, " lo"))
		return 3;
#endif
	secret_free(small);
	secret_free(large);
	return memcmp(own->bytes, "child", 5) == 0 ? 0 : 4;
}

START_TEST(a_child_inherits_no_secret)
{
	SCOPED(secret_free_ptr) struct secret *small = secret_copy("hunter2", 7);
	SCOPED(secret_free_ptr) struct secret *large = secret_new(100000);
	const unsigned char *bytes = small->bytes;
	int status = -1;
	pid_t child;

	memset(large->bytes, 'x', large->len);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(look_from_child(small, large, bytes));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert(memcmp(small->bytes, "hunter2", 7) == 0);
}
END_TEST

#ifndef COFFER_SANITIZE
START_TEST(memory_that_cannot_be_locked_is_not_given)
{
	struct rlimit limit = { 128 * KIB, 128 * KIB };
	struct secret *s, *kept = secret_new(10);

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	/* Root may lock beyond every limit. */
	ck_assert_int_eq(setgid(65534), 0);
	ck_assert_int_eq(setuid(65534), 0);
	errno = 0;
	ck_assert_ptr_null(secret_new(SECRET_VALUE_MAX));
	ck_assert_int_eq(errno, ENOMEM);
	s = secret_new(5); /* from the chunk that is there */
	ck_assert_ptr_nonnull(s);
	secret_free(s);
	secret_free(kept);
	s = secret_new(40 * KIB); /* what was refused holds nothing of the limit */
	ck_assert_ptr_nonnull(s);
	secret_free(s);
}
END_TEST
#endif

START_TEST(absurd_sizes_are_refused)
{
	ck_assert_ptr_null(secret_new(SIZE_MAX));
	ck_assert_ptr_null(secret_new(SIZE_MAX - sizeof(struct secret) - 1));
	ck_assert_ptr_null(secret_malloc(SIZE_MAX));
	ck_assert_ptr_null(secret_malloc(SIZE_MAX / 2 + 1));
}
END_TEST

START_TEST(a_memfd_holds_the_bytes_sealed)
{
	SCOPED(secret_free_ptr) struct secret *s = secret_new(sizes[_i]);
	SCOPED(secret_free_ptr) struct secret *back = NULL;
	int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	SCOPED_FD int fd = -1;

	for (size_t i = 0; i < s->len; i++)
		s->bytes[i] = (unsigned char)(i * 31);
	fd = secret_to_memfd(s);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & wanted, wanted);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	/* Wherever the offset stands, which others share. */
	ck_assert_int_ge(lseek(fd, 0, SEEK_END), 0);
	ck_assert_int_eq(secret_from_fd(fd, SECRET_VALUE_MAX, &back), 0);
	ck_assert_uint_eq(back->len, s->len);
	ck_assert(memcmp(back->bytes, s->bytes, s->len) == 0);
}
END_TEST

/* `len` bytes through a pipe, written by a child in odd pieces. */
static int through_pipe(size_t len, size_t max, struct secret **ret)
{
	int ends[2], status, r;
	pid_t child;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		char piece[777];

		close(ends[0]);
		memset(piece, 'p', sizeof(piece));
		while (len > 0) {
			size_t n = len < sizeof(piece) ? len : sizeof(piece);
			ssize_t written = write(ends[1], piece, n);

			if (written < 0)
				_exit(1);
			len -= (size_t)written;
		}
		_exit(0);
	}
	close(ends[1]);
	r = secret_from_fd(ends[0], max, ret);
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return r;
}

START_TEST(a_pipe_is_read_to_its_end)
{
	SCOPED(secret_free_ptr) struct secret *s = NULL;

	ck_assert_int_eq(through_pipe(sizes[_i], SECRET_VALUE_MAX, &s), 0);
	ck_assert_uint_eq(s->len, sizes[_i]);
	for (size_t i = 0; i < s->len; i++)
		ck_assert_int_eq(s->bytes[i], 'p');
}
END_TEST

START_TEST(more_than_allowed_is_refused_not_cut)
{
	SCOPED(secret_free_ptr) struct secret *s = NULL;
	SCOPED_FD int file = -1;
	char path[] = "/tmp/coffer-test-XXXXXX";

	ck_assert_int_eq(through_pipe(11, 10, &s), -EFBIG);
	ck_assert_int_eq(through_pipe(SECRET_VALUE_MAX + 1, SECRET_VALUE_MAX, &s), -EFBIG);
	ck_assert_int_eq(through_pipe(1, 0, &s), -EFBIG);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(through_pipe(10, 10, &s), 0);
	ck_assert_uint_eq(s->len, 10);

	file = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(file, 0);
	unlink(path);
	ck_assert_int_eq(ftruncate(file, 11), 0);
	secret_free_ptr(&s);
	ck_assert_int_eq(secret_from_fd(file, 10, &s), -EFBIG);
	ck_assert_int_eq(secret_from_fd(file, 11, &s), 0);
	ck_assert_uint_eq(s->len, 11);
}
END_TEST

START_TEST(files_without_a_size_are_read_too)
{
	SCOPED(secret_free_ptr) struct secret *s = NULL;
	SCOPED_FD int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(secret_from_fd(fd, 65536, &s), 0);
	ck_assert_uint_gt(s->len, 100);
	ck_assert(memcmp(s->bytes, "Name:", 5) == 0);
}
END_TEST

START_TEST(what_cannot_be_read_says_why)
{
	struct secret *s = NULL;
	SCOPED_FD int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(secret_from_fd(-1, 10, &s), -EBADF);
	ck_assert_int_eq(secret_from_fd(folder, 10, &s), -EISDIR);
	ck_assert_ptr_null(s);
}
END_TEST

static const struct {
	const char *plain, *text;
} encodings[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xfe\xfb", "//77" },
	{ "\xfb\xef\xbe", "++++" },
};

START_TEST(base64_goes_both_ways)
{
	const char *plain = encodings[_i].plain, *text = encodings[_i].text;
	SCOPED(secret_free_ptr) struct secret *s = secret_copy(plain, strlen(plain));
	SCOPED(secret_free_ptr) struct secret *encoded = NULL, *decoded = NULL;

	ck_assert_int_eq(secret_to_base64(s, &encoded), 0);
	ck_assert_uint_eq(encoded->len, strlen(text));
	ck_assert_str_eq((char *)encoded->bytes, text);
	ck_assert_int_eq(secret_from_base64(text, strlen(text), &decoded), 0);
	ck_assert_uint_eq(decoded->len, strlen(plain));
	ck_assert(memcmp(decoded->bytes, plain, decoded->len) == 0);
}
END_TEST

static const char *const no_base64[] = { "Z",    "Zg",       "Zg=",        "Zg===",  "Zh==",
	                                 "Zm9=", "====",     "Zm 9v",      "Zm9v\n", "Zm9v\n\n\n\n",
	                                 "-_-_", "Zg==Zg==", "Zm\x39\xff", "=Zm9" };

START_TEST(malformed_base64_is_refused)
{
	struct secret *s = NULL;

	ck_assert_msg(secret_from_base64(no_base64[_i], strlen(no_base64[_i]), &s) == -EINVAL,
	              "%s was taken", no_base64[_i]);
	ck_assert_ptr_null(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("secret");
	TCase *tests = tcase_create("secret");
	SRunner *runner;
	int failed;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_process_with_secrets_leaves_no_core);
	tcase_add_loop_test(tests, memory_is_zeroed_locked_and_out_of_cores, 0, ARRAY_LEN(sizes));
	tcase_add_test(tests, blocks_do_not_overlap_and_come_back_zeroed);
	tcase_add_test(tests, freed_bytes_are_wiped);
	tcase_add_test(tests, cut_bytes_are_wiped);
	tcase_add_test(tests, a_child_inherits_no_secret);
#ifdef COFFER_SANITIZE
	fputs("SKIPPED: tests of locking, since AddressSanitizer makes mlock do nothing\n", stderr);
#else
	tcase_add_test(tests, memory_that_cannot_be_locked_is_not_given);
#endif
	tcase_add_test(tests, absurd_sizes_are_refused);
	tcase_add_loop_test(tests, a_memfd_holds_the_bytes_sealed, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(tests, a_pipe_is_read_to_its_end, 0, ARRAY_LEN(sizes));
	tcase_add_test(tests, more_than_allowed_is_refused_not_cut);
	tcase_add_test(tests, files_without_a_size_are_read_too);
	tcase_add_test(tests, what_cannot_be_read_says_why);
	tcase_add_loop_test(tests, base64_goes_both_ways, 0, ARRAY_LEN(encodings));
	tcase_add_loop_test(tests, malformed_base64_is_refused, 0, ARRAY_LEN(no_base64));
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
