/* SPDX-License-Identifier: Apache-2.0 */
/* A container is told that its secrets changed: by a signal, or by a program that is run in it. */
#include "lab.h"

#define STOP_AFTER 60 /* seconds: something hangs */
#define USERNS                                                                                \
	",{\"type\":\"pid\"},{\"type\":\"user\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{" \
	"\"type\":\"uts\"}"
#define MAPS                                                                      \
	"\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]," \
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"

static struct lab l;
static struct lab_facts f;

static void put_file(const char *name, const char *text)
{
	char path[LAB_PATH + 64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", l.rootfs, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
}

static const char *file_text(const char *name)
{
	static char text[16384];

	return lab_out(text, sizeof(text), "cat %s/%s", l.rootfs, name);
}

/* Its first process is a script, which says that it runs by opening the pipe /up. */
static void start(const char *namespaces, const char *linux_more, const char *init)
{
	char own[LAB_PATH + 64] = "true";

	alarm(STOP_AFTER);
	lab_open(&l);
	if (linux_more[0])
		snprintf(own, sizeof(own), "chown -R -h 100000:100000 %s", l.rootfs);
	lab_bundle(&l, namespaces, linux_more, "");
	put_file("init", init);
	ck_assert_int_eq(lab_sh("sed -i 's|\"/bin/sleep\",\"1000\"|\"/init\"|' %s/config.json; "
	                        "mkfifo -m 666 %s/up %s/out; %s",
	                        l.bundle, l.rootfs, l.rootfs, own),
	                 0);
	lab_run(&l);
	ck_assert_int_eq(lab_sh("cat %s/up >/dev/null", l.rootfs), 0);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
}

static void stop(void)
{
	lab_facts_close(&f);
	lab_close(&l);
}

#define IDLE "#!/bin/sh\necho >/up\nexec sleep 1000\n"

static void send_react(int sock, const struct ar_react *fixed, const char *const *words)
{
	const int fds[] = { f.fds[FOUND_PIDFD], f.fds[FOUND_MNT], f.fds[FOUND_PID],
		            f.fds[FOUND_USER] };
	unsigned char texts[9000];
	size_t at = 0;

	if (fixed->words > 0)
		ck_assert_int_eq(record_put_text(texts, sizeof(texts), &at,
		                                 "COFFER_ROTATED=/run/secrets/a /run/secrets/b"),
		                 0);
	for (uint32_t i = 0; i < fixed->words; i++)
		ck_assert_int_eq(record_put_text(texts, sizeof(texts), &at, words[i]), 0);
	ck_assert_int_eq(record_send(sock, AR_REACT, 9, fixed, sizeof(*fixed), texts, at, fds, 4),
	                 0);
}

static int react_signal(int signal, char *why)
{
	SCOPED_FD int sock = lab_attacher(&l);
	struct ar_react fixed = { .pid = f.n.pid,
		                  .kind = REACT_SIGNAL,
		                  .signal = (uint32_t)signal };

	send_react(sock, &fixed, NULL);
	return why ? lab_failed(sock, why) : lab_done(sock, NULL);
}

static struct ar_react exec_request(uint32_t words)
{
	return (struct ar_react){ .pid = f.n.pid,
		                  .kind = REACT_EXEC,
		                  .words = words,
		                  .uid = f.n.uid,
		                  .gid = f.n.gid,
		                  .limit_s = 30 };
}

/* The wait status. */
static int react_run(const char *const *words, uint32_t count)
{
	SCOPED_FD int sock = lab_attacher(&l);
	struct ar_react fixed = exec_request(count);
	uint32_t status = 0;

	send_react(sock, &fixed, words);
	ck_assert_int_eq(lab_done(sock, &status), 0);
	return (int)status;
}

static int react_fails(const char *program, char *why)
{
	SCOPED_FD int sock = lab_attacher(&l);
	struct ar_react fixed = exec_request(1);

	send_react(sock, &fixed, &program);
	return lab_failed(sock, why);
}

START_TEST(a_signal_reaches_the_first_process)
{
	char text[256];

	start(LAB_PIDNS, "",
	      "#!/bin/sh\ntrap 'echo hup >/out' HUP\necho >/up\nwhile :; do sleep 1000 & wait; "
	      "done\n");
	ck_assert_int_eq(react_signal(SIGHUP, NULL), 0);
	ck_assert_str_eq(lab_out(text, sizeof(text), "cat %s/out", l.rootfs), "hup");
	stop();
}
END_TEST

START_TEST(a_signal_that_the_first_process_would_not_get_is_said)
{
	char why[ERR_TEXT_MAX];
	struct pollfd end = { .events = POLLIN };

	start(LAB_PIDNS, "", IDLE);
	end.fd = kern_pidfd_open(f.n.pid, 0);
	ck_assert_int_ge(end.fd, 0);
	ck_assert_int_eq(react_signal(SIGHUP, why), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(why, "does not handle"));
	ck_assert_int_eq(lab_sh("runc --root %s kill %s KILL", l.root, l.id), 0);
	ck_assert_int_eq(poll(&end, 1, -1), 1);
	close(end.fd);
	ck_assert_int_eq(react_signal(SIGHUP, why), -ESRCH);
	stop();
}
END_TEST

START_TEST(a_container_that_was_not_started_is_let_alone)
{
	char why[ERR_TEXT_MAX];

	alarm(STOP_AFTER);
	lab_open(&l);
	lab_bundle(&l, LAB_PIDNS, "", "");
	ck_assert_int_eq(lab_sh("runc --root %s create --bundle %s %s </dev/null >/dev/null 2>&1",
	                        l.root, l.bundle, l.id),
	                 0);
	lab_inspect(&l, INSPECT_NAME, 0, l.id, "", &f);
	ck_assert_int_eq(react_signal(SIGHUP, why), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(why, "still being started"));
	ck_assert_int_eq(react_fails("/bin/sh", why), -EAGAIN);
	ck_assert_int_eq(lab_sh("runc --root %s start %s", l.root, l.id), 0);
	stop();
}
END_TEST

/* What the program finds itself to be, in the file /says of the container. */
#define WHO                                                                                     \
	"#!/bin/sh\n{ cat /proc/self/status; echo "                                             \
	"\"$COFFER_ROTATED|$PATH|$0|$*|$(pwd)|$(umask)\";"                                      \
	" ls -l /proc/self/fd/; for n in mnt pid user net ipc uts cgroup; do "                  \
	"[ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo \"another $n\"; " \
	"done; "                                                                                \
	"for f in cgroup limits oom_score_adj; do grep -v core /proc/self/$f >/tmp/own; "       \
	"grep -v core /proc/1/$f >/tmp/first; cmp /tmp/own /tmp/first || echo \"another $f\"; " \
	"done; } "                                                                              \
	">/says 2>&1\n"

static const char *const none_of_ours[] = { "CapInh:\t0000000000000000",
	                                    "CapPrm:\t0000000000000000",
	                                    "CapEff:\t0000000000000000",
	                                    "CapBnd:\t0000000000000000",
	                                    "CapAmb:\t0000000000000000",
	                                    "NoNewPrivs:\t1",
	                                    "Seccomp:\t2",
	                                    "SigBlk:\t0000000000000000",
	                                    "Groups:\t \n" };

static const struct {
	const char *namespaces, *more;
	int uid;
} places[] = { { LAB_PIDNS, "", 0 }, { USERNS, MAPS, 0 }, { USERNS, MAPS, 1000 } };

START_TEST(a_program_is_one_of_the_containers_without_any_right)
{
	static const char *const words[] = { "/who", "first", "second word" };
	struct ar_react fixed;
	SCOPED_FD int sock = -1;
	const char *says;
	char line[64];
	uint32_t status;

	start(places[_i].namespaces, places[_i].more, IDLE);
	put_file("who", WHO);
	put_file("says", "");
	lab_sh("chmod 666 %s/says; mkdir -m 777 %s/tmp; ln -s busybox %s/bin/cmp; "
	       "ln -s busybox %s/bin/grep",
	       l.rootfs, l.rootfs, l.rootfs, l.rootfs);
	sock = lab_attacher(&l);
	fixed = exec_request(3);
	fixed.uid = fixed.gid = (uint32_t)places[_i].uid;
	send_react(sock, &fixed, words);
	ck_assert_int_eq(lab_done(sock, &status), 0);
	says = file_text("says");
	ck_assert_msg(status == 0, "%x: %s", status, says);
	for (size_t i = 0; i < ARRAY_LEN(none_of_ours); i++)
		ck_assert_msg(strstr(says, none_of_ours[i]), "no %s in: %s", none_of_ours[i], says);
	snprintf(line, sizeof(line), "\nUid:\t%d\t%d\t%d\t%d\nGid:\t%d", fixed.uid, fixed.uid,
	         fixed.uid, fixed.uid, fixed.uid);
	ck_assert_msg(strstr(says, line), "%s", says);
	ck_assert_ptr_nonnull(strstr(says, "/run/secrets/a /run/secrets/b|/usr/local/sbin:"));
	ck_assert_ptr_nonnull(strstr(says, "|/who|first second word|/|0022"));
	/* Another user may not look at the first process. */
	ck_assert_msg(fixed.uid || !strstr(says, "another "), "%s", says);
	stop();
}
END_TEST

START_TEST(how_a_program_ends_is_told)
{
	static const char *const good[] = { "/bin/sh", "-c", "exit 0" };
	static const char *const bad[] = { "/bin/sh", "-c", "exit 42" };
	static const char *const killed[] = { "/bin/sh", "-c", "kill -9 $$" };
	char why[ERR_TEXT_MAX];
	int status;

	start(LAB_PIDNS, "", IDLE);
	ck_assert_int_eq(react_run(good, 3), 0);
	status = react_run(bad, 3);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = react_run(killed, 3);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(react_fails("/nonexistent", why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "cannot run the program"));
	put_file("plain", "text");
	lab_sh("chmod 644 %s/plain", l.rootfs);
	ck_assert_int_eq(react_fails("/plain", why), -EACCES);
	lab_sh("rm %s/dev/null; mkfifo %s/dev/null", l.rootfs, l.rootfs);
	ck_assert_int_lt(react_fails("/bin/ls", why), 0);
	ck_assert_ptr_nonnull(strstr(why, "/dev/null"));
	stop();
}
END_TEST

/* A program of the container that runs on and says so through /out; its pid there. */
#define ON "#!/bin/sh\necho $$ >/out\nexec sleep 1000\n"

static pid_t await_on(void)
{
	char text[64];

	return atoi(lab_out(text, sizeof(text), "cat %s/out", l.rootfs));
}

static bool is_there(pid_t pid)
{
	char command[64], text[256];

	snprintf(command, sizeof(command), "ls -d /proc/%d", pid);
	return strncmp(lab_exec(&l, text, sizeof(text), command), "/proc", 5) == 0;
}

START_TEST(a_program_that_does_not_end_is_killed_at_its_limit)
{
	SCOPED_FD int sock = -1;
	const char *const words[] = { "/on" };
	struct ar_react fixed;
	char why[ERR_TEXT_MAX];
	pid_t pid;

	start(LAB_PIDNS, "", IDLE);
	put_file("on", ON);
	sock = lab_attacher(&l);
	fixed = exec_request(1);
	fixed.limit_s = 2;
	send_react(sock, &fixed, words);
	pid = await_on();
	ck_assert_int_gt(pid, 1);
	ck_assert_int_eq(lab_failed(sock, why), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(why, "2 seconds"));
	ck_assert(!is_there(pid));
	stop();
}
END_TEST

START_TEST(a_program_ends_with_the_broker)
{
	const char *const words[] = { "/on" };
	struct ar_react fixed;
	int sock;
	pid_t pid;

	start(LAB_PIDNS, "", IDLE);
	put_file("on", ON);
	sock = lab_attacher(&l);
	fixed = exec_request(1);
	send_react(sock, &fixed, words);
	pid = await_on();
	ck_assert(is_there(pid));
	close(sock);
	while (is_there(pid)) /* alarm() says when it is too long */
		;
	stop();
}
END_TEST

START_TEST(nothing_of_the_host_can_be_named_by_the_process_that_enters)
{
	char why[ERR_TEXT_MAX], host[256], before[256];
	static const char *const words[] = { "/self" };
	int status;

	start(LAB_PIDNS, "", IDLE);
	lab_out(before, sizeof(before), "sha256sum %s", l.enter);
	/* The kernel runs what /proc/self/exe is, once more: it ends at once, and it is a copy. */
	put_file("self", "#!/proc/self/exe\n");
	status = react_run(words, 1);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 127);
	lab_sh("ln -s /proc/self/exe %s/link", l.rootfs);
	ck_assert_int_eq(react_fails("/none", why), -ENOENT);
	ck_assert_str_eq(lab_out(host, sizeof(host), "sha256sum %s", l.enter), before);
	stop();
}
END_TEST

START_TEST(without_coffer_enter_programs_are_refused)
{
	char why[ERR_TEXT_MAX];

	start(LAB_PIDNS, "",
	      "#!/bin/sh\ntrap 'echo hup >/out' HUP\necho >/up\nwhile :; do sleep 1000 & wait; "
	      "done\n");
	lab_stop_spawner(&l);
	l.config.enter_path = "/nonexistent/coffer-enter";
	lab_start_spawner(&l);
	ck_assert_int_eq(react_fails("/bin/sh", why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "coffer-enter"));
	ck_assert_int_eq(react_signal(SIGHUP, NULL), 0);
	stop();
}
END_TEST

START_TEST(malformed_requests_are_refused)
{
	static const struct ar_react bad[] = {
		{ .kind = REACT_SIGNAL, .signal = 1 },
		{ .pid = 1, .kind = REACT_SIGNAL, .signal = 1 },
		{ .kind = 3 },
		{ .kind = REACT_SIGNAL, .signal = 0 },
		{ .kind = REACT_SIGNAL, .signal = 200 },
		{ .kind = REACT_EXEC, .words = 0 },
		{ .kind = REACT_EXEC, .words = 33 },
		{ .kind = REACT_SIGNAL, .words = 1, .signal = 1 },
	};
	const char *words[33];

	start(LAB_PIDNS, "", IDLE);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		words[i] = "/bin/true";
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		SCOPED_FD int sock = lab_attacher(&l);
		struct ar_react fixed = bad[i];
		char why[ERR_TEXT_MAX];

		if (i > 1)
			fixed.pid = f.n.pid;
		send_react(sock, &fixed, words);
		ck_assert_int_eq(lab_failed(sock, why), -EBADMSG);
	}
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("react");
	TCase *tests = tcase_create("react");

	tcase_set_timeout(tests, STOP_AFTER + 30);
	tcase_add_test(tests, a_signal_reaches_the_first_process);
	tcase_add_test(tests, a_signal_that_the_first_process_would_not_get_is_said);
	tcase_add_test(tests, a_container_that_was_not_started_is_let_alone);
	tcase_add_loop_test(tests, a_program_is_one_of_the_containers_without_any_right, 0,
	                    ARRAY_LEN(places));
	tcase_add_test(tests, how_a_program_ends_is_told);
	tcase_add_test(tests, a_program_that_does_not_end_is_killed_at_its_limit);
	tcase_add_test(tests, a_program_ends_with_the_broker);
	tcase_add_test(tests, nothing_of_the_host_can_be_named_by_the_process_that_enters);
	tcase_add_test(tests, without_coffer_enter_programs_are_refused);
	tcase_add_test(tests, malformed_requests_are_refused);
	suite_add_tcase(suite, tests);
	return lab_main(suite);
}
