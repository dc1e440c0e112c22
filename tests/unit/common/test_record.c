/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/record.h"

static int sv[2];
static struct record r;

static void setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv),
	                 0);
}

static void teardown(void)
{
	fd_close(sv[0]);
	fd_close(sv[1]);
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

START_TEST(a_record_arrives_as_it_was_sent)
{
	int before = open_fds();

	ck_assert_int_eq(record_send(sv[0], 7, 99, "head", 4, "tail!", 5, sv, 2), 0);
	ck_assert_int_eq(record_recv(sv[1], &r), 1);
	ck_assert_uint_eq(r.type, 7);
	ck_assert_uint_eq(r.serial, 99);
	ck_assert_uint_eq(r.len, 9);
	ck_assert_uint_eq(r.nfds, 2);
	ck_assert_int_eq(memcmp(r.payload, "headtail!", 9), 0);
	close(r.fds[0]);
	r.fds[0] = -1;
	record_close_fds(&r);
	ck_assert_int_eq(open_fds(), before);
}
END_TEST

START_TEST(an_empty_payload_is_a_record_and_an_end_of_stream_is_none)
{
	ck_assert_int_eq(record_recv(sv[1], &r), -EAGAIN);
	ck_assert_int_eq(record_send(sv[0], 1, 0, NULL, 0, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(record_recv(sv[1], &r), 1);
	ck_assert_uint_eq(r.len, 0);
	sv[0] = fd_close(sv[0]);
	ck_assert_int_eq(record_recv(sv[1], &r), 0);
}
END_TEST

START_TEST(the_largest_payload_goes_through_and_one_byte_more_does_not)
{
	static unsigned char big[RECORD_PAYLOAD_MAX + 1];

	memset(big, 'x', sizeof(big));
	ck_assert_int_eq(record_send(sv[0], 1, 0, big, 60000, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(record_recv(sv[1], &r), 1);
	ck_assert_uint_eq(r.len, RECORD_PAYLOAD_MAX);
	ck_assert_int_eq(record_send(sv[0], 1, 0, big, 60001, NULL, 0, NULL, 0), -EMSGSIZE);
	ck_assert_int_eq(record_send(sv[0], 1, 0, big, 60000, big, 1, NULL, 0), -EMSGSIZE);
	ck_assert_int_eq(record_send(sv[0], 1, 0, big, 1, big, SIZE_MAX, NULL, 0), -EMSGSIZE);
	ck_assert_int_eq(record_recv(sv[1], &r), -EAGAIN);
}
END_TEST

START_TEST(what_is_no_record_is_refused_and_its_descriptors_are_closed)
{
	static const struct {
		const char *name;
		struct record_header header;
		size_t len, nfds;
	} rows[] = {
		{ "short header", { RECORD_MAGIC, 1, 1, 0 }, 15, 1 },
		{ "one byte", { RECORD_MAGIC, 1, 1, 0 }, 1, 1 },
		{ "wrong magic", { RECORD_MAGIC + 1, 1, 1, 0 }, 16, 1 },
		{ "more descriptors than said", { RECORD_MAGIC, 1, 1, 0 }, 16, 2 },
		{ "fewer descriptors than said", { RECORD_MAGIC, 1, 2, 0 }, 16, 1 },
		{ "none but said one", { RECORD_MAGIC, 1, 1, 0 }, 16, 0 },
		{ "more than any record has", { RECORD_MAGIC, 1, 17, 0 }, 16, 17 },
		{ "longer than any record is", { RECORD_MAGIC, 1, 1, 0 }, 60017, 1 },
	};
	static unsigned char message[RECORD_PAYLOAD_MAX + 100];
	int fds[RECORD_FDS_MAX + 1], before = open_fds();

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = sv[0];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(message, &rows[i].header, sizeof(rows[i].header));
		ck_assert_int_eq(io_send(sv[0], message, rows[i].len, fds, rows[i].nfds, 0),
		                 (int)rows[i].len);
		ck_assert_msg(record_recv(sv[1], &r) == -EBADMSG, "%s", rows[i].name);
		ck_assert_msg(open_fds() == before, "%s leaves descriptors open", rows[i].name);
		ck_assert_uint_eq(r.nfds, 0);
	}
}
END_TEST

START_TEST(a_full_socket_says_so)
{
	static unsigned char big[RECORD_PAYLOAD_MAX];
	int result = 0;

	for (int i = 0; i < 1000 && result == 0; i++)
		result = record_send(sv[0], 1, 0, big, sizeof(big), NULL, 0, NULL, 0);
	ck_assert_int_eq(result, -EAGAIN);
}
END_TEST

START_TEST(counted_texts_come_back)
{
	size_t at = 0, got = 0;
	char text[8];

	ck_assert_int_eq(record_put_text(r.payload, 20, &at, "seven77"), 0);
	ck_assert_int_eq(record_put_text(r.payload, 20, &at, ""), 0);
	ck_assert_int_eq(record_put_text(r.payload, 20, &at, "12345678"), -EMSGSIZE);
	ck_assert_int_eq(record_put_text(r.payload, 20, &at, "1234567"), 0);
	ck_assert_uint_eq(at, 20);
	ck_assert_int_eq(record_put_text(r.payload, 20, &at, ""), -EMSGSIZE);
	r.len = at;
	ck_assert_int_eq(record_get_text(&r, &got, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "seven77");
	ck_assert_int_eq(record_get_text(&r, &got, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(record_get_text(&r, &got, text, 7), -EBADMSG);
	ck_assert_int_eq(record_get_text(&r, &got, text, 8), 0);
	ck_assert_int_eq(record_get_text(&r, &got, text, 8), -EBADMSG);
	ck_assert_uint_eq(got, 20);
}
END_TEST

START_TEST(hostile_counts_are_refused)
{
	static const struct {
		const char *name;
		unsigned char bytes[6];
		size_t len, offset;
	} rows[] = {
		{ "longer than the record", { 4, 0, 'a', 'b', 'c' }, 5, 0 },
		{ "65535", { 255, 255, 'a', 'b' }, 4, 0 },
		{ "half a count", { 1 }, 1, 0 },
		{ "offset behind the end", { 0, 0 }, 2, 3 },
		{ "offset far behind the end", { 0, 0 }, 2, SIZE_MAX },
		{ "NUL in the text", { 3, 0, 'a', 0, 'c' }, 5, 0 },
	};
	char text[100];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t at = rows[i].offset;

		memcpy(r.payload, rows[i].bytes, sizeof(rows[i].bytes));
		r.len = rows[i].len;
		ck_assert_msg(record_get_text(&r, &at, text, sizeof(text)) == -EBADMSG, "%s",
		              rows[i].name);
		ck_assert_uint_eq(at, rows[i].offset);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("record");
	TCase *t = tcase_create("record");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_record_arrives_as_it_was_sent);
	tcase_add_test(t, an_empty_payload_is_a_record_and_an_end_of_stream_is_none);
	tcase_add_test(t, the_largest_payload_goes_through_and_one_byte_more_does_not);
	tcase_add_test(t, what_is_no_record_is_refused_and_its_descriptors_are_closed);
	tcase_add_test(t, a_full_socket_says_so);
	tcase_add_test(t, counted_texts_come_back);
	tcase_add_test(t, hostile_counts_are_refused);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
