/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come in, and what each may ask. threats.md rows 25 and 44. */
#include <sched.h>

#include "support.h"
#include "support_fakes.h"

#define STRANGER_UID 54321
#define STRANGER_GID 54321

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

/* In a child with `become`: 0 refused without a byte, 1 answered, 2 anything else. */
static int ask_as(int (*become)(void), const char *method, const char *error)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		json_t *message;
		int fd, outcome;

		if (become && become() != 0)
			_exit(3);
		fd = client_connect(host);
		client_send(fd, method, NULL, NULL);
		message = client_receive(fd, NULL);
		outcome = !message ? 0 : 1;
		if (message && error) {
			const char *name = json_string_value(json_object_get(message, "error"));

			outcome = name && strcmp(strrchr(name, '.') + 1, error) == 0 ? 1 : 2;
		} else if (message && json_object_get(message, "error")) {
			outcome = 2;
		}
		_exit(outcome);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int drop(gid_t gid, gid_t supplementary)
{
	return setgroups(supplementary ? 1 : 0, &supplementary) || setresgid(gid, gid, gid) ||
	       setresuid(STRANGER_UID, STRANGER_UID, STRANGER_UID);
}

static int become_stranger(void)
{
	return drop(STRANGER_GID, 0);
}

static int become_member(void)
{
	return drop(STRANGER_GID, getgrnam(OPERATORS)->gr_gid);
}

static int become_primary_member(void)
{
	return drop(getgrnam(OPERATORS)->gr_gid, 0);
}

START_TEST(root_is_answered)
{
	ck_assert_int_eq(ask_as(NULL, "Status", NULL), 1);
}
END_TEST

START_TEST(a_user_outside_the_group_is_closed_without_a_byte_and_recorded)
{
	ck_assert_int_eq(ask_as(become_stranger, "Status", NULL), 0);
	ck_assert_uint_eq(host_audit_count(host, "denied", "54321"), 1);
}
END_TEST

START_TEST(a_group_member_is_answered)
{
	ck_assert_int_eq(ask_as(become_member, "Status", NULL), 1);
	ck_assert_int_eq(ask_as(become_primary_member, "Status", NULL), 1);
}
END_TEST

static const char *const root_only[] = { "Init", "Register", "Unregister", "Attach", "Detach" };

START_TEST(a_group_member_is_refused_what_only_root_may)
{
	const char *method = root_only[_i];
	char by[64];

	ck_assert_msg(ask_as(become_member, method, "Denied") == 1, "%s", method);
	snprintf(by, sizeof(by), "\"by\":\"%s\"", method);
	ck_assert_msg(host_audit_count(host, "denied", by) == 1, "%s has no record", method);
}
END_TEST

START_TEST(a_member_cannot_make_the_broker_read_a_file_by_descriptor)
{
	int fd = client_connect(host), file = open("/etc/shadow", O_RDONLY | O_CLOEXEC);
	const char text[] = "{\"method\":\"io.coffer.operator.Init\",\"parameters\":"
			    "{\"kind\":\"keyfile\",\"fd\":0}}";
	json_t *message;

	ck_assert_int_eq(io_send(fd, text, sizeof(text), &file, 1, 0), sizeof(text));
	message = client_receive(fd, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(message, "error")),
	                 "io.coffer.operator.Invalid");
	json_decref(message);
	close(file);
	close(fd);
}
END_TEST

static int enter_mount_namespace(void)
{
	return unshare(CLONE_NEWNS);
}

static int enter_user_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

/* The child of this one is in the new namespace. */
static int enter_pid_namespace(void)
{
	pid_t pid;
	int status;

	if (unshare(CLONE_NEWPID) < 0)
		return -1;
	pid = fork();
	if (pid <= 0)
		return (int)pid;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		_exit(3);
	_exit(WEXITSTATUS(status));
}

static int (*const namespaces[])(void) = { enter_mount_namespace, enter_user_namespace,
	                                   enter_pid_namespace };

START_TEST(root_of_another_namespace_is_closed_without_a_byte_and_recorded)
{
	ck_assert_int_eq(ask_as(namespaces[_i], "Status", NULL), 0);
	ck_assert_uint_eq(host_audit_count(host, "denied", "namespace"), 1);
}
END_TEST

static int be_in_a_container(void)
{
	struct kern_cgroup cgroup;

	if (kern_cgroup_of(getpid(), &cgroup, NULL) < 0)
		return -1;
	close(cgroup.fd);
	host->shared->container_cgroup = cgroup.id;
	return cgroup.root ? -1 : 0;
}

START_TEST(root_in_a_containers_cgroup_is_closed_without_a_byte_and_recorded)
{
	int outcome = ask_as(be_in_a_container, "Status", NULL);

	host->shared->container_cgroup = 0;
	if (outcome == 3) {
		fprintf(stderr, "SKIPPED: this test runs in a root cgroup\n");
		return;
	}
	ck_assert_int_eq(outcome, 0);
	ck_assert_uint_eq(host_audit_count(host, "denied", "cgroup"), 1);
}
END_TEST

START_TEST(a_loop_of_refused_connections_is_folded)
{
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(ask_as(become_stranger, "Status", NULL), 0);
	ck_assert_uint_le(host_audit_count(host, "denied", "54321"), 100);
	ck_assert_uint_ge(host_audit_count(host, "denied", "54321"), 1);
}
END_TEST

START_TEST(a_socket_whose_owner_is_dead_is_not_answered)
{
	int pair[2], status;
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		int fd = client_connect(host);

		/* Known to the broker before it is handed on. */
		client_send(fd, "Status", NULL, NULL);
		json_decref(client_receive(fd, NULL));
		io_send(pair[1], "", 1, &fd, 1, 0);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	{
		int fd = -1;
		size_t nfds = 1;
		char byte;

		ck_assert_int_eq(io_recv(pair[0], &byte, 1, &fd, &nfds, 0), 1);
		client_expect_error(fd, "Status", NULL, "Denied");
		close(fd);
	}
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(one_user_cannot_take_all_connections)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int last = -1;

		if (become_member() != 0)
			_exit(3);
		for (int i = 0; i <= SERVER_UID_MAX; i++)
			last = client_connect(host);
		client_send(last, "Status", NULL, NULL);
		_exit(client_receive(last, NULL) ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(ask_as(NULL, "Status", NULL), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doors");
	TCase *t = tcase_create("doors");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, root_is_answered);
	tcase_add_test(t, a_user_outside_the_group_is_closed_without_a_byte_and_recorded);
	tcase_add_test(t, a_group_member_is_answered);
	tcase_add_loop_test(t, a_group_member_is_refused_what_only_root_may, 0,
	                    ARRAY_LEN(root_only));
	tcase_add_test(t, a_member_cannot_make_the_broker_read_a_file_by_descriptor);
	tcase_add_loop_test(t, root_of_another_namespace_is_closed_without_a_byte_and_recorded, 0,
	                    ARRAY_LEN(namespaces));
	tcase_add_test(t, root_in_a_containers_cgroup_is_closed_without_a_byte_and_recorded);
	tcase_add_test(t, a_loop_of_refused_connections_is_folded);
	tcase_add_test(t, a_socket_whose_owner_is_dead_is_not_answered);
	tcase_add_test(t, one_user_cannot_take_all_connections);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
