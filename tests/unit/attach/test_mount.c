/* SPDX-License-Identifier: Apache-2.0 */
#include "toy_fuse.h"

#define HOST_TABLE_SAYS "grep -c fuse.coffer /proc/self/mountinfo"

/* One step of a CHANGE, appended to `out`. */
static size_t put_step(unsigned char *out, size_t at, uint32_t kind, uint64_t node,
                       const char *from, const char *to)
{
	uint32_t numbers[2] = { kind, 0 };

	memcpy(out + at, numbers, sizeof(numbers));
	memcpy(out + at + sizeof(numbers), &node, sizeof(node));
	at += sizeof(numbers) + sizeof(node);
	ck_assert_int_eq(record_put_text(out, 8192, &at, from), 0);
	ck_assert_int_eq(record_put_text(out, 8192, &at, to), 0);
	return at;
}

static int change(struct lab *l, int clone, int fuse, uint32_t steps, const unsigned char *texts,
                  size_t len, uint32_t *ret_made)
{
	SCOPED_FD int sock = lab_attacher(l);
	struct ar_change fixed = { .steps = steps };
	const int fds[] = { clone, fuse };

	ck_assert_int_eq(
		record_send(sock, AR_CHANGE, 11, &fixed, sizeof(fixed), texts, len, fds, 2), 0);
	return lab_done(sock, ret_made);
}

START_TEST(secrets_show_in_a_running_container_beside_what_was_there)
{
	struct lab l;
	struct lab_facts f = { 0 };
	struct toy toy;
	char out[4096], path[600];
	uint64_t dev;
	int peek;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	lab_sh("mkdir -p %s/run/secrets/kubernetes.io && echo token "
	       ">%s/run/secrets/kubernetes.io/token && "
	       "echo old >%s/run/secrets/old && ln -s old %s/run/secrets/link",
	       l.rootfs, l.rootfs, l.rootfs, l.rootfs);
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	SCOPED_FD int clone = toy_mount(&l, &toy, &f, 0, &dev);

	ck_assert_int_ge(clone, 0);
	ck_assert_uint_eq(toy.count, 3);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/a"), "version-1");
	ck_assert_int_gt(toy.state->last_inside_pid, 1);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/old"), "old");
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/kubernetes.io/token"),
	                 "token");
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/link"), "old");
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "ls /run/secrets"),
	                 "a\nkubernetes.io\nlink\nold");
	lab_exec(&l, out, sizeof(out), "touch /run/secrets/x");
	ck_assert_msg(strstr(out, "Read-only"), "%s", out);
	/* flags as the container sees them, and nothing on the host */
	lab_exec(&l, out, sizeof(out), "cat /proc/self/mountinfo");
	ck_assert_msg(strstr(out, "/run/secrets ro,nosuid,nodev,noexec"), "%s", out);
	ck_assert_str_eq(lab_out(out, sizeof(out), HOST_TABLE_SAYS), "0");
	/* a host process that peeks is told apart by the kernel */
	snprintf(path, sizeof(path), "/proc/%d/root/run/secrets/a", f.n.pid);
	peek = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(peek, -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(toy.state->outside_opens, 1);

	ck_assert_int_eq(lab_small(&l, AR_CHECK, &f, dev), 0);
	ck_assert_int_eq(lab_small(&l, AR_CHECK, &f, dev + 1), -ENOENT);
	ck_assert_int_eq(lab_small(&l, AR_UNMOUNT, &f, dev + 1), -ENOENT);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/a"), "version-1");
	ck_assert_int_eq(lab_small(&l, AR_UNMOUNT, &f, dev), 0);
	ck_assert_int_eq(lab_small(&l, AR_CHECK, &f, dev), -ENOENT);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "ls /run/secrets"),
	                 "kubernetes.io\nlink\nold");
	toy_stop(&toy);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

START_TEST(a_change_renames_unlinks_and_drops_pages_and_can_be_repeated)
{
	struct lab l;
	struct lab_facts f = { 0 };
	struct toy toy;
	char out[4096];
	unsigned char steps[8192];
	size_t len;
	uint64_t dev;
	uint32_t made = 0;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	SCOPED_FD int clone = toy_mount(&l, &toy, &f, 0, &dev);

	ck_assert_int_ge(clone, 0);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/a"), "version-1");
	len = put_step(steps, 0, CHANGE_RENAME, 0, TOY_STAGING "/12", "a");
	len = put_step(steps, len, CHANGE_DROP_PAGES, 11, "", "");
	len = put_step(steps, len, CHANGE_DROP_PAGES, 999999, "", ""); /* never heard of: done */
	ck_assert_int_eq(change(&l, clone, toy.fuse, 3, steps, len, &made), 0);
	ck_assert_uint_eq(made, 3);
	ck_assert_int_eq(toy.state->renames, 1);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/a"), "version-2");
	ck_assert_int_eq(change(&l, clone, toy.fuse, 3, steps, len, &made), 0);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/a"), "version-2");

	len = put_step(steps, 0, CHANGE_UNLINK, 0, "a", "");
	ck_assert_int_eq(change(&l, clone, toy.fuse, 1, steps, len, &made), 0);
	ck_assert_int_eq(change(&l, clone, toy.fuse, 1, steps, len, &made), 0);
	lab_exec(&l, out, sizeof(out), "cat /run/secrets/a");
	ck_assert_msg(strstr(out, "No such file"), "%s", out);

	/* what climbs out of the mount is refused before the kernel is asked, and stops the rest */
	len = put_step(steps, 0, CHANGE_UNLINK, 0, "../../etc/passwd", "");
	len = put_step(steps, len, CHANGE_UNLINK, 0, "a", "");
	ck_assert_int_eq(change(&l, clone, toy.fuse, 2, steps, len, &made), -EBADMSG);
	ck_assert_uint_eq(made, 0);
	toy_stop(&toy);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

/* A server that was taken over answers a look-up with a link that leads out: the rename must not
 * follow it. */
START_TEST(a_hostile_worker_cannot_lead_a_change_out_of_the_mount)
{
	struct lab l;
	struct lab_facts f = { 0 };
	struct toy toy;
	unsigned char steps[8192];
	char victim[LAB_PATH + 32];
	size_t len;
	uint64_t dev;
	uint32_t made = 0;
	int result;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	lab_sh("mkdir -p %s/run/secrets && ln -s %s %s/run/secrets/out && echo keep >%s/victim",
	       l.rootfs, l.dir, l.rootfs, l.dir);
	snprintf(victim, sizeof(victim), "%s/victim", l.dir);
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	SCOPED_FD int clone = toy_mount(&l, &toy, &f, 0, &dev);

	ck_assert_int_ge(clone, 0);
	ck_assert_uint_eq(toy.existing[0].kind, 5);
	ck_assert_str_eq(toy.existing[0].link, l.dir);
	len = put_step(steps, 0, CHANGE_UNLINK, 0, "out/victim", "");
	result = change(&l, clone, toy.fuse, 1, steps, len, &made);
	ck_assert_int_eq(result, -ELOOP);
	len = put_step(steps, 0, CHANGE_RENAME, 0, TOY_STAGING "/12", "out/victim");
	result = change(&l, clone, toy.fuse, 1, steps, len, &made);
	ck_assert_int_eq(result, -ELOOP);
	ck_assert_int_eq(access(victim, F_OK), 0);
	toy_stop(&toy);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

static const struct {
	const char *name, *prepare; /* in the container's root */
	const char *says;
} refusals[] = {
	{ "symlinked folder", "ln -s /etc run/secrets", "symbolic link" },
	{ "symlink that leads out", "ln -s ../../../../../../etc run/secrets", "symbolic link" },
	{ "symlinked parent", "rmdir run && ln -s etc run", "symbolic link" },
	{ "a file", "touch run/secrets", "no folder" },
	{ "a pipe", "mkfifo run/secrets", "no folder" },
	{ "shared propagation",
	  "sed -i "
	  "'s#\"mounts\":.#&{\"destination\":\"/run\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	  "\"options\":[\"rshared\"]},#' ../config.json",
	  "shared propagation" },
	{ "too many entries",
	  "mkdir run/secrets && cd run/secrets && for i in $(seq 129); do touch $i; done",
	  "more than 128" },
};

START_TEST(unsuitable_folders_are_refused_with_a_sentence)
{
	struct lab l;
	struct lab_facts f = { 0 };
	char why[ERR_TEXT_MAX], out[4096];

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	ck_assert_int_eq(lab_sh("cd %s && { %s; }", l.rootfs, refusals[_i].prepare), 0);
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	SCOPED_FD int sock = lab_attacher(&l);

	lab_send_mount(sock, AR_MOUNT, &f, "/run/secrets", 0);
	ck_assert_int_lt(lab_failed(sock, why), 0);
	ck_assert_msg(strstr(why, refusals[_i].says), "%s: %s", refusals[_i].name, why);
	lab_exec(&l, out, sizeof(out), "cat /proc/self/mountinfo");
	ck_assert_msg(!strstr(out, "fuse.coffer"), "%s: left behind: %s", refusals[_i].name, out);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

START_TEST(a_read_only_root_without_the_folder_is_refused_and_with_it_works)
{
	struct lab l;
	struct lab_facts f = { 0 };
	struct toy toy;
	char why[ERR_TEXT_MAX], out[4096];
	uint64_t dev;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	lab_sh("sed -i 's/\"path\":\"rootfs\"/\"path\":\"rootfs\",\"readonly\":true/' "
	       "%s/config.json",
	       l.bundle);
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	SCOPED_FD int sock = lab_attacher(&l);

	lab_send_mount(sock, AR_MOUNT, &f, "/run/secrets", 0);
	ck_assert_int_eq(lab_failed(sock, why), -EROFS);
	ck_assert_msg(strstr(why, "read-only"), "%s", why);
	lab_sh("mkdir %s/run/secrets", l.rootfs);
	SCOPED_FD int clone = toy_mount(&l, &toy, &f, 0, &dev);

	ck_assert_int_ge(clone, 0);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/a"), "version-1");
	toy_stop(&toy);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

START_TEST(a_container_in_a_user_namespace_reads_and_owns_its_folder)
{
	struct lab l;
	struct lab_facts f = { 0 };
	struct toy toy;
	char out[4096];
	uint64_t dev;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS ",{\"type\":\"user\"}",
	           "\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"
	           "\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],",
	           "");
	lab_sh("chown -R 100000:100000 %s", l.rootfs);
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	ck_assert_uint_eq(f.n.flags, FACTS_USERNS);
	ck_assert_uint_eq(f.n.uid_maps, 1);
	ck_assert_uint_eq(f.n.uid_map[0].outside, 100000);
	ck_assert_uint_eq(f.n.gid_map[0].count, 65536);
	SCOPED_FD int clone = toy_mount(&l, &toy, &f, 100000, &dev);

	ck_assert_int_ge(clone, 0);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/a"), "version-1");
	ck_assert_int_eq(lab_small(&l, AR_UNMOUNT, &f, dev), 0);
	ck_assert_str_eq(lab_out(out, sizeof(out), "stat -c %%u:%%g:%%a %s/run/secrets", l.rootfs),
	                 "100000:100000:755");
	toy_stop(&toy);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

START_TEST(a_mount_at_the_folder_itself_stays_visible)
{
	struct lab l;
	struct lab_facts f = { 0 };
	struct toy toy;
	char out[4096];
	uint64_t dev;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	lab_sh("mkdir -p %s/engine/sub && echo one >%s/engine/one && echo two >%s/engine/sub/two",
	       l.dir, l.dir, l.dir);
	lab_sh("sed -i "
	       "'s#\"mounts\":\\[#\"mounts\":[{\"destination\":\"/run/secrets\",\"type\":\"bind\","
	       "\"source\":\"%s/engine\",\"options\":[\"bind\",\"ro\"]},#' %s/config.json",
	       l.dir, l.bundle);
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	SCOPED_FD int clone = toy_mount(&l, &toy, &f, 0, &dev);

	ck_assert_int_ge(clone, 0);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out),
	                          "cat /run/secrets/one /run/secrets/sub/two /run/secrets/a"),
	                 "one\ntwo\nversion-1");
	toy_stop(&toy);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

START_TEST(the_empty_folder_is_made_alone)
{
	struct lab l;
	struct lab_facts f = { 0 };
	char out[4096];

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	ck_assert_int_eq(lab_small(&l, AR_FOLDER, &f, 0), 0);
	ck_assert_int_eq(lab_small(&l, AR_FOLDER, &f, 0), 0);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "ls -d /run/secrets"), "/run/secrets");
	ck_assert_int_eq(lab_small(&l, AR_CHECK, &f, 1), -ENOENT);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

START_TEST(a_broker_that_thinks_better_of_it_leaves_nothing_behind)
{
	struct lab l;
	struct lab_facts f = { 0 };
	static struct record r;
	char out[4096];

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	int sock = lab_attacher(&l);

	lab_send_mount(sock, AR_MOUNT, &f, "/run/secrets", 0);
	lab_expect(sock, AR_EXISTING, &r);
	record_close_fds(&r);
	shutdown(sock, SHUT_WR);
	ck_assert_int_eq(record_recv(sock, &r), 0); /* it has ended without a word */
	close(sock);
	lab_exec(&l, out, sizeof(out), "cat /proc/self/mountinfo");
	ck_assert_msg(!strstr(out, "fuse.coffer"), "%s", out);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

/* The mount during a createRuntime hook, which waits at a pipe meanwhile. */
START_TEST(a_container_being_created_finds_its_secrets_at_start)
{
	struct lab l;
	struct lab_facts f = { 0 };
	struct toy toy;
	char more[2048], out[4096], path[LAB_PATH + 32];
	uint64_t dev;
	pid_t pid, runc;
	FILE *ready;
	int go;

	lab_open(&l);
	snprintf(more, sizeof(more),
	         "\"hooks\":{\"createRuntime\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
	         "\"grep -o 'pid.:[0-9]*' >%s/ready; read x <%s/go\"]}]},",
	         l.dir, l.dir);
	lab_bundle(&l, LAB_PIDNS, "", more);
	lab_sh("mkfifo %s/ready %s/go", l.dir, l.dir);
	runc = fork();
	if (runc == 0)
		_exit(lab_sh("runc --root %s run -d --bundle %s %s </dev/null >/dev/null 2>%s/log",
		             l.root, l.bundle, l.id, l.dir));
	snprintf(path, sizeof(path), "%s/ready", l.dir);
	ready = fopen(path, "r");
	ck_assert_ptr_nonnull(ready);
	ck_assert_ptr_nonnull(fgets(out, sizeof(out), ready));
	fclose(ready);
	pid = atoi(strchr(out, ':') + 1);

	lab_inspect(&l, INSPECT_HOOK, pid, l.id, l.bundle, &f);
	ck_assert_str_eq(f.root, l.rootfs);
	ck_assert_str_eq(f.runtime, "runc");
	SCOPED_FD int clone = toy_mount(&l, &toy, &f, 0, &dev);

	ck_assert_int_ge(clone, 0);
	snprintf(path, sizeof(path), "%s/go", l.dir);
	go = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(go, 0);
	ck_assert_int_eq((int)write(go, "\n", 1), 1);
	close(go);
	ck_assert_int_eq(waitpid(runc, NULL, 0), runc);
	ck_assert_str_eq(lab_exec(&l, out, sizeof(out), "cat /run/secrets/a"), "version-1");
	ck_assert_str_eq(lab_out(out, sizeof(out), HOST_TABLE_SAYS), "0");
	/* the same words of the hook, once the container runs: reached through the process */
	lab_facts_close(&f);
	lab_inspect(&l, INSPECT_HOOK, pid, l.id, l.bundle, &f);
	ck_assert_str_eq(f.root, "");
	ck_assert_int_eq(lab_small(&l, AR_CHECK, &f, dev), 0);
	toy_stop(&toy);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

/* Inside, the folder is replaced by a link and back as fast as can be. */
START_TEST(a_folder_swapped_in_a_loop_never_leads_the_mount_elsewhere)
{
	struct lab l;
	struct lab_facts f = { 0 };
	char out[4096], why[ERR_TEXT_MAX];
	static struct record r;
	int mounted = 0;

	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	lab_sh("mkdir -p %s/run/secrets %s/etc/target", l.rootfs, l.rootfs);
	lab_run(&l);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	ck_assert_int_eq(
		lab_sh("runc --root %s exec -d %s /bin/sh -c 'while :; do "
	               "busybox mv -T /run/secrets /run/s; busybox ln -s /etc/target /run/secrets; "
	               "busybox rm -f /run/secrets; busybox mv -T /run/s /run/secrets; done' "
	               "</dev/null >/dev/null 2>&1",
	               l.root, l.id),
		0);
	for (int i = 0; i < 40; i++) {
		SCOPED_FD int sock = lab_attacher(&l);
		struct ar_mounted m;
		struct toy toy;

		lab_send_mount(sock, AR_MOUNT, &f, "/run/secrets", 0);
		ck_assert_int_eq((int)recv(sock, &r, 1, MSG_PEEK), 1);
		ck_assert_int_gt((int)recv(sock, &r, sizeof(struct record_header), MSG_PEEK), 0);
		if (((struct record_header *)&r)->type == AR_FAILED) {
			lab_failed(sock, why);
			continue;
		}
		toy_start(&toy, sock, 0);
		ck_assert_int_eq(record_send(sock, AR_GO, 9, NULL, 0, NULL, 0, NULL, 0), 0);
		ck_assert_int_eq(record_recv(sock, &r), 1);
		if (r.type == AR_MOUNTED) {
			mounted++;
			memcpy(&m, r.payload, sizeof(m));
			record_close_fds(&r);
			ck_assert_int_eq(lab_small(&l, AR_UNMOUNT, &f, m.dev), 0);
		}
		toy_stop(&toy);
		lab_exec(&l, out, sizeof(out), "busybox grep fuse.coffer /proc/self/mountinfo");
		ck_assert_str_eq(out, "");
	}
	printf("mounted %d of 40 times\n", mounted);
	lab_facts_close(&f);
	lab_close(&l);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mount");
	TCase *tests = tcase_create("mount");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, secrets_show_in_a_running_container_beside_what_was_there);
	tcase_add_test(tests, a_change_renames_unlinks_and_drops_pages_and_can_be_repeated);
	tcase_add_test(tests, a_hostile_worker_cannot_lead_a_change_out_of_the_mount);
	tcase_add_loop_test(tests, unsuitable_folders_are_refused_with_a_sentence, 0,
	                    (int)ARRAY_LEN(refusals));
	tcase_add_test(tests, a_read_only_root_without_the_folder_is_refused_and_with_it_works);
	tcase_add_test(tests, a_container_in_a_user_namespace_reads_and_owns_its_folder);
	tcase_add_test(tests, a_mount_at_the_folder_itself_stays_visible);
	tcase_add_test(tests, the_empty_folder_is_made_alone);
	tcase_add_test(tests, a_broker_that_thinks_better_of_it_leaves_nothing_behind);
	tcase_add_test(tests, a_container_being_created_finds_its_secrets_at_start);
	tcase_add_test(tests, a_folder_swapped_in_a_loop_never_leads_the_mount_elsewhere);
	suite_add_tcase(suite, tests);
	return lab_main(suite);
}
