/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log through the operator socket, and what happens when it cannot be written. */
#include <sched.h>
#include <sys/mount.h>

#include "support.h"
#include "support_fakes.h"

static struct host *host;
static int client;

static void setup(void)
{
	/* What a test mounts is gone with its process. */
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	host = host_new();
	host_start(host);
	host_init_store(host);
	client = client_connect(host);
}

static void teardown(void)
{
	close(client);
	host_free(host);
}

#define ITEM(name) "{\"items\":[{\"name\":\"" name "\",\"value\":\"YWFh\"}]}"

static void put_many(int count)
{
	int fd = client_connect(host);

	for (int i = 0; i < count; i += 100) {
		char text[8192];
		size_t len = (size_t)snprintf(text, sizeof(text), "{\"items\":[");

		for (int k = 0; k < 100; k++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			                        "%s{\"name\":\"n%02d\",\"value\":\"\"}",
			                        k > 0 ? "," : "", k);
		snprintf(text + len, sizeof(text) - len, "]}");
		json_decref(client_ok(fd, "Put", text));
	}
	close(fd);
}

/* The sequence number of a line. */
static json_int_t line_seq(const json_t *line)
{
	json_t *object = json_loads(json_string_value(line), 0, NULL);
	json_int_t seq = json_integer_value(json_object_get(object, "seq"));

	json_decref(object);
	return seq;
}

START_TEST(a_long_log_comes_in_pages_without_a_gap)
{
	json_int_t last = 0;
	int replies = 0;
	bool continues = true;

	put_many(5000);
	client_send(client, "Audit", NULL, "more");
	while (continues) {
		json_t *message = client_receive(client, NULL), *line, *lines;
		size_t i;

		lines = json_object_get(json_object_get(message, "parameters"), "lines");
		json_array_foreach (lines, i, line) {
			ck_assert_int_eq(line_seq(line), last + 1);
			last++;
		}
		continues = json_is_true(json_object_get(message, "continues"));
		replies++;
		json_decref(message);
	}
	ck_assert_int_ge(last, 5000);
	ck_assert_int_ge(replies, 2);
	ck_assert_uint_ge(host->shared->drains, 1);
}
END_TEST

/* Lines with event `event` of the next messages of a follower, until `wanted` have come. */
static void follow_until(int fd, const char *event, int wanted)
{
	char needle[64];
	int seen = 0;

	snprintf(needle, sizeof(needle), "\"event\":\"%s\"", event);
	while (seen < wanted) {
		json_t *message = client_receive(fd, NULL), *line, *lines;
		size_t i;

		ck_assert_ptr_nonnull(message);
		ck_assert(json_is_true(json_object_get(message, "continues")));
		lines = json_object_get(json_object_get(message, "parameters"), "lines");
		json_array_foreach (lines, i, line)
			seen += strstr(json_string_value(line), needle) != NULL;
		json_decref(message);
	}
	ck_assert_int_eq(seen, wanted);
}

START_TEST(a_follower_sees_what_was_and_what_comes)
{
	int follower = client_connect(host);

	json_decref(client_ok(client, "Put", ITEM("a")));
	client_send(follower, "Audit", "{\"follow\":true}", "more");
	follow_until(follower, "put", 1);
	json_decref(client_ok(client, "Put", ITEM("b")));
	json_decref(client_ok(client, "Remove", "{\"name\":\"b\"}"));
	follow_until(follower, "rm", 1);
	close(follower);
	json_decref(client_ok(client, "Put", ITEM("c")));
}
END_TEST

START_TEST(a_follower_that_does_not_read_is_cut_and_holds_up_nobody)
{
	int follower = client_connect(host);
	json_t *message;
	const char *error = NULL;

	client_send(follower, "Audit", "{\"follow\":true}", "more");
	follow_until(follower, "init", 1);
	/* It has its turns beside other calls: soon it has come to the log's end, and lines are told as they are written. */
	for (int i = 0; i < 8; i++)
		json_decref(client_ok(client, "Status", NULL));
	put_many(20000);
	for (;;) {
		message = client_receive(follower, NULL);
		if (!message)
			break;
		error = json_string_value(json_object_get(message, "error"));
		if (error)
			break;
		json_decref(message);
	}
	ck_assert_ptr_nonnull(error);
	ck_assert_str_eq(error, "io.coffer.operator.Busy");
	json_decref(message);
	close(follower);
}
END_TEST

START_TEST(follow_without_more_is_refused)
{
	client_expect_error(client, "Audit", "{\"follow\":true}", "Invalid");
}
END_TEST

START_TEST(the_files_of_the_log_come_as_descriptors_that_cannot_be_written)
{
	json_t *message, *reply;
	int fd = -1;
	char bytes[256];

	client_send(client, "AuditFiles", NULL, NULL);
	message = client_receive(client, &fd);
	reply = json_object_get(message, "parameters");
	ck_assert_uint_eq(json_array_size(json_object_get(reply, "files")), 1);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(reply, "files"), 0)),
	                 "log.jsonl");
	ck_assert_uint_gt(strlen(json_string_value(json_object_get(reply, "head"))), 10);
	ck_assert_uint_eq(strlen(json_string_value(json_object_get(reply, "public_key"))), 64);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(pread(fd, bytes, sizeof(bytes), 0), 0);
	ck_assert_int_lt(pwrite(fd, "x", 1, 0), 0);
	json_decref(message);
	close(fd);
}
END_TEST

/* A broker whose audit folder lies on a file system of 1 MiB, which is then filled. */
START_TEST(nothing_is_changed_or_given_out_while_the_log_cannot_be_written)
{
	static char block[4096];
	char folder[128], filler[160];
	json_t *reply;
	int fd;

	json_decref(client_ok(client, "Put", ITEM("a")));
	close(client);
	host_kill(host);
	snprintf(folder, sizeof(folder), "%s/audit", host->state);
	ck_assert_int_eq(mount("none", folder, "tmpfs", 0, "size=1m,mode=0700"), 0);
	host_start(host);
	client = client_connect(host);
	/* The log is gone, so the store is ahead of it; that is no rollback. */
	json_decref(client_ok(client, "Unseal", "{\"slot\":1,\"key\":\"" KEY_BASE64 "\"}"));
	snprintf(filler, sizeof(filler), "%s/filler", folder);
	fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	while (write(fd, block, 1) > 0)
		;
	/* The page of the log's end has some room left. */
	for (int i = 0; i < 100; i++) {
		client_send(client, "Get", "{\"name\":\"a\"}", NULL);
		reply = client_receive(client, NULL);
		if (json_object_get(reply, "error"))
			break;
		json_decref(reply);
		reply = NULL;
	}
	ck_assert_ptr_nonnull(reply);
	ck_assert_str_eq(json_string_value(json_object_get(reply, "error")),
	                 "io.coffer.operator.NoSpace");
	json_decref(reply);
	client_expect_error(client, "Put", ITEM("b"), "NoSpace");
	client_expect_error(client, "Grant",
	                    "{\"grant\":{\"name\":\"a\",\"conditions\":{\"container\":\"web\"}}}",
	                    "NoSpace");
	reply = client_ok(client, "Status", NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(reply, "warnings")), 1);
	json_decref(reply);
	client_expect_error(client, "Get", "{\"name\":\"b\"}", "NotFound");
	ck_assert_int_eq(unlink(filler), 0);
	close(fd);
	json_decref(client_ok(client, "Put", ITEM("b")));
	reply = client_ok(client, "Status", NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(reply, "warnings")), 0);
	json_decref(reply);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("audit");
	TCase *t = tcase_create("audit");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_long_log_comes_in_pages_without_a_gap);
	tcase_add_test(t, a_follower_sees_what_was_and_what_comes);
	tcase_add_test(t, a_follower_that_does_not_read_is_cut_and_holds_up_nobody);
	tcase_add_test(t, follow_without_more_is_refused);
	tcase_add_test(t, the_files_of_the_log_come_as_descriptors_that_cannot_be_written);
	tcase_add_test(t, nothing_is_changed_or_given_out_while_the_log_cannot_be_written);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
