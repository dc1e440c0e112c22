/* SPDX-License-Identifier: Apache-2.0 */
/* What hostile or clumsy clients send. threats.md row 27. */
#include <sys/resource.h>

#include "support.h"
#include "support_fakes.h"

static struct host *host;

static void setup(void)
{
	struct rlimit limit;

	/* The crowd below needs more descriptors than the usual soft limit allows. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	host = host_new();
	host_start(host);
}

static void teardown(void)
{
	host_free(host);
}

/* Whoever else is connected: a good client is served. */
static void expect_service(void)
{
	int fd = client_connect(host);

	json_decref(client_ok(fd, "Status", NULL));
	close(fd);
}

/* The connection ends, whether or not a sentence comes first. */
static void expect_end(int fd)
{
	char buffer[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		ssize_t n;

		ck_assert_msg(poll(&p, 1, WAIT_MS) == 1, "the connection stays open");
		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n <= 0)
			break;
	}
	close(fd);
}

START_TEST(random_bytes_end_their_connection)
{
	unsigned int seed = (unsigned int)_i + 1;
	unsigned char bytes[2000];
	int fd = client_connect(host);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)rand_r(&seed);
	bytes[sizeof(bytes) - 1] = '\0';
	client_send_raw(fd, bytes, sizeof(bytes));
	expect_end(fd);
	expect_service();
}
END_TEST

static const struct malformed {
	const char *name, *text;
} malformed[] = {
	{ "empty message", "" },
	{ "not an object", "[]" },
	{ "no method", "{}" },
	{ "method is a number", "{\"method\":1}" },
	{ "method without interface", "{\"method\":\"Status\"}" },
	{ "parameters are a list", "{\"method\":\"io.coffer.operator.Status\",\"parameters\":[]}" },
	{ "duplicate key",
	  "{\"method\":\"io.coffer.operator.Status\",\"method\":\"io.coffer.operator.Seal\"}" },
	{ "unknown member", "{\"method\":\"io.coffer.operator.Status\",\"as\":\"root\"}" },
	{ "more and oneway",
	  "{\"method\":\"io.coffer.operator.Status\",\"more\":true,\"oneway\":true}" },
	{ "something behind", "{\"method\":\"io.coffer.operator.Status\"} {}" },
};

START_TEST(a_malformed_message_ends_its_connection)
{
	int fd = client_connect(host);

	client_send_raw(fd, malformed[_i].text, strlen(malformed[_i].text) + 1);
	expect_end(fd);
	expect_service();
}
END_TEST

START_TEST(deep_nesting_ends_its_connection)
{
	static char deep[100000];
	int fd = client_connect(host);

	memset(deep, '[', sizeof(deep) - 1);
	client_send_raw(fd, deep, sizeof(deep));
	expect_end(fd);
	expect_service();
}
END_TEST

START_TEST(a_message_longer_than_the_limit_ends_its_connection)
{
	static char chunk[65536];
	int fd = client_connect(host);
	size_t sent = 0;

	memset(chunk, 'x', sizeof(chunk));
	while (sent <= SERVER_MESSAGE_MAX + sizeof(chunk)) {
		ssize_t n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	expect_end(fd);
	expect_service();
}
END_TEST

START_TEST(a_half_message_gets_no_answer_and_holds_up_nobody)
{
	int fd = client_connect(host);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const char rest[] = "operator.Status\"}";

	client_send_raw(fd, "{\"method\":\"io.coffer.", 21);
	expect_service();
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	client_send_raw(fd, rest, sizeof(rest));
	json_decref(client_receive(fd, NULL));
	close(fd);
}
END_TEST

START_TEST(a_crowd_of_slow_clients_keeps_nobody_out)
{
	enum { CROWD = 3 * SERVER_CONNECTIONS_MAX };
	static int crowd[CROWD];

	for (int i = 0; i < CROWD; i++) {
		crowd[i] = client_connect(host);
		/* Half of them send a byte. */
		if (i % 2)
			(void)!send(crowd[i], "{", 1, MSG_NOSIGNAL);
		if (i % 500 == 0)
			expect_service();
	}
	expect_service();
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
	expect_service();
}
END_TEST

START_TEST(calls_sent_at_once_are_answered_in_order)
{
	const char text[] = "{\"method\":\"io.coffer.operator.Status\"}\0"
			    "{\"method\":\"org.varlink.service.GetInfo\"}\0"
			    "{\"method\":\"io.coffer.operator.Nothing\"}";
	int fd = client_connect(host);
	json_t *message;

	client_send_raw(fd, text, sizeof(text));
	message = client_receive(fd, NULL);
	ck_assert_ptr_nonnull(json_object_get(json_object_get(message, "parameters"), "state"));
	json_decref(message);
	message = client_receive(fd, NULL);
	ck_assert_ptr_nonnull(json_object_get(json_object_get(message, "parameters"), "vendor"));
	json_decref(message);
	message = client_receive(fd, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(message, "error")),
	                 "org.varlink.service.MethodNotFound");
	json_decref(message);
	close(fd);
}
END_TEST

START_TEST(a_client_that_writes_no_more_gets_its_answer)
{
	int fd = client_connect(host);
	json_t *message;

	client_send(fd, "Status", NULL, NULL);
	shutdown(fd, SHUT_WR);
	message = client_receive(fd, NULL);
	ck_assert_ptr_nonnull(message);
	json_decref(message);
	ck_assert_ptr_null(client_receive(fd, NULL));
	close(fd);
}
END_TEST

START_TEST(a_oneway_call_is_done_and_not_answered)
{
	int fd = client_connect(host);
	json_t *message, *parameters;

	client_send(fd, "Init", "{\"kind\":\"keyfile\",\"key\":\"" KEY_BASE64 "\"}", "oneway");
	client_send(fd, "Status", NULL, NULL);
	message = client_receive(fd, NULL);
	parameters = json_object_get(message, "parameters");
	ck_assert_str_eq(json_string_value(json_object_get(parameters, "state")), "unsealed");
	json_decref(message);
	close(fd);
}
END_TEST

static const struct unknown {
	const char *method, *parameters, *error;
} unknown[] = {
	{ "Nothing", NULL, "org.varlink.service.MethodNotFound" },
	{ "io.coffer.workload.Get", NULL, "org.varlink.service.InterfaceNotFound" },
	{ "org.varlink.service.Nothing", NULL, "org.varlink.service.MethodNotFound" },
	{ "org.varlink.service.GetInfo", "{\"x\":1}", "org.varlink.service.InvalidParameter" },
	{ "org.varlink.service.GetInterfaceDescription", NULL,
	  "org.varlink.service.InvalidParameter" },
	{ "org.varlink.service.GetInterfaceDescription", "{\"interface\":\"a.b\"}",
	  "org.varlink.service.InterfaceNotFound" },
	{ "Status", "{\"verbose\":true}", "Invalid" },
	{ "Get", "{\"name\":\"a\",\"verison\":1}", "Invalid" },
};

START_TEST(what_is_unknown_is_named_and_refused)
{
	int fd = client_connect(host);

	client_expect_error(fd, unknown[_i].method, unknown[_i].parameters, unknown[_i].error);
	json_decref(client_ok(fd, "Status", NULL));
	close(fd);
}
END_TEST

START_TEST(the_interface_describes_itself)
{
	int fd = client_connect(host);
	json_t *reply = client_ok(fd, "org.varlink.service.GetInterfaceDescription",
	                          "{\"interface\":\"io.coffer.operator\"}");
	const char *text = json_string_value(json_object_get(reply, "description"));

	ck_assert_ptr_nonnull(strstr(text, "interface io.coffer.operator\n"));
	for (const struct method *m = operator_methods; m->name; m++) {
		char line[64];

		snprintf(line, sizeof(line), "\nmethod %s(", m->name);
		ck_assert_msg(strstr(text, line) != NULL, "%s is not described", m->name);
		for (const char *const *p = m->parameters; *p; p++)
			ck_assert_msg(strstr(strstr(text, line), *p) != NULL, "%s of %s", *p,
			              m->name);
	}
	json_decref(reply);
	close(fd);
}
END_TEST

START_TEST(more_descriptors_than_the_limit_end_the_connection)
{
	int fd = client_connect(host), fds[SERVER_FDS_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = STDERR_FILENO;
	ck_assert_int_eq(io_send(fd, "{", 1, fds, ARRAY_LEN(fds), 0), 1);
	expect_end(fd);
	expect_service();
}
END_TEST

START_TEST(a_reader_that_does_not_read_ends_alone)
{
	int fd = client_connect(host);
	char text[] = "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
		      "\"parameters\":{\"interface\":\"io.coffer.operator\"}}";

	/* Answers pile up until ours cannot even be sent; the broker goes on. */
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < 5000; i++)
		if (send(fd, text, sizeof(text), MSG_NOSIGNAL) < 0)
			break;
	expect_service();
	close(fd);
	expect_service();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("framing");
	TCase *t = tcase_create("framing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, random_bytes_end_their_connection, 0, 20);
	tcase_add_loop_test(t, a_malformed_message_ends_its_connection, 0, ARRAY_LEN(malformed));
	tcase_add_test(t, deep_nesting_ends_its_connection);
	tcase_add_test(t, a_message_longer_than_the_limit_ends_its_connection);
	tcase_add_test(t, a_half_message_gets_no_answer_and_holds_up_nobody);
	tcase_add_test(t, a_crowd_of_slow_clients_keeps_nobody_out);
	tcase_add_test(t, calls_sent_at_once_are_answered_in_order);
	tcase_add_test(t, a_client_that_writes_no_more_gets_its_answer);
	tcase_add_test(t, a_oneway_call_is_done_and_not_answered);
	tcase_add_loop_test(t, what_is_unknown_is_named_and_refused, 0, ARRAY_LEN(unknown));
	tcase_add_test(t, the_interface_describes_itself);
	tcase_add_test(t, more_descriptors_than_the_limit_end_the_connection);
	tcase_add_test(t, a_reader_that_does_not_read_ends_alone);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
