/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups are made below the mounted hierarchies, so these tests want root. Where that is missing
 * the program ends with status 77 and says so.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/kern.h"

/* A child that waits; with `cgroup`, in that folder. Returns its pid. */
static pid_t spawn(const char *cgroup, const char *name)
{
	char path[8192], byte;
	int ready[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (name)
			prctl(PR_SET_NAME, name);
		if (cgroup) {
			snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
			int fd = open(path, O_WRONLY | O_CLOEXEC);

			if (fd < 0 || write(fd, "0\n", 2) != 2)
				_exit(1);
		}
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_msg(read(ready[0], &byte, 1) == 1, "child could not enter %s", cgroup);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static const char *unified_root(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return places[i];
	return NULL;
}

START_TEST(a_pidfd_tells_pid_credentials_and_cgroup)
{
	pid_t pid = spawn(NULL, NULL), got = 0;
	SCOPED_FD int fd = kern_pidfd_open(pid, 0);
	struct kern_pid_info info;
	int r;

	ck_assert_int_ge(fd, 0);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(kern_pidfd_alive(fd));
	ck_assert_int_eq(kern_pidfd_pid(fd, &got), 0);
	ck_assert_int_eq(got, pid);
	r = kern_pidfd_info(fd, &info);
	if (r == -ENOTTY || r == -EINVAL) {
		fprintf(stderr, "not tested: this kernel has no PIDFD_GET_INFO\n");
	} else {
		ck_assert_int_eq(r, 0);
		ck_assert_int_eq(info.pid, pid);
		ck_assert_int_eq(info.tgid, pid);
		ck_assert_uint_eq(info.uid, geteuid());
		ck_assert_uint_eq(info.gid, getegid());
		ck_assert_uint_ne(info.cgroup_id, 0);
	}
	ck_assert_int_eq(kern_pidfd_send_signal(fd, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(!kern_pidfd_alive(fd));
	ck_assert_int_eq(kern_pidfd_pid(fd, &got), -ESRCH);
	ck_assert_int_eq(kern_pidfd_send_signal(fd, 0), -ESRCH);
	if (r == 0)
		ck_assert_int_eq(kern_pidfd_info(fd, &info), -ESRCH);
	ck_assert_int_eq(kern_pidfd_open(pid, 0), -ESRCH);
}
END_TEST

START_TEST(a_dead_descriptor_never_looks_alive)
{
	pid_t pid = 0;

	ck_assert(!kern_pidfd_alive(9999));
	ck_assert_int_eq(kern_pidfd_pid(9999, &pid), -ENOENT);
	ck_assert_int_eq(kern_pidfd_pid(0, &pid), -EBADF);
}
END_TEST

START_TEST(start_times_are_read_behind_any_process_name)
{
	static const char *const names[] = { "plain", ") R 1 2 3 4", "a b) (c", "))))" };
	uint64_t first, second;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		pid_t pid = spawn(NULL, names[i]), plain = spawn(NULL, NULL);

		ck_assert_int_eq(kern_start_time(pid, &first), 0);
		ck_assert_int_eq(kern_start_time(plain, &second), 0);
		ck_assert_msg(second >= first && second - first < 1000, "%s: %llu and %llu",
		              names[i], (unsigned long long)first, (unsigned long long)second);
		end(pid);
		end(plain);
		ck_assert_int_eq(kern_start_time(pid, &first), -ESRCH);
	}
}
END_TEST

START_TEST(namespaces_are_told_apart)
{
	pid_t pid = fork();
	uint64_t ours, theirs;
	struct stat st;
	int fd;

	if (pid == 0) {
		if (unshare(CLONE_NEWUTS) < 0)
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
	ck_assert_int_eq(kern_namespace_id(getpid(), "uts", &ours), 0);
	ck_assert_int_eq(kern_namespace_id(pid, "uts", &theirs), 0);
	ck_assert_uint_ne(ours, theirs);
	fd = kern_namespace_open(pid, "uts");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_ino, theirs);
	close(fd);
	end(pid);
	ck_assert_int_eq(kern_namespace_id(pid, "uts", &theirs), -ESRCH);
	ck_assert_int_eq(kern_namespace_open(pid, "uts"), -ESRCH);
}
END_TEST

START_TEST(close_range_closes)
{
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 500);

	ck_assert_int_eq(fd, 500);
	ck_assert_int_eq(kern_close_range(500, 500, 0), 0);
	ck_assert_int_eq(fcntl(500, F_GETFD), -1);
	ck_assert_int_eq(kern_close_range(2, 1, 0), -EINVAL);
}
END_TEST

/* `name` below a fresh cgroup at `root`; a child in it must be found there. */
static void check_cgroup(const char *root, const char *name, bool unified)
{
	char parent[256], path[4096];
	struct kern_cgroup cgroup;
	struct err e = { 0 };
	struct stat st, opened;
	pid_t pid;

	snprintf(parent, sizeof(parent), "%s/coffer-test-%d", root, getpid());
	snprintf(path, sizeof(path), "%s/%s", parent, name);
	ck_assert_msg(mkdir(parent, 0700) == 0, "mkdir %s: %m", parent);
	ck_assert_msg(mkdir(path, 0700) == 0, "mkdir %s: %m", path);
	pid = spawn(path, NULL);
	ck_assert_msg(kern_cgroup_of(pid, &cgroup, &e) == 0, "%s: %s", name, e.text);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(fstat(cgroup.fd, &opened), 0);
	ck_assert_uint_eq(opened.st_ino, st.st_ino);
	ck_assert_uint_eq(opened.st_dev, st.st_dev);
	ck_assert_uint_eq(cgroup.id, st.st_ino);
	ck_assert_int_eq(cgroup.unified, unified);
	ck_assert(!cgroup.root);
	ck_assert_str_eq(cgroup.path + strlen(cgroup.path) - strlen(name), name);
	close(cgroup.fd);
	end(pid);
	ck_assert_int_eq(kern_cgroup_of(pid, &cgroup, &e), -ESRCH);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(parent), 0);
}

START_TEST(cgroups_are_found_whatever_their_name)
{
	char longest[256];
	const char *names[] = {
		"plain",          "a:b", "0::",  "x (deleted)", "\\012 \t\x1b[31m", " blank",
		"docker-0.scope", "...", longest
	};
	const char *root = unified_root();

	ck_assert_ptr_nonnull(root);
	memset(longest, 'n', 255);
	longest[255] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		check_cgroup(root, names[i], true);
}
END_TEST

START_TEST(the_kernel_refuses_a_newline_in_a_cgroup_name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/coffer\n0::", unified_root());
	ck_assert_int_eq(mkdir(path, 0700), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(a_cgroup_of_the_old_hierarchy_counts_where_the_unified_one_is_not_used)
{
	struct statfs fs;

	if (statfs("/sys/fs/cgroup/systemd", &fs) < 0 || fs.f_type != CGROUP_SUPER_MAGIC) {
		fprintf(stderr, "not tested: no v1 hierarchy here\n");
		return;
	}
	check_cgroup("/sys/fs/cgroup/systemd", "a:b", false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kern");
	TCase *t = tcase_create("kern");
	SRunner *runner;
	int failed;

	if (geteuid() != 0) {
		fprintf(stderr, "SKIPPED: the tests of kern want root\n");
		return 77;
	}
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_pidfd_tells_pid_credentials_and_cgroup);
	tcase_add_test(t, a_dead_descriptor_never_looks_alive);
	tcase_add_test(t, start_times_are_read_behind_any_process_name);
	tcase_add_test(t, namespaces_are_told_apart);
	tcase_add_test(t, close_range_closes);
	tcase_add_test(t, cgroups_are_found_whatever_their_name);
	tcase_add_test(t, the_kernel_refuses_a_newline_in_a_cgroup_name);
	tcase_add_test(t, a_cgroup_of_the_old_hierarchy_counts_where_the_unified_one_is_not_used);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
