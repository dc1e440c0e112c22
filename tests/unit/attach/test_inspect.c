/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"

/* Ask, and expect a refusal whose sentence has `says` in it. */
static void refused(struct lab *l, const char *name, uint32_t how, pid_t pid, const char *id,
                    const char *bundle, const char *says)
{
	SCOPED_FD int sock = lab_attacher(l);
	char why[ERR_TEXT_MAX];

	lab_send_inspect(sock, how, pid, id, bundle);
	ck_assert_msg(lab_failed(sock, why) < 0, "%s", name);
	ck_assert_msg(strstr(why, says), "%s: %s", name, why);
}

static uint64_t namespace_of(pid_t pid, const char *name)
{
	uint64_t id = 0;

	ck_assert_int_eq(kern_namespace_id(pid, name, &id), 0);
	return id;
}

START_TEST(a_runc_container_is_found_by_id_and_by_any_process_in_it)
{
	struct lab l;
	struct lab_facts f = { 0 }, g = { 0 };
	char out[256];
	uint64_t start = 0;
	pid_t pid, other;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "\"annotations\":{\"app\":\"web\",\"tier\":\"front\"},");
	lab_sh("sed -i 's/\"uid\":0,\"gid\":0/\"uid\":101,\"gid\":102/' %s/config.json", l.bundle);
	pid = lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	ck_assert_int_eq(f.n.pid, pid);
	ck_assert_int_eq(kern_start_time(pid, &start), 0);
	ck_assert_uint_eq(f.n.start_time, start);
	ck_assert_uint_eq(f.n.flags, 0);
	ck_assert_uint_eq(f.n.uid, 101);
	ck_assert_uint_eq(f.n.gid, 102);
	ck_assert_uint_eq(f.n.mnt_ns, namespace_of(pid, "mnt"));
	ck_assert_uint_eq(f.n.pid_ns, namespace_of(pid, "pid"));
	ck_assert_str_eq(f.runtime, "runc");
	ck_assert_str_eq(f.id, l.id);
	ck_assert_str_eq(f.name, l.id);
	ck_assert_str_eq(f.bundle, l.bundle);
	ck_assert_str_eq(f.root, "");
	ck_assert_uint_eq(f.n.attributes, 2);
	ck_assert_str_eq(f.key[0], "app");
	ck_assert_str_eq(f.value[0], "web");
	ck_assert_str_eq(f.flag[0], "c");
	ck_assert(kern_pidfd_alive(f.fds[FOUND_PIDFD]));

	/* a process that came later, in pid and mount namespaces it made below the container's own
	 */
	ck_assert_int_eq(
		lab_sh("runc --root %s exec -d --pid-file %s/pid %s /bin/busybox unshare -Ur -mpf "
	               "/bin/sleep 1000 </dev/null >/dev/null 2>%s/log || { cat %s/log >&2; exit "
	               "1; }",
	               l.root, l.dir, l.id, l.dir, l.dir),
		0);
	other = 0;
	for (int i = 0; i < 1000 && !other; i++)
		other = atoi(lab_out(out, sizeof(out), "cat /proc/$(cat %s/pid)/task/*/children",
		                     l.dir));
	ck_assert_int_gt(other, 1);
	ck_assert_uint_ne(namespace_of(other, "pid"), f.n.pid_ns);
	lab_inspect(&l, INSPECT_PID, other, "", "", &g);
	ck_assert_int_eq(g.n.pid, pid);
	ck_assert_str_eq(g.id, l.id);
	ck_assert_uint_eq(g.n.cgroup_id, f.n.cgroup_id);
	lab_facts_close(&f);
	lab_facts_close(&g);

	lab_sh("runc --root %s kill %s KILL", l.root, l.id);
	while (kern_start_time(pid, &start) == 0)
		usleep(1000);
	refused(&l, "dead", INSPECT_NAME, 0, l.id, "", "not running");
	refused(&l, "dead by pid", INSPECT_PID, pid, "", "", "no process");
	lab_close(&l);
}
END_TEST

START_TEST(what_can_be_no_container_is_refused_with_a_sentence)
{
	struct lab l;
	char long_id[4000];

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	pid_t pid = lab_run(&l);

	memset(long_id, 'a', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	for (uint32_t how = INSPECT_HOOK; how <= INSPECT_PID; how++) {
		refused(&l, "pid 0", how, 0, l.id, l.bundle, "not a container");
		refused(&l, "negative", how, -5, l.id, l.bundle, "not a container");
		refused(&l, "init", how, 1, l.id, l.bundle, "not a container");
		refused(&l, "kernel thread", how, 2, l.id, l.bundle, "kernel");
		refused(&l, "broker", how, getpid(), l.id, l.bundle, "process");
		refused(&l, "spawner", how, l.spawner, l.id, l.bundle, "process");
		refused(&l, "no process", how, 4194303, l.id, l.bundle, "no process");
	}
	refused(&l, "another's pid", INSPECT_HOOK, pid, "mine", l.bundle, "not of mine");
	refused(&l, "id that climbs", INSPECT_HOOK, pid, "../../x", l.bundle, "id");
	refused(&l, "id ..", INSPECT_HOOK, pid, "..", l.bundle, "id");
	refused(&l, "empty id", INSPECT_HOOK, pid, "", l.bundle, "id");
	refused(&l, "long id", INSPECT_HOOK, pid, long_id, l.bundle, "id");
	refused(&l, "id with ESC", INSPECT_HOOK, pid, "a\033[2J", l.bundle, "id");
	refused(&l, "relative bundle", INSPECT_HOOK, pid, l.id, "bundle", "absolute");
	refused(&l, "no bundle", INSPECT_HOOK, pid, l.id, "/nonexistent", "/nonexistent");
	refused(&l, "bundle is a file", INSPECT_HOOK, pid, l.id, "/etc/passwd", "/etc/passwd");
	refused(&l, "no such name", INSPECT_NAME, 0, "nobody", "", "no running container");
	refused(&l, "name that climbs", INSPECT_NAME, 0, "../x", "", "id");
	refused(&l, "no such unit", INSPECT_UNIT, 0, "nobody.service", "",
	        "no process of nobody.service");
	refused(&l, "no unit's name", INSPECT_UNIT, 0, "../x.service", "", "unit's name");
	refused(&l, "unknown way", 99, 0, "", "", "malformed");
	lab_close(&l);
}
END_TEST

static const struct {
	const char *name, *break_it; /* in the bundle */
	const char *says;            /* NULL: not refused, but unverified */
} bundles[] = {
	{ "no JSON", "echo x >config.json", "config.json" },
	{ "empty", ": >config.json", "config.json" },
	{ "deep", "head -c 100000 /dev/zero | tr '\\0' '[' >config.json", "config.json" },
	{ "too large", "truncate -s 5M config.json", "larger" },
	{ "a link", "mv config.json c && ln -s c config.json", "config.json" },
	{ "a pipe", "rm config.json && mkfifo config.json", "no regular file" },
	{ "gone", "rm config.json", "config.json" },
	{ "a user's file", "chown 1000 config.json", NULL },
	{ "writable file", "chmod g+w config.json", NULL },
	{ "a user's folder", "chown 1000 .", NULL },
	{ "writable folder", "chmod o+w .", NULL },
	{ "sticky does not help the bundle itself", "chmod 1777 .", NULL },
	{ "a user's folder above", "chown 1000 ..", NULL },
};

START_TEST(a_bundle_that_is_not_roots_alone_is_unverified_and_a_broken_one_refused)
{
	struct lab l;
	struct lab_facts f = { 0 };
	pid_t pid;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	pid = lab_run(&l);
	ck_assert_int_eq(lab_sh("cd %s && { %s; }", l.bundle, bundles[_i].break_it), 0);
	if (bundles[_i].says) {
		refused(&l, bundles[_i].name, INSPECT_HOOK, pid, l.id, l.bundle, bundles[_i].says);
	} else {
		lab_inspect(&l, INSPECT_HOOK, pid, l.id, l.bundle, &f);
		ck_assert_msg(f.n.flags == FACTS_UNVERIFIED, "%s: %u", bundles[_i].name, f.n.flags);
		lab_facts_close(&f);
	}
	lab_sh("chown root:root %s; chmod 755 %s", l.dir, l.dir);
	lab_close(&l);
}
END_TEST

START_TEST(state_in_a_users_hands_vouches_for_nobody)
{
	struct lab l;
	struct lab_facts f = { 0 };
	pid_t pid;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "\"annotations\":{\"app\":\"web\"},");
	pid = lab_run(&l);
	lab_sh("chown 1000 %s/%s/state.json", l.root, l.id);
	refused(&l, "a user's state", INSPECT_NAME, 0, l.id, "", "not root's alone");
	/* by pid: found by nothing but the kernel */
	lab_inspect(&l, INSPECT_PID, pid, "", "", &f);
	ck_assert_uint_eq(f.n.flags, FACTS_PLAIN);
	ck_assert_str_eq(f.runtime, "");
	ck_assert_str_eq(f.id, "");
	ck_assert_uint_eq(f.n.attributes, 0);
	lab_facts_close(&f);
	lab_sh("chown 0 %s/%s/state.json; chmod o+w %s", l.root, l.id, l.root);
	refused(&l, "a root anyone writes to", INSPECT_NAME, 0, l.id, "", "not root's alone");
	lab_sh("chmod o-w %s", l.root);
	lab_close(&l);
}
END_TEST

START_TEST(a_container_in_the_hosts_pid_namespace_is_weak_and_found_by_its_cgroup)
{
	struct lab l;
	struct lab_facts f = { 0 }, g = { 0 };
	char out[256];
	pid_t pid;

	lab_open(&l);
	lab_bundle(&l, "", "", "");
	pid = lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	ck_assert_uint_eq(f.n.flags, FACTS_WEAK);
	ck_assert_int_eq(f.n.pid, pid);
	lab_sh("runc --root %s exec -d --pid-file %s/pid %s /bin/sleep 1000 </dev/null >/dev/null "
	       "2>&1",
	       l.root, l.dir, l.id);
	lab_inspect(&l, INSPECT_PID, atoi(lab_out(out, sizeof(out), "cat %s/pid", l.dir)), "", "",
	            &g);
	ck_assert_int_eq(g.n.pid, pid);
	ck_assert_str_eq(g.id, l.id);
	lab_facts_close(&f);
	lab_facts_close(&g);
	lab_sh("runc --root %s kill --all %s KILL 2>/dev/null", l.root, l.id);
	lab_close(&l);
}
END_TEST

/* A process of the host that is moved into a container's cgroup is not that container. */
START_TEST(a_stranger_in_a_containers_cgroup_is_not_the_container)
{
	struct lab l;
	struct lab_facts f = { 0 };
	char path[4400];
	pid_t pid, stranger;
	struct kern_cgroup cgroup = { .fd = -1 };
	struct err e = { "" };
	SCOPED_FD int procs = -1;
	int n;

	lab_open(&l);
	lab_bundle(&l, "", "", "");
	pid = lab_run(&l);
	ck_assert_msg(kern_cgroup_of(pid, &cgroup, &e) == 0, "%s", e.text);
	stranger = fork();
	if (stranger == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	procs = openat(cgroup.fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(procs, 0);
	n = snprintf(path, sizeof(path), "%d", stranger);
	ck_assert_int_eq((int)write(procs, path, (size_t)n), n);
	lab_inspect(&l, INSPECT_PID, stranger, "", "", &f);
	ck_assert_int_eq(f.n.pid, stranger);
	ck_assert_uint_eq(f.n.flags, FACTS_PLAIN | FACTS_WEAK | FACTS_HOST_MOUNTS);
	ck_assert_str_eq(f.id, "");
	refused(&l, "by a hook's word", INSPECT_HOOK, stranger, l.id, l.bundle, "own namespaces");
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
	fd_close(cgroup.fd);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

static const struct {
	const char *name;
	uint16_t type;
	size_t len, nfds;
} malformed[] = {
	{ "unknown type", 99, 16, 0 },
	{ "inspect without texts", AR_INSPECT, 8, 0 },
	{ "inspect cut", AR_INSPECT, 4, 0 },
	{ "inspect with a descriptor", AR_INSPECT, 12, 1 },
	{ "mount without descriptors", AR_MOUNT, 30, 0 },
	{ "mount without texts", AR_MOUNT, 16, 4 },
	{ "change with one descriptor", AR_CHANGE, 8, 1 },
	{ "empty", AR_MOUNT, 0, 4 },
	{ "go out of turn", AR_GO, 0, 0 },
	{ "answer as a question", AR_FACTS, 900, 5 },
};

START_TEST(malformed_requests_are_refused)
{
	struct lab l;
	char why[ERR_TEXT_MAX];
	static const unsigned char bytes[1024];
	int fds[5];

	lab_open(&l);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = STDERR_FILENO;
	SCOPED_FD int sock = lab_attacher(&l);

	ck_assert_int_eq(record_send(sock, malformed[_i].type, 1, bytes, malformed[_i].len, NULL, 0,
	                             fds, malformed[_i].nfds),
	                 0);
	ck_assert_msg(lab_failed(sock, why) < 0, "%s", malformed[_i].name);
	lab_close(&l);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inspect");
	TCase *tests = tcase_create("inspect");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_runc_container_is_found_by_id_and_by_any_process_in_it);
	tcase_add_test(tests, what_can_be_no_container_is_refused_with_a_sentence);
	tcase_add_loop_test(tests,
	                    a_bundle_that_is_not_roots_alone_is_unverified_and_a_broken_one_refused,
	                    0, (int)ARRAY_LEN(bundles));
	tcase_add_test(tests, state_in_a_users_hands_vouches_for_nobody);
	tcase_add_test(tests,
	               a_container_in_the_hosts_pid_namespace_is_weak_and_found_by_its_cgroup);
	tcase_add_test(tests, a_stranger_in_a_containers_cgroup_is_not_the_container);
	tcase_add_loop_test(tests, malformed_requests_are_refused, 0, (int)ARRAY_LEN(malformed));
	suite_add_tcase(suite, tests);
	return lab_main(suite);
}
