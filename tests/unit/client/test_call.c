/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/secret.h"
#include "coffer/varlink.h"

#define PATIENCE_MS 10000 /* for answers that come */
#define SHORT_MS 50       /* for answers that do not */

static struct call *call;
static int broker; /* the other end */

static void setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	call = call_adopt(pair[0], PATIENCE_MS);
	broker = pair[1];
	ck_assert_ptr_nonnull(call);
}

static void teardown(void)
{
	call_free(call);
	fd_close(broker);
}

static void answer(const char *text)
{
	ck_assert_int_eq(io_send(broker, text, strlen(text) + 1, NULL, 0, 0),
	                 (ssize_t)strlen(text) + 1);
}

static int next(json_t **ret, bool *continues, struct err *e)
{
	*e = (struct err){ "" };
	return call_next(call, ret, continues, e);
}

START_TEST(question_is_a_varlink_call_with_its_descriptors)
{
	struct secret *value = secret_copy("hunter2", 7), *got = NULL;
	int fds[4], memfd = secret_to_memfd(value);
	char text[512];
	size_t nfds = 4;
	json_t *parameters = json_pack("{s:i}", "fd", 0);
	struct varlink_call parsed;
	struct err e;
	ssize_t n = 0;

	ck_assert_int_eq(
		call_send(call, &(struct call_request){ "Put", parameters, true, &memfd, 1 }, &e),
		0);
	n = io_recv(broker, text, sizeof(text), fds, &nfds, 0);
	ck_assert_int_gt(n, 1);
	ck_assert_int_eq(text[n - 1], '\0');
	ck_assert_int_eq(varlink_parse_call(text, (size_t)n - 1, &parsed, &e), 0);
	ck_assert_str_eq(parsed.method, "io.coffer.operator.Put");
	ck_assert(parsed.more);
	ck_assert_uint_eq(nfds, 1);
	ck_assert_int_eq(secret_from_fd(fds[0], 100, &got), 0);
	ck_assert_mem_eq(got->bytes, "hunter2", 7);
	ck_assert_ptr_null(memmem(text, (size_t)n, "hunter2", 7));
	varlink_call_clear(&parsed);
	json_decref(parameters);
	secret_free(value);
	secret_free(got);
	close(fds[0]);
	close(memfd);
}
END_TEST

START_TEST(large_question_is_sent_whole_while_the_broker_reads_slowly)
{
	size_t size = 3 * 1024 * 1024, got = 0;
	char *large = malloc(size + 1), buffer[4096];
	json_t *parameters = NULL;
	struct err e;
	int status = 0;
	pid_t reader = 0;

	memset(large, 'x', size);
	large[size] = '\0';
	parameters = json_pack("{s:s}", "text", large);
	reader = fork();
	if (reader == 0) {
		call_free(call); /* the copy: end of file comes when the parent is done */
		for (ssize_t n; (n = read(broker, buffer, sizeof(buffer))) > 0;)
			got += (size_t)n;
		_exit(got > size && got < size + 200 ? 0 : 1);
	}
	ck_assert_int_eq(
		call_send(call, &(struct call_request){ "Put", parameters, false, NULL, 0 }, &e),
		0);
	call_free(TAKE_PTR(call));
	ck_assert_int_eq(waitpid(reader, &status, 0), reader);
	ck_assert_int_eq(status, 0);
	json_decref(parameters);
	free(large);
}
END_TEST

START_TEST(answers_may_come_in_pieces_and_in_a_stream)
{
	static const char both[] = "{\"parameters\":{\"n\":1},\"continues\":true}\0"
				   "{\"parameters\":{\"n\":2}}";
	json_t *reply = NULL;
	bool continues = false;
	struct err e;

	ck_assert_int_eq(io_send(broker, both, 20, NULL, 0, 0), 20);
	ck_assert_int_eq(io_send(broker, both + 20, sizeof(both) - 20, NULL, 0, 0),
	                 (ssize_t)sizeof(both) - 20);
	for (int i = 1; i <= 2; i++) {
		ck_assert_int_eq(next(&reply, &continues, &e), 0);
		ck_assert_int_eq(json_integer_value(json_object_get(reply, "n")), i);
		ck_assert(continues == (i == 1));
		ck_assert_ptr_null(call_error(call));
		json_decref(reply);
	}
}
END_TEST

START_TEST(errors_become_their_errno_and_the_brokers_sentence)
{
	static const struct {
		const char *name;
		int code;
	} rows[] = {
		{ "NotFound", -ENOENT },       { "Exists", -EEXIST },
		{ "Conflict", -EAGAIN },       { "Invalid", -EINVAL },
		{ "Denied", -EPERM },          { "Sealed", -ENOKEY },
		{ "Uninitialised", -ENODATA }, { "WrongKey", -EKEYREJECTED },
		{ "RolledBack", -ESTALE },     { "Damaged", -EBADMSG },
		{ "NoSpace", -ENOSPC },        { "Busy", -EBUSY },
		{ "AttachFailed", -ECHILD },   { "Internal", -EREMOTEIO },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		json_t *reply = NULL;
		bool continues = false;
		struct err e;

		snprintf(text, sizeof(text),
		         "{\"error\":\"io.coffer.operator.%s\",\"parameters\":{\"message\":\"m "
		         "%zu\"}}",
		         rows[i].name, i);
		answer(text);
		ck_assert_msg(next(&reply, &continues, &e) == rows[i].code, "%s", rows[i].name);
		ck_assert_str_eq(call_error(call), rows[i].name);
		snprintf(text, sizeof(text), "m %zu", i);
		ck_assert_str_eq(e.text, text);
		ck_assert_ptr_null(reply);
	}
}
END_TEST

START_TEST(error_without_a_message_is_named)
{
	json_t *reply = NULL;
	bool continues = false;
	struct err e;

	answer("{\"error\":\"org.varlink.service.MethodNotFound\"}");
	ck_assert_int_eq(next(&reply, &continues, &e), -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(e.text, "MethodNotFound"));
}
END_TEST

START_TEST(what_is_no_varlink_is_refused)
{
	static const char *const rows[] = {
		"",
		"x",
		"[]",
		"{\"parameters\":[]}",
		"{\"parameters\":{},\"continues\":1}",
		"{\"error\":7}",
		"{\"parameters\":{},\"parameters\":{}}",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *reply = NULL;
		bool continues = false;
		struct err e;

		answer(rows[i]);
		ck_assert_msg(next(&reply, &continues, &e) == -EBADMSG, "row %zu", i);
		ck_assert_ptr_null(reply);
		ck_assert_msg(e.text[0], "row %zu", i);
	}
}
END_TEST

START_TEST(silent_broker_is_not_waited_for_for_ever)
{
	json_t *reply = NULL;
	bool continues = false;
	struct err e;

	call_set_timeout(call, SHORT_MS);
	ck_assert_int_eq(next(&reply, &continues, &e), -ETIMEDOUT);
	answer("{}"); /* and one that comes after all is still taken */
	call_set_timeout(call, PATIENCE_MS);
	ck_assert_int_eq(next(&reply, &continues, &e), 0);
	json_decref(reply);
}
END_TEST

START_TEST(hung_up_broker_is_reported)
{
	json_t *reply = NULL;
	bool continues = false;
	struct err e;

	ck_assert_int_eq(io_send(broker, "{\"para", 6, NULL, 0, 0), 6);
	broker = fd_close(broker);
	ck_assert_int_eq(next(&reply, &continues, &e), -ECONNRESET);
	ck_assert_int_eq(call_send(call, &(struct call_request){ .method = "Status" }, &e),
	                 -ECONNRESET);
}
END_TEST

START_TEST(descriptors_are_taken_once_and_the_rest_closed)
{
	int ends[2][2], out[2];
	json_t *reply = NULL;
	bool continues = false;
	char byte = 0;
	struct err e;
	int fd = -1;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe(ends[i]), 0);
		out[i] = ends[i][1];
	}
	ck_assert_int_eq(io_send(broker, "{}", 3, out, 2, 0), 3);
	close(out[0]);
	close(out[1]);
	ck_assert_int_eq(next(&reply, &continues, &e), 0);
	json_decref(reply);
	ck_assert_int_eq(call_take_fd(call, -1), -1);
	ck_assert_int_eq(call_take_fd(call, 2), -1);
	ck_assert_int_eq(call_take_fd(call, INT64_MAX), -1);
	fd = call_take_fd(call, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(call_take_fd(call, 0), -1);
	ck_assert_int_eq(call_send(call, &(struct call_request){ .method = "Status" }, &e), 0);
	ck_assert_int_eq(read(ends[1][0], &byte, 1), 0); /* nobody holds the other one any more */
	ck_assert_int_eq(write(fd, "x", 1), 1);          /* ours is alive */
	close(fd);
}
END_TEST

/* A socket at DIR/operator.sock that listens; made by `uid`. */
static int listen_in(const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(chdir(dir), 0); /* names may be longer than an address */
	strcpy(address.sun_path, "operator.sock");
	ck_assert_int_eq(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(sock, 1), 0);
	return sock;
}

static void remove_dir(const char *dir)
{
	ck_assert_int_eq(chdir(dir), 0);
	unlink("operator.sock");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(absent_broker_is_said_to_be_absent)
{
	char dir[] = "/tmp/coffer-call-XXXXXX", missing[64];
	struct call *c = NULL;
	struct err e;
	int sock = -1;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(missing, sizeof(missing), "%s/no\033where", dir);
	ck_assert_int_eq(call_open(missing, PATIENCE_MS, &c, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "is cofferd running?"));
	ck_assert_ptr_null(strchr(e.text, '\033'));
	ck_assert_int_eq(call_open(dir, PATIENCE_MS, &c, &e), -ENOENT);
	sock = listen_in(dir);
	ck_assert_int_eq(call_open(dir, PATIENCE_MS, &c, &e), 0);
	call_free(c);
	close(sock);
	ck_assert_int_eq(call_open(dir, PATIENCE_MS, &c, &e), -ECONNREFUSED);
	remove_dir(dir);
}
END_TEST

START_TEST(broker_that_takes_no_connection_is_not_waited_for)
{
	char dir[] = "/tmp/coffer-call-XXXXXX";
	struct call *taken[8] = { NULL };
	struct err e;
	int sock = -1, r = 0;
	size_t n = 0;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	sock = listen_in(dir);
	while (n < 8 && (r = call_open(dir, SHORT_MS, &taken[n], &e)) == 0)
		n++;
	ck_assert_int_eq(r, -ETIMEDOUT);
	while (n-- > 0)
		call_free(taken[n]);
	close(sock);
	remove_dir(dir);
}
END_TEST

START_TEST(folder_with_a_long_name_is_reached)
{
	char dir[200] = "/tmp/coffer-call-XXXXXX", top[64];
	struct call *c = NULL;
	struct err e;
	int sock = -1;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	strcpy(top, dir);
	strcat(dir, "/");
	memset(dir + strlen(dir), 'x', 120);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	sock = listen_in(dir);
	ck_assert_int_eq(call_open(dir, PATIENCE_MS, &c, &e), 0);
	call_free(c);
	close(sock);
	remove_dir(dir);
	ck_assert_int_eq(rmdir(top), 0);
}
END_TEST

START_TEST(listener_of_another_user_gets_nothing)
{
	char dir[] = "/tmp/coffer-call-XXXXXX", byte = 0;
	struct call *c = NULL;
	int ready[2], done[2], status = 0;
	struct err e;
	pid_t child = 0;

	ck_assert_msg(geteuid() == 0, "this test needs root");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_assert_int_eq(pipe(ready) | pipe(done), 0);
	child = fork();
	if (child == 0) {
		close(done[1]);
		if (setuid(65534) < 0 || listen_in(dir) < 0)
			_exit(1);
		_exit(write(ready[1], "x", 1) != 1 || read(done[0], &byte, 1) != 0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(call_open(dir, PATIENCE_MS, &c, &e), -EPERM);
	ck_assert_ptr_null(c);
	close(done[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	remove_dir(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("call");
	TCase *talk = tcase_create("conversation"), *open = tcase_create("open");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(talk, setup, teardown);
	tcase_add_test(talk, question_is_a_varlink_call_with_its_descriptors);
	tcase_add_test(talk, large_question_is_sent_whole_while_the_broker_reads_slowly);
	tcase_add_test(talk, answers_may_come_in_pieces_and_in_a_stream);
	tcase_add_test(talk, errors_become_their_errno_and_the_brokers_sentence);
	tcase_add_test(talk, error_without_a_message_is_named);
	tcase_add_test(talk, what_is_no_varlink_is_refused);
	tcase_add_test(talk, silent_broker_is_not_waited_for_for_ever);
	tcase_add_test(talk, hung_up_broker_is_reported);
	tcase_add_test(talk, descriptors_are_taken_once_and_the_rest_closed);
	tcase_add_test(open, absent_broker_is_said_to_be_absent);
	tcase_add_test(open, broker_that_takes_no_connection_is_not_waited_for);
	tcase_add_test(open, folder_with_a_long_name_is_reached);
	tcase_add_test(open, listener_of_another_user_gets_nothing);
	suite_add_tcase(suite, talk);
	suite_add_tcase(suite, open);
	tcase_set_timeout(talk, 30);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
