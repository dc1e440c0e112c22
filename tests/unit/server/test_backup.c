/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the store that leave, and come back; who may ask for which; what is refused. */
#include <poll.h>
#include <sched.h>

#include "support.h"
#include "support_fakes.h"

static struct host *host;

static void setup(void)
{
	host = host_new();
	host_start(host);
}

static void teardown(void)
{
	host_free(host);
}

static void put_large(int fd, const char *name)
{
	static char text[1500000];
	size_t len = (size_t)snprintf(text, sizeof(text),
	                              "{\"items\":[{\"name\":\"%s\",\"value\":\"", name);

	memset(text + len, 'A', 1000000);
	strcpy(text + len + 1000000, "\"}]}");
	json_decref(client_ok(fd, "Put", text));
}

/* The descriptor and size of a backup. */
static int backup(int fd, json_int_t *size)
{
	int store = -1;
	json_t *message, *reply;

	client_send(fd, "Backup", NULL, NULL);
	message = client_receive(fd, &store);
	ck_assert_ptr_nonnull(message);
	reply = json_object_get(message, "parameters");
	ck_assert_msg(store >= 0, "%s", json_dumps(message, 0));
	*size = json_integer_value(json_object_get(reply, "size"));
	ck_assert_int_gt(json_integer_value(json_object_get(reply, "epoch")), 0);
	json_decref(message);
	return store;
}

static int restore_file(int fd)
{
	int to = -1;
	json_t *message;

	client_send(fd, "RestoreOpen", NULL, NULL);
	message = client_receive(fd, &to);
	ck_assert_msg(to >= 0, "%s", json_dumps(message, 0));
	json_decref(message);
	return to;
}

static void copy_all(int from, int to)
{
	static char bytes[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, bytes, sizeof(bytes), at)) > 0) {
		ck_assert_int_eq(io_write_all(to, bytes, (size_t)n), 0);
		at += n;
	}
	ck_assert_int_eq(n, 0);
}

static void forget_store(void)
{
	char path[200];

	host_kill(host);
	snprintf(path, sizeof(path), "%s/store.db", host->state);
	unlink(path);
	strcat(path, "-wal");
	unlink(path);
	host_start(host);
}

START_TEST(a_copy_leaves_read_only_and_on_record)
{
	json_int_t size = 0;
	struct stat st;
	int fd, store;

	fd = client_connect(host);
	client_expect_error(fd, "Backup", NULL, "Uninitialised");
	host_init_store(host);
	store = backup(fd, &size);
	ck_assert_int_eq(fstat(store, &st), 0);
	ck_assert_int_eq(st.st_size, size);
	ck_assert_int_eq(st.st_nlink, 0);
	ck_assert_int_eq(write(store, "x", 1), -1);
	ck_assert_int_eq(ftruncate(store, 0), -1);
	ck_assert_uint_eq(host_audit_count(host, "backup", "\"by\":\"Backup\""), 1);
	close(store);
	close(fd);
}
END_TEST

START_TEST(one_that_takes_long_tells_how_far_it_is_and_is_alone)
{
	int fd = client_connect(host), other = client_connect(host), told = 0, store = -1;
	int first = fd;
	json_t *message = NULL, *second;

	host_init_store(host);
	for (char name[] = "a"; name[0] < 'm'; name[0]++)
		put_large(fd, name);
	/* It finds both when it wakes up: whichever is second finds the first under way. */
	ck_assert_int_eq(kill(host->pid, SIGSTOP), 0);
	client_send(fd, "Backup", NULL, "more");
	client_send(other, "Backup", NULL, "more");
	ck_assert_int_eq(kill(host->pid, SIGCONT), 0);
	message = client_receive(fd, NULL);
	second = client_receive(other, NULL);
	if (json_object_get(message, "error")) {
		json_t *swapped = message;

		message = second;
		second = swapped;
		first = other;
	}
	ck_assert_str_eq(json_string_value(json_object_get(second, "error")),
	                 "io.coffer.operator.Busy");
	json_decref(second);
	ck_assert(json_is_true(json_object_get(message, "continues")));
	while (json_is_true(json_object_get(message, "continues"))) {
		json_t *reply = json_object_get(message, "parameters");

		ck_assert_int_le(json_integer_value(json_object_get(reply, "done")),
		                 json_integer_value(json_object_get(reply, "total")));
		told++;
		json_decref(message);
		message = client_receive(first, &store);
		ck_assert_ptr_nonnull(message);
	}
	ck_assert_int_ge(store, 0);
	ck_assert_int_ge(told, 1);
	json_decref(message);
	close(store);
	/* One whose client goes away is in nobody's way. */
	client_send(other, "Backup", NULL, "more");
	json_decref(client_receive(other, NULL));
	close(other);
	json_decref(client_ok(fd, "Status", NULL));
	for (int tries = 0;; tries++) {
		client_send(fd, "Backup", NULL, NULL);
		message = client_receive(fd, &store);
		if (!json_object_get(message, "error"))
			break;
		ck_assert_int_lt(tries, 1000);
		json_decref(message);
	}
	json_decref(message);
	close(store);
	close(fd);
}
END_TEST

/* Which record stands first in the audit log. */
static size_t place_in_audit(const char *event, size_t which)
{
	int fd = client_connect(host);
	json_t *reply = client_ok(fd, "Audit", NULL), *line;
	size_t place = 0, i;

	json_array_foreach (json_object_get(reply, "lines"), i, line) {
		json_t *object = json_loads(json_string_value(line), 0, NULL);

		if (strcmp(json_string_value(json_object_get(object, "event")), event) == 0 &&
		    which-- == 0)
			place = i;
		json_decref(object);
	}
	json_decref(reply);
	close(fd);
	ck_assert_msg(place > 0, "no such record: %s", event);
	return place;
}

/* Take what is told of a copy up to its end. */
static void end_of_copy(int fd)
{
	int store = -1;

	while (store < 0) {
		json_t *message = client_receive(fd, &store);

		ck_assert_ptr_nonnull(message);
		ck_assert_ptr_null(json_object_get(message, "error"));
		json_decref(message);
	}
	close(store);
}

/* Halt the broker in the middle of a copy: it has told of its begin, and not of 8 MiB more. */
static void halt_in_copy(int fd)
{
	for (int tries = 0;; tries++) {
		struct pollfd more = { .fd = fd, .events = POLLIN };
		int status;

		ck_assert_int_lt(tries, 1000);
		client_send(fd, "Backup", NULL, "more");
		json_decref(client_receive(fd, NULL));
		ck_assert_int_eq(kill(host->pid, SIGSTOP), 0);
		ck_assert_int_eq(waitpid(host->pid, &status, WUNTRACED), host->pid);
		ck_assert(WIFSTOPPED(status));
		if (poll(&more, 1, 0) == 0)
			return;
		ck_assert_int_eq(kill(host->pid, SIGCONT), 0);
		end_of_copy(fd);
	}
}

START_TEST(nobody_waits_for_a_long_one_to_end)
{
	int fd = client_connect(host), other;
	size_t backups;

	host_init_store(host);
	for (char name[] = "a"; name[0] < 'n'; name[0]++)
		put_large(fd, name);
	json_decref(client_ok(fd, "Put", "{\"items\":[{\"name\":\"z\",\"value\":\"YWJj\"}]}"));
	other = client_connect(host);
	json_decref(client_ok(other, "Status", NULL));
	halt_in_copy(fd);
	client_send(other, "Get", "{\"name\":\"z\"}", NULL);
	ck_assert_int_eq(kill(host->pid, SIGCONT), 0);
	json_decref(client_receive(other, NULL));
	close(other);
	end_of_copy(fd);
	close(fd);
	backups = host_audit_count(host, "backup", NULL);
	ck_assert_uint_lt(place_in_audit("get", 0), place_in_audit("backup", backups - 1));
}
END_TEST

START_TEST(what_left_comes_back_where_there_is_no_store)
{
	char text[200];
	json_int_t size = 0;
	json_t *reply;
	int fd, store, to;

	host_init_store(host);
	fd = client_connect(host);
	json_decref(client_ok(fd, "Put", "{\"items\":[{\"name\":\"a\",\"value\":\"YWJj\"}]}"));
	store = backup(fd, &size);
	client_expect_error(fd, "RestoreOpen", NULL, "Exists");
	client_expect_error(fd, "Restore", "{\"size\":4096}", "Exists");
	close(fd);
	forget_store();
	fd = client_connect(host);
	client_expect_error(fd, "Restore", "{\"size\":4096}", "NotFound");
	to = restore_file(fd);
	copy_all(store, to);
	snprintf(text, sizeof(text),
	         "{\"size\":%lld,\"created\":\"2026-01-01T00:00:00Z\",\"log_seq\":7,\"log_hash\":"
	         "\"ab\"}",
	         (long long)size);
	client_expect_error(fd, "Restore", text, "Busy"); /* still open to be written */
	close(to);
	client_expect_error(fd, "Restore", "{\"size\":4096}", "Damaged");
	reply = client_ok(fd, "Restore", text);
	ck_assert_str_eq(json_string_value(json_object_get(reply, "state")), "sealed");
	json_decref(reply);
	ck_assert_uint_eq(host_audit_count(host, "restore", "\"log_seq\":7"), 1);
	/* Of its value's epoch the log knows, since it has seen it: nothing was set back. */
	json_decref(client_ok(fd, "Unseal", "{\"slot\":1,\"key\":\"" KEY_BASE64 "\"}"));
	reply = client_ok(fd, "Get", "{\"name\":\"a\"}");
	ck_assert_str_eq(json_string_value(json_object_get(reply, "value")), "YWJj");
	json_decref(reply);
	json_decref(client_ok(fd, "Put", "{\"items\":[{\"name\":\"a\",\"value\":\"YWJj\"}]}"));
	client_expect_error(fd, "RestoreOpen", NULL, "Exists");
	close(store);
	close(fd);
}
END_TEST

static bool half_copy_lies_there(void)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/restore.part", host->state);
	return access(path, F_OK) == 0;
}

START_TEST(a_half_copy_goes_with_its_client)
{
	int first = client_connect(host), second = client_connect(host), fd;

	close(restore_file(first));
	close(restore_file(first));
	ck_assert(half_copy_lies_there());
	close(restore_file(second));
	/* It is the second one's now. What comes behind the end of the first is answered after it.
	 */
	close(first);
	fd = client_connect(host);
	for (int i = 0; i < 3; i++)
		json_decref(client_ok(fd, "Status", NULL));
	ck_assert(half_copy_lies_there());
	close(second);
	for (int tries = 0; half_copy_lies_there(); tries++) {
		ck_assert_int_lt(tries, 1000);
		json_decref(client_ok(fd, "Status", NULL));
	}
	close(fd);
}
END_TEST

START_TEST(what_is_no_store_is_refused_and_there_is_none_as_before)
{
	static const char *const rows[] = { "", "not a database", "SQLite format 3" };
	int fd = client_connect(host);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char bytes[8192] = "", text[64];
		int to = restore_file(fd);

		strcpy(bytes, rows[i]);
		ck_assert_int_eq(io_write_all(to, bytes, sizeof(bytes)), 0);
		close(to);
		snprintf(text, sizeof(text), "{\"size\":%zu}", sizeof(bytes));
		client_expect_error(fd, "Restore", text, "Damaged");
	}
	client_expect_error(fd, "Restore", "{\"size\":0}", "Invalid");
	client_expect_error(fd, "Restore", "{\"size\":-1}", "Invalid");
	client_expect_error(fd, "Restore", "{}", "Invalid");
	host_init_store(host);
	close(fd);
}
END_TEST

static int as_operator(void)
{
	const struct group *group = getgrnam(OPERATORS);
	gid_t gid = group->gr_gid;

	return setgroups(1, &gid) || setresgid(54321, 54321, 54321) ||
	       setresuid(54321, 54321, 54321);
}

START_TEST(restoring_is_roots_and_a_backup_the_groups_too)
{
	int status;
	pid_t pid;

	host_init_store(host);
	pid = fork();
	if (pid == 0) {
		json_int_t size = 0;
		int fd, store;

		if (as_operator() != 0)
			_exit(3);
		fd = client_connect(host);
		client_expect_error(fd, "RestoreOpen", NULL, "Denied");
		client_expect_error(fd, "Restore", "{\"size\":4096}", "Denied");
		store = backup(fd, &size);
		_exit(store >= 0 && size > 0 ? 0 : 4);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backup");
	TCase *tests = tcase_create("backup");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_copy_leaves_read_only_and_on_record);
	tcase_add_test(tests, one_that_takes_long_tells_how_far_it_is_and_is_alone);
	tcase_add_test(tests, nobody_waits_for_a_long_one_to_end);
	tcase_add_test(tests, what_left_comes_back_where_there_is_no_store);
	tcase_add_test(tests, a_half_copy_goes_with_its_client);
	tcase_add_test(tests, what_is_no_store_is_refused_and_there_is_none_as_before);
	tcase_add_test(tests, restoring_is_roots_and_a_backup_the_groups_too);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
