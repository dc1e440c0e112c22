/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision by cgroup, on real cgroups and with the sandbox on. Needs root and cgroup v2.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "sandbox.h"

static char top[] = "/tmp/coffer-caller-XXXXXX";
static struct member {
	char folder[64];
	uint64_t cgroup;
	pid_t pid;
} members[2];

static void must(bool ok, const char *what)
{
	ck_assert_msg(ok, "%s: %s", what, strerror(errno));
}

static void enter(const struct member *m, pid_t pid)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", m->folder);
	file = fopen(path, "we");
	must(file && fprintf(file, "%d", (int)pid) > 0 && fclose(file) == 0, path);
}

static void join(struct member *m, int number)
{
	struct stat st;

	snprintf(m->folder, sizeof(m->folder), "%s/coffer-%d-%d", top, (int)getpid(), number);
	must(mkdir(m->folder, 0755) == 0 && stat(m->folder, &st) == 0, "cgroup");
	m->cgroup = st.st_ino;
	m->pid = fork();
	must(m->pid >= 0, "fork");
	if (m->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	enter(m, m->pid);
}

static void set_up(void)
{
	must(mkdtemp(top) != NULL, "folder");
	/* Seen by this test alone, and gone with it. */
	must(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0,
	     "mount namespace");
	must(mount("cgroup2", top, "cgroup2", 0, NULL) == 0, "cgroup v2");
	for (int i = 0; i < 2; i++)
		join(&members[i], i);
}

static void tear_down(void)
{
	for (int i = 0; i < 2; i++) {
		kill(members[i].pid, SIGKILL);
		waitpid(members[i].pid, NULL, 0);
		must(rmdir(members[i].folder) == 0, "cgroup");
	}
	umount2(top, MNT_DETACH);
	rmdir(top);
}

/* As a worker would decide: from within the sandbox. */
static bool decide_with(const struct callers *c, pid_t tid, int keep)
{
	int status;
	pid_t child = fork();

	must(child >= 0, "fork");
	if (child == 0)
		_exit(sandbox_enter(keep, NULL) < 0 ? 9 : caller_is_inside(c, tid));
	must(waitpid(child, &status, 0) == child, "waitpid");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "the child ended with %d",
	              status);
	return WEXITSTATUS(status) == 1;
}

static bool decide(const struct callers *c, pid_t tid)
{
	return decide_with(c, tid, 3);
}

static bool kernel_can_tell(void)
{
	SCOPED_FD int pidfd = kern_pidfd_open(getpid(), PIDFD_THREAD);
	struct kern_pid_info info;

	return pidfd >= 0 && kern_pidfd_info(pidfd, &info) == 0;
}

START_TEST(only_a_known_cgroup_is_inside_where_pid_namespaces_are_shared)
{
	struct callers c = { .check_cgroup = true, .pid_ns = -1, .count = 1 };

	c.cgroups[0] = members[0].cgroup;
	/* A kernel that can't tell is answered with "outside" (docs/kernels.md). */
	ck_assert_int_eq(decide(&c, members[0].pid), kernel_can_tell());
	ck_assert(!decide(&c, members[1].pid));
	ck_assert(!decide(&c, getpid()));
	ck_assert(!decide(&c, 0));
	c.count = 0;
	ck_assert(!decide(&c, members[0].pid));
}
END_TEST

/* Thread ids of another pid namespace, as a pod's containers share one: 1 there is not 1 here. */
START_TEST(a_thread_id_is_looked_up_in_the_namespace_that_it_comes_from)
{
	struct callers c = { .check_cgroup = true, .count = 1 };
	char path[64];
	pid_t first;

	must(unshare(CLONE_NEWPID) == 0, "pid namespace");
	first = fork();
	must(first >= 0, "fork");
	if (first == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)first);
	c.pid_ns = open(path, O_RDONLY | O_CLOEXEC);
	must(c.pid_ns >= 0, path);
	SCOPED_FD int ours = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	must(setns(ours, CLONE_NEWPID) == 0, "back");
	enter(&members[0], first);
	c.cgroups[0] = members[0].cgroup;
	/* The namespace is the sandbox's one descriptor here, as the channel is elsewhere. */
	ck_assert_int_eq(decide_with(&c, 1, c.pid_ns), kernel_can_tell());
	ck_assert(!decide_with(&c, first, c.pid_ns)); /* no such id there */
	c.cgroups[0] = members[1].cgroup;
	ck_assert(!decide_with(&c, 1, c.pid_ns));
	close(c.pid_ns);
	kill(first, SIGKILL);
	must(waitpid(first, NULL, 0) == first, "waitpid");
}
END_TEST

START_TEST(a_dead_caller_is_outside)
{
	struct callers c = { .check_cgroup = true, .pid_ns = -1, .count = 1 };
	pid_t dead = fork();

	if (dead == 0)
		_exit(0);
	must(waitpid(dead, NULL, 0) == dead, "waitpid");
	c.cgroups[0] = members[0].cgroup;
	ck_assert(!decide(&c, dead));
}
END_TEST

START_TEST(in_a_pid_namespace_of_its_own_the_kernels_word_is_all)
{
	struct callers c = { .pid_ns = -1 };

	ck_assert(decide(&c, 1));
	ck_assert(!decide(&c, 0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("caller");
	TCase *t = tcase_create("caller");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, only_a_known_cgroup_is_inside_where_pid_namespaces_are_shared);
	tcase_add_test(t, a_thread_id_is_looked_up_in_the_namespace_that_it_comes_from);
	tcase_add_test(t, a_dead_caller_is_outside);
	tcase_add_test(t, in_a_pid_namespace_of_its_own_the_kernels_word_is_all);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
