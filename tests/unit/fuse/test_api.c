/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload API against a worker in a child process, over the socket that a container's process
 * would hold.
 */
#include <errno.h>

#include "api.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "fake_broker.h"

#define LARGE 300000 /* bytes: more than a socket buffer takes at once in base64 */

static struct fake_broker broker;
static char large[LARGE + 1];

static void set_up(void)
{
	fake_init(&broker);
	fake_start(&broker);
	fake_hello(&broker, 0);
	fake_root(&broker);
	fake_file(&broker, 2, 1, "db-password", "secret\n");
	fake_node(&broker, 3, 1, NODE_DIR, "tls", "");
	fake_file(&broker, 70, 3, "cert", "");
	fake_node(&broker, 5, 1, NODE_PLACEHOLDER_FILE, "other", "");
	memset(large, 'x', LARGE);
	fake_file(&broker, 71, 1, "large", large);
}

static void tear_down(void)
{
	fake_end(&broker);
}

static int connect_as(uint64_t id)
{
	const struct wr_connection connection = { .id = id, .uid = 1000, .gid = 1000, .pid = 4242 };
	int pair[2];

	fake_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	fake_send_raw(&broker, WR_CONNECTION, &connection, sizeof(connection), &pair[1], 1);
	close(pair[1]);
	return pair[0];
}

static void say(int sock, const char *message)
{
	size_t len = strlen(message) + 1;

	fake_must(send(sock, message, len, MSG_NOSIGNAL) == (ssize_t)len, "send");
}

/* One reply, parsed; NULL when the peer has closed. */
static json_t *hear(int sock)
{
	static char text[2 * LARGE];
	struct err why;
	json_t *reply;
	size_t len = 0;

	do {
		struct pollfd wait = { .fd = sock, .events = POLLIN };

		ck_assert_msg(poll(&wait, 1, FAKE_WAIT_MS) == 1, "no reply");
		ck_assert_uint_lt(len, sizeof(text));
		/* Looked at before it is taken, to take nothing of the next reply. */
		ssize_t n = recv(sock, text + len, sizeof(text) - len, MSG_PEEK);

		if (n <= 0)
			return NULL;
		size_t take = strnlen(text + len, (size_t)n);

		take += take < (size_t)n;
		ck_assert_int_eq(recv(sock, text + len, take, 0), (ssize_t)take);
		len += take;
	} while (text[len - 1] != '\0');
	ck_assert_msg(json_parse(text, len - 1, &reply, &why) == 0, "%s", why.text);
	return reply;
}

static json_t *call(int sock, const char *message)
{
	say(sock, message);
	return hear(sock);
}

static const char *error_of(const json_t *reply)
{
	const char *error = json_string_value(json_object_get(reply, "error"));

	ck_assert_msg(reply != NULL, "the worker has closed the connection");
	return error ? error : "";
}

static const json_t *parameter(const json_t *reply, const char *name)
{
	ck_assert_str_eq(error_of(reply), "");
	return json_object_get(json_object_get(reply, "parameters"), name);
}

static void assert_text(const json_t *reply, const char *name, const char *value)
{
	const char *text = json_string_value(parameter(reply, name));

	ck_assert_msg(text != NULL, "no %s", name);
	ck_assert_str_eq(text, value);
}

static void assert_error(json_t *reply, const char *error)
{
	ck_assert_str_eq(error_of(reply), error);
	json_decref(reply);
}

START_TEST(get_gives_the_value_and_leaves_a_record)
{
	SCOPED_FD int sock = connect_as(1);
	SCOPED(json_ptr)
	json_t *reply = call(sock, "{\"method\":\"io.coffer.workload.Get\",\"parameters\":"
	                           "{\"path\":\"db-password\"}}");
	SCOPED(json_ptr)
	json_t *empty = call(sock, "{\"method\":\"io.coffer.workload.Get\",\"parameters\":"
	                           "{\"path\":\"tls/cert\"}}");
	struct ring_record record;

	assert_text(reply, "value", "c2VjcmV0Cg==");
	assert_text(reply, "path", "db-password");
	ck_assert_int_eq(json_integer_value(parameter(reply, "version")), 20);
	assert_text(empty, "value", "");
	ck_assert(fake_record(&broker, RING_API_GET, &record));
	ck_assert_uint_eq(record.node, 2);
	ck_assert_uint_eq(record.version, 20);
	ck_assert_uint_eq(record.uid, 1000);
	ck_assert_uint_eq(record.pid, 4242);
	ck_assert_int_eq(record.result, 0);
}
END_TEST

START_TEST(a_value_larger_than_the_socket_takes_arrives_whole)
{
	SCOPED_FD int sock = connect_as(1);
	SCOPED(json_ptr)
	json_t *reply = call(sock, "{\"method\":\"io.coffer.workload.Get\",\"parameters\":"
	                           "{\"path\":\"large\"}}");
	const char *text = json_string_value(parameter(reply, "value"));
	SCOPED(secret_free_ptr) struct secret *value = NULL;

	ck_assert_int_eq(secret_from_base64(text, strlen(text), &value), 0);
	ck_assert_uint_eq(value->len, LARGE);
	ck_assert_mem_eq(value->bytes, large, LARGE);
}
END_TEST

static const char *const absent[] = {
	"nothing",        "tls",   "tls/none",      "", "/db-password",
	"../db-password", "other", "db-password/x",
};

START_TEST(what_is_not_a_granted_file_is_not_found)
{
	SCOPED_FD int sock = connect_as(1);
	struct ring_record record;
	char message[128];

	snprintf(message, sizeof(message),
	         "{\"method\":\"io.coffer.workload.Get\",\"parameters\":{\"path\":\"%s\"}}",
	         absent[_i]);
	assert_error(call(sock, message), "io.coffer.workload.NotFound");
	ck_assert(fake_record(&broker, RING_API_GET, &record));
	ck_assert_int_eq(record.result, -ENOENT);
	ck_assert_int_eq(strncmp(record.text, absent[_i], sizeof(record.text)), 0);
}
END_TEST

START_TEST(a_denied_version_is_not_found)
{
	SCOPED_FD int sock = connect_as(1);

	ck_assert_int_eq(fake_deny(&broker, 2), 0);
	assert_error(call(sock, "{\"method\":\"io.coffer.workload.Get\",\"parameters\":"
	                        "{\"path\":\"db-password\"}}"),
	             "io.coffer.workload.NotFound");
}
END_TEST

START_TEST(list_names_exactly_the_granted_files)
{
	SCOPED_FD int sock = connect_as(1);
	SCOPED(json_ptr)
	json_t *reply = call(sock, "{\"method\":\"io.coffer.workload.List\"}");
	const json_t *secrets = parameter(reply, "secrets");
	bool seen = false;
	struct ring_record record;

	ck_assert_uint_eq(json_array_size(secrets), 3);
	for (size_t i = 0; i < json_array_size(secrets); i++) {
		const json_t *secret = json_array_get(secrets, i);
		const char *path = json_string_value(json_object_get(secret, "path"));

		if (strcmp(path, "db-password") != 0)
			continue;
		seen = true;
		ck_assert_int_eq(json_integer_value(json_object_get(secret, "version")), 20);
		ck_assert_int_eq(json_integer_value(json_object_get(secret, "size")), 7);
		ck_assert_str_eq(json_string_value(json_object_get(secret, "expires")),
		                 "2033-05-18T03:33:20.000000Z");
	}
	ck_assert(seen);
	ck_assert(fake_record(&broker, RING_API_LIST, &record));
}
END_TEST

START_TEST(identity_and_introspection_answer)
{
	SCOPED_FD int sock = connect_as(1);
	SCOPED(json_ptr) json_t *who = call(sock, "{\"method\":\"io.coffer.workload.Identity\"}");
	SCOPED(json_ptr) json_t *info = call(sock, "{\"method\":\"org.varlink.service.GetInfo\"}");
	SCOPED(json_ptr)
	json_t *text = call(sock, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
	                          "\"parameters\":{\"interface\":\"io.coffer.workload\"}}");

	assert_text(who, "container", "web");
	assert_text(who, "runtime", "runc");
	assert_text(who, "folder", "/run/secrets");
	assert_text(who, "instance", "abcd0000000000000000000000000000");
	ck_assert(json_is_false(parameter(who, "mounted")));
	assert_text(info, "vendor", "Coffer");
	ck_assert_ptr_nonnull(strstr(json_string_value(parameter(text, "description")),
	                             "\ninterface io.coffer.workload\n"));
	assert_error(call(sock, "{\"method\":\"io.coffer.workload.Nothing\"}"),
	             "org.varlink.service.MethodNotFound");
}
END_TEST

START_TEST(attach_asks_the_broker_and_passes_its_answer_on)
{
	SCOPED_FD int sock = connect_as(77);
	static const char *const folder[] = { "/run/secrets", NULL };
	static const char *const reason[] = { "the folder is a symlink", NULL };
	struct wr_attach attach;
	json_t *reply;

	say(sock, "{\"method\":\"io.coffer.workload.Attach\"}");
	attach = *(const struct wr_attach *)fake_expect(&broker, WR_ATTACH);
	ck_assert_uint_eq(attach.id, 77);
	fake_send_texts(&broker, WR_ATTACH_RESULT, &attach, sizeof(attach), folder, -1);
	reply = hear(sock);
	assert_text(reply, "folder", "/run/secrets");
	json_decref(reply);
	say(sock, "{\"method\":\"io.coffer.workload.Attach\"}");
	fake_expect(&broker, WR_ATTACH);
	attach.result = -ELOOP;
	fake_send_texts(&broker, WR_ATTACH_RESULT, &attach, sizeof(attach), reason, -1);
	assert_error(hear(sock), "io.coffer.workload.AttachFailed");
	/* One who asks and leaves: the answer finds nobody, and that is no error. */
	say(sock, "{\"method\":\"io.coffer.workload.Attach\"}");
	fake_expect(&broker, WR_ATTACH);
	sock = fd_close(sock);
	fake_send_texts(&broker, WR_ATTACH_RESULT, &attach, sizeof(attach), reason, -1);
	fake_ping(&broker);
}
END_TEST

START_TEST(too_many_calls_are_busy)
{
	SCOPED_FD int sock = connect_as(1);
	struct ring_record record;
	int busy = 0;

	/* 5 a second are allowed (fake_hello): of 12 at once some are not. */
	for (int i = 0; i < 12; i++)
		say(sock, "{\"method\":\"io.coffer.workload.Identity\"}");
	for (int i = 0; i < 12; i++) {
		SCOPED(json_ptr) json_t *reply = hear(sock);

		busy += strcmp(error_of(reply), "io.coffer.workload.Busy") == 0;
	}
	ck_assert_int_ge(busy, 1);
	ck_assert_int_le(busy, 7);
	ck_assert(fake_record(&broker, RING_API_REFUSED, &record));
}
END_TEST

START_TEST(too_many_connections_are_busy_and_closed)
{
	SCOPED_FD int first = connect_as(1);
	SCOPED_FD int second = connect_as(2);
	SCOPED_FD int third = connect_as(3); /* 2 are allowed */

	assert_error(hear(third), "io.coffer.workload.Busy");
	ck_assert_ptr_null(hear(third));
	json_decref(call(first, "{\"method\":\"io.coffer.workload.Identity\"}"));
	json_decref(call(second, "{\"method\":\"io.coffer.workload.Identity\"}"));
}
END_TEST

static const char *const malformed[] = { "",
	                                 "{",
	                                 "[]",
	                                 "{\"method\":1}",
	                                 "{\"method\":\"x\"}",
	                                 "{\"method\":\"a.B\",\"method\":\"a.B\"}" };

START_TEST(a_malformed_message_is_refused_recorded_and_closes)
{
	SCOPED_FD int sock = connect_as(1);
	struct ring_record record;

	assert_error(call(sock, malformed[_i]), "io.coffer.workload.InvalidMessage");
	ck_assert_ptr_null(hear(sock));
	ck_assert(fake_record(&broker, RING_API_REFUSED, &record));
	fake_ping(&broker);
}
END_TEST

START_TEST(a_message_longer_than_64_kib_is_refused_and_closes)
{
	SCOPED_FD int sock = connect_as(1);
	static char bytes[API_MESSAGE_MAX + 1];

	memset(bytes, ' ', sizeof(bytes));
	fake_must(send(sock, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes), "send");
	assert_error(hear(sock), "io.coffer.workload.InvalidMessage");
	ck_assert_ptr_null(hear(sock));
}
END_TEST

START_TEST(half_a_message_is_dropped_after_its_time)
{
	SCOPED_FD int sock = connect_as(1);
	struct ring_record record;

	fake_must(send(sock, "{\"method\"", 9, MSG_NOSIGNAL) == 9, "send");
	ck_assert_ptr_null(hear(sock));
	ck_assert(fake_record(&broker, RING_API_REFUSED, &record));
	ck_assert_int_eq(record.result, -ETIMEDOUT);
}
END_TEST

START_TEST(a_oneway_call_gets_no_answer)
{
	SCOPED_FD int sock = connect_as(1);

	say(sock, "{\"method\":\"io.coffer.workload.Identity\",\"oneway\":true}");
	json_decref(call(sock, "{\"method\":\"io.coffer.workload.List\"}"));
	fake_ping(&broker);
	ck_assert_int_eq(recv(sock, (char[1]){ 0 }, 1, MSG_DONTWAIT), -1);
}
END_TEST

START_TEST(descriptors_of_a_peer_are_not_taken)
{
	SCOPED_FD int sock = connect_as(1);
	static const char message[] = "{\"method\":\"io.coffer.workload.Identity\"}";
	int pair[2];

	fake_must(pipe(pair) == 0, "pipe");
	ck_assert_int_gt(io_send(sock, message, sizeof(message), &pair[1], 1, 0), 0);
	close(pair[1]);
	json_decref(hear(sock));
	/* End of file: nobody holds the other end. */
	ck_assert_int_eq(read(pair[0], (char[1]){ 0 }, 1), 0);
	close(pair[0]);
}
END_TEST

START_TEST(connections_end_with_the_broker)
{
	SCOPED_FD int sock = connect_as(1);

	json_decref(call(sock, "{\"method\":\"io.coffer.workload.Identity\"}"));
	broker.channel = fd_close(broker.channel);
	ck_assert_ptr_null(hear(sock));
	ck_assert_int_eq(fake_wait(&broker), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("api");
	TCase *t = tcase_create("api");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, get_gives_the_value_and_leaves_a_record);
	tcase_add_test(t, a_value_larger_than_the_socket_takes_arrives_whole);
	tcase_add_loop_test(t, what_is_not_a_granted_file_is_not_found, 0, (int)ARRAY_LEN(absent));
	tcase_add_test(t, a_denied_version_is_not_found);
	tcase_add_test(t, list_names_exactly_the_granted_files);
	tcase_add_test(t, identity_and_introspection_answer);
	tcase_add_test(t, attach_asks_the_broker_and_passes_its_answer_on);
	tcase_add_test(t, too_many_calls_are_busy);
	tcase_add_test(t, too_many_connections_are_busy_and_closed);
	tcase_add_loop_test(t, a_malformed_message_is_refused_recorded_and_closes, 0,
	                    (int)ARRAY_LEN(malformed));
	tcase_add_test(t, a_message_longer_than_64_kib_is_refused_and_closes);
	tcase_add_test(t, half_a_message_is_dropped_after_its_time);
	tcase_add_test(t, a_oneway_call_gets_no_answer);
	tcase_add_test(t, descriptors_of_a_peer_are_not_taken);
	tcase_add_test(t, connections_end_with_the_broker);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
