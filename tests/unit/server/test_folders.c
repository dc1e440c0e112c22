/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, the lock and the sockets: what is made, what is refused, what is replaced. */
#include "support.h"
#include "support_fakes.h"

static struct host *host;
static struct broker broker;

static void setup(void)
{
	host = host_new();
	memset(&broker, 0, sizeof(broker));
	broker.config = &host->config;
	broker.runtime_fd = folders_open(host->runtime, 0755, NULL);
	ck_assert_int_ge(broker.runtime_fd, 0);
	ck_assert_int_eq(folders_make_runtime(broker.runtime_fd, host->runtime, NULL), 0);
}

static void teardown(void)
{
	close(broker.runtime_fd);
	host_free(host);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(broker.runtime_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

START_TEST(folders_are_made_with_their_modes_whatever_the_umask)
{
	char path[128];
	int fd;

	umask(077);
	snprintf(path, sizeof(path), "%s/other", host->dir);
	fd = folders_open(path, 0755, NULL);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(folders_make_runtime(fd, path, NULL), 0);
	umask(022);
	close(broker.runtime_fd);
	broker.runtime_fd = fd;
	ck_assert_uint_eq(mode_of("."), 0755);
	ck_assert_uint_eq(mode_of("workload"), 0755);
	ck_assert_uint_eq(mode_of("containers"), 0700);
	ck_assert_uint_eq(mode_of("pending"), 0700);
}
END_TEST

START_TEST(a_private_folder_that_was_opened_up_is_closed_again)
{
	ck_assert_int_eq(fchmodat(broker.runtime_fd, "pending", 0755, 0), 0);
	ck_assert_int_eq(folders_make_runtime(broker.runtime_fd, host->runtime, NULL), 0);
	ck_assert_uint_eq(mode_of("pending"), 0700);
}
END_TEST

START_TEST(a_folder_that_others_may_write_is_refused)
{
	struct err e = { 0 };

	ck_assert_int_eq(fchmod(broker.runtime_fd, 0777), 0);
	ck_assert_int_eq(folders_open(host->runtime, 0755, &e), -EPERM);
	ck_assert_ptr_nonnull(strstr(e.text, host->runtime));
	ck_assert_int_eq(fchmod(broker.runtime_fd, 0755), 0);
	ck_assert_int_eq(fchown(broker.runtime_fd, 1000, 0), 0);
	ck_assert_int_eq(folders_open(host->runtime, 0755, &e), -EPERM);
}
END_TEST

START_TEST(a_symlink_is_no_folder)
{
	ck_assert_int_eq(unlinkat(broker.runtime_fd, "pending", AT_REMOVEDIR), 0);
	ck_assert_int_eq(symlinkat("/etc", broker.runtime_fd, "pending"), 0);
	ck_assert_int_lt(folders_make_runtime(broker.runtime_fd, host->runtime, NULL), 0);
}
END_TEST

START_TEST(a_second_broker_is_refused_and_named)
{
	struct err e = { 0 };
	int lock = folders_lock(broker.runtime_fd, host->runtime, &e);

	ck_assert_int_ge(lock, 0);
	ck_assert_int_eq(folders_lock(broker.runtime_fd, host->runtime, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "another cofferd"));
	close(lock);
	lock = folders_lock(broker.runtime_fd, host->runtime, &e);
	ck_assert_int_ge(lock, 0);
	close(lock);
}
END_TEST

START_TEST(sockets_have_their_owners_and_modes)
{
	struct sockets s;
	struct stat st;

	ck_assert_int_eq(sockets_open(&broker, &s, NULL), 0);
	ck_assert_uint_eq(mode_of("operator.sock"), 0660);
	ck_assert_uint_eq(mode_of("workload/sock"), 0666);
	ck_assert_int_eq(fstatat(broker.runtime_fd, "operator.sock", &st, 0), 0);
	ck_assert_uint_eq(st.st_gid, getgrnam(OPERATORS)->gr_gid);
	sockets_close(&s);
}
END_TEST

START_TEST(without_the_group_the_operator_socket_is_roots_alone)
{
	struct sockets s;

	strcpy(host->config.operator_group, "nogo");
	ck_assert_int_eq(sockets_open(&broker, &s, NULL), 0);
	ck_assert_uint_eq(mode_of("operator.sock"), 0600);
	sockets_close(&s);
}
END_TEST

START_TEST(the_socket_of_a_dead_broker_is_replaced)
{
	struct sockets old, fresh;
	int fd;

	ck_assert_int_eq(sockets_open(&broker, &old, NULL), 0);
	sockets_close(&old);
	ck_assert_int_eq(sockets_open(&broker, &fresh, NULL), 0);
	fd = client_connect(host);
	close(fd);
	sockets_close(&fresh);
}
END_TEST

START_TEST(a_file_in_the_sockets_place_is_left_alone)
{
	struct sockets s;
	struct err e = { 0 };
	int fd = openat(broker.runtime_fd, "operator.sock", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(sockets_open(&broker, &s, &e), -EEXIST);
	ck_assert_uint_eq(mode_of("operator.sock"), 0600);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("folders");
	TCase *t = tcase_create("folders");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, folders_are_made_with_their_modes_whatever_the_umask);
	tcase_add_test(t, a_private_folder_that_was_opened_up_is_closed_again);
	tcase_add_test(t, a_folder_that_others_may_write_is_refused);
	tcase_add_test(t, a_symlink_is_no_folder);
	tcase_add_test(t, a_second_broker_is_refused_and_named);
	tcase_add_test(t, sockets_have_their_owners_and_modes);
	tcase_add_test(t, without_the_group_the_operator_socket_is_roots_alone);
	tcase_add_test(t, the_socket_of_a_dead_broker_is_replaced);
	tcase_add_test(t, a_file_in_the_sockets_place_is_left_alone);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
