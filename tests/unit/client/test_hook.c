/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hook against a broker that answers, refuses, is sealed, silent or away. Needs root, as the
 * hook does.
 */
#include <sched.h>
#include <sys/stat.h>

#include "coffer/json.h"
#include "coffer/kern.h"
#include "fake_broker.h"
#include "hook.h"
#include "hook_engine.h"

#define TEXT_MAX 4096

static char top[64], dir[80], wait_file[80]; /* dir: the runtime folder, below top */
static char errors[TEXT_MAX];
static struct hook_config config;

static void setup(void)
{
	ck_assert_msg(geteuid() == 0, "this test needs root");
	strcpy(top, "/tmp/coffer-hook-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/run", top);
	snprintf(wait_file, sizeof(wait_file), "%s/must-wait.json", top);
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	ck_assert_int_eq(chdir(top), 0);
	config = (struct hook_config){ dir, wait_file };
}

static void teardown(void)
{
	char command[128];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}

/* In a child: be the hook, and end. */
__attribute__((noreturn)) static void run_here(const char *state)
{
	int input = open(state, O_RDONLY | O_CLOEXEC), status = 0;

	if (!freopen("stderr", "w", stderr))
		_exit(99);
	status = hook_run(&config, input);
	fflush(NULL);
	_exit(status);
}

/* Starts the hook in a child, for a container whose process is this one. */
static pid_t start_hook(const char *status, pid_t container)
{
	char state[512];
	pid_t pid = 0;

	snprintf(state, sizeof(state),
	         "{\"ociVersion\":\"1.0.2\",\"id\":\"web\",\"status\":\"%s\",\"pid\":%d,"
	         "\"bundle\":\"%s\",\"annotations\":{\"app\":\"payments\"}}",
	         status, container, top);
	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "state", state, strlen(state), 0600), 0);
	pid = fork();
	if (pid == 0) {
		run_here("state");
	}
	return pid;
}

static int end_of(pid_t pid)
{
	int status = 0, fd = -1;
	ssize_t n = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "killed by %d", WTERMSIG(status));
	fd = open("stderr", O_RDONLY | O_CLOEXEC);
	n = io_read_all(fd, errors, sizeof(errors) - 1);
	ck_assert_int_ge(n, 0);
	errors[n] = '\0';
	close(fd);
	return WEXITSTATUS(status);
}

static int run_hook(const char *status)
{
	return end_of(start_hook(status, getpid()));
}

/* The text of the one pending file, NULL if there is none. Caller frees. */
static char *pending(void)
{
	char path[128], *text = NULL;
	size_t len = 0;

	/* BLAKE2b-128 of "web" (b2sum -l 128) */
	snprintf(path, sizeof(path), "%s/pending/042d9853dcbcb4381d9cb696fbf3e814.json", dir);
	return io_read_file(AT_FDCWD, path, TEXT_MAX, &text, &len) < 0 ? NULL : text;
}

static void write_wait_file(const char *text, mode_t mode)
{
	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, wait_file, text, strlen(text), mode), 0);
}

START_TEST(registered_container_starts)
{
	static const struct fake_row rows[] = {
		{ "Register", "{\"parameters\":{\"instance\":\"00\",\"mounted\":true}}" }, { 0 }
	};
	pid_t broker = fake_start(dir, rows);
	char expected[256], *asked = NULL;

	ck_assert_int_eq(run_hook("creating"), 0);
	ck_assert_str_eq(errors, "");
	asked = fake_log(dir);
	snprintf(expected, sizeof(expected),
	         "{\"method\":\"io.coffer.operator.Register\",\"parameters\":{\"id\":\"web\","
	         "\"bundle\":\"%s\",\"pid\":%d}}\n",
	         top, getpid());
	ck_assert_str_eq(asked, expected);
	ck_assert_ptr_null(pending());
	free(asked);
	fake_stop(broker);
}
END_TEST

START_TEST(refused_container_does_not_start)
{
	static const char *const refusals[] = { "Denied", "Invalid",      "NotFound", "Exists",
		                                "Busy",   "AttachFailed", "Internal", "NoSpace" };

	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		char reply[256];
		const struct fake_row rows[] = { { "Register", reply }, { 0 } };
		pid_t broker = 0;

		snprintf(reply, sizeof(reply),
		         "{\"error\":\"io.coffer.operator.%s\",\"parameters\":{\"message\":\"no\\n!"
		         "\"}}",
		         refusals[i]);
		broker = fake_start(dir, rows);
		ck_assert_msg(run_hook("created") == 1, "%s", refusals[i]);
		ck_assert_str_eq(errors, "coffer-hook: no?!\n");
		ck_assert_ptr_null(pending());
		fake_stop(broker);
		unlink("run/operator.sock");
	}
}
END_TEST

START_TEST(registration_waits_for_a_broker_that_is_sealed_or_hangs_up)
{
	static const char *const replies[] = {
		"{\"error\":\"io.coffer.operator.Sealed\",\"parameters\":{\"message\":\"sealed\"}}",
		"{\"error\":\"io.coffer.operator.Uninitialised\",\"parameters\":{}}",
		NULL,
	};

	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		const struct fake_row rows[] = { { "Register", replies[i] }, { 0 } };
		pid_t broker = fake_start(dir, rows);
		char *text = NULL;

		ck_assert_msg(run_hook("creating") == 0, "reply %zu: %s", i, errors);
		text = pending();
		ck_assert_msg(text, "reply %zu left nothing", i);
		free(text);
		fake_stop(broker);
		unlink("run/operator.sock");
	}
}
END_TEST

START_TEST(pending_registration_names_one_process_and_is_roots_alone)
{
	char *text = NULL;
	json_t *left = NULL;
	uint64_t start_time = 0;
	struct stat st;
	int64_t number = 0;
	struct err e;

	ck_assert_int_eq(rmdir(dir), 0); /* even the runtime folder may be missing */
	ck_assert_int_eq(run_hook("creating"), 0);
	text = pending();
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(json_parse(text, strlen(text), &left, &e), 0);
	ck_assert_str_eq(json_string_value(json_object_get(left, "id")), "web");
	ck_assert_str_eq(json_string_value(json_object_get(left, "bundle")), top);
	ck_assert_int_eq(json_integer_value(json_object_get(left, "pid")), getpid());
	ck_assert_int_eq(kern_start_time(getpid(), &start_time), 0);
	ck_assert_int_eq(json_get_int(left, "start_time", true, 1, INT64_MAX, &number, &e), 0);
	ck_assert_uint_eq((uint64_t)number, start_time);
	ck_assert_ptr_nonnull(json_object_get(left, "time"));
	ck_assert_int_eq(stat("run/pending", &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	json_decref(left);
	free(text);
}
END_TEST

START_TEST(pending_folder_that_others_may_write_is_not_used)
{
	ck_assert_int_eq(mkdir("run/pending", 0700), 0);
	ck_assert_int_eq(chmod("run/pending", 0777), 0);
	ck_assert_int_eq(run_hook("creating"), 1);
	ck_assert_ptr_null(pending());
	ck_assert_int_eq(rmdir("run/pending"), 0);
	ck_assert_int_eq(symlink(top, "run/pending"), 0);
	ck_assert_int_eq(run_hook("creating"), 1);
}
END_TEST

START_TEST(process_that_is_gone_is_not_registered_for_later)
{
	pid_t gone = fork();

	if (gone == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(gone, NULL, 0), gone);
	ck_assert_int_eq(end_of(start_hook("creating", gone)), 1);
	ck_assert_ptr_null(pending());
}
END_TEST

START_TEST(silent_broker_does_not_hold_an_ordinary_container)
{
	static const struct fake_row rows[] = { { "Register", "{\"parameters\":{}}", .hold = true },
		                                { "Status",
		                                  "{\"parameters\":{\"state\":\"unsealed\"}}" },
		                                { 0 } };
	pid_t broker = fake_start(dir, rows);
	char *text = NULL;

	ck_assert_int_eq(run_hook("creating"), 0);
	text = pending();
	ck_assert_ptr_nonnull(text);
	free(text);
	fake_stop(broker);
}
END_TEST

START_TEST(container_that_a_sealed_broker_holds_back_waits_for_its_answer)
{
	static const struct {
		const char *reply;
		int status;
	} answers[] = {
		{ "{\"parameters\":{\"instance\":\"00\",\"mounted\":true}}", 0 },
		{ "{\"error\":\"io.coffer.operator.Denied\",\"parameters\":{\"message\":\"sealed\"}"
		  "}",
		  1 },
	};
	const struct fake_row rows[] = { { "Register", answers[_i].reply,
		                           .hold = true }, /* until Status was answered */
		                         { "Status", "{\"parameters\":{\"state\":\"sealed\"}}" },
		                         { 0 } };
	pid_t broker = fake_start(dir, rows);

	ck_assert_int_eq(run_hook("creating"), answers[_i].status);
	ck_assert_ptr_null(pending());
	fake_stop(broker);
}
END_TEST

/* Whether a process has an inotify descriptor: our hook then waits for the socket. */
static bool watches(pid_t pid)
{
	for (int fd = 0; fd < 64; fd++) {
		char path[64], target[64] = "";

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		if (readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "inotify"))
			return true;
	}
	return false;
}

START_TEST(container_that_must_wait_starts_when_the_broker_comes)
{
	static const struct fake_row rows[] = {
		{ "Register",
		  "{\"error\":\"io.coffer.operator.Sealed\",\"parameters\":{\"message\":\"s\"}}" },
		{ "Register", "{\"parameters\":{\"instance\":\"00\",\"mounted\":true}}" },
		{ 0 }
	};
	pid_t hook = 0, broker = 0;

	write_wait_file("[{\"container\":\"web\"}]", 0644);
	hook = start_hook("creating", getpid());
	while (!watches(hook))
		sched_yield();
	broker = fake_start(dir, rows); /* first sealed, then not */
	ck_assert_int_eq(end_of(hook), 0);
	ck_assert_ptr_null(pending());
	fake_stop(broker);
}
END_TEST

START_TEST(container_that_must_wait_is_refused_by_the_broker_that_comes)
{
	static const struct fake_row rows[] = {
		{ "Register", "{\"error\":\"x.Denied\",\"parameters\":{\"message\":\"not you\"}}" },
		{ 0 }
	};
	pid_t hook = 0, broker = 0;

	ck_assert_int_eq(rmdir(dir), 0); /* it comes with its folder */
	write_wait_file("[{\"label\":\"app=payments\"}]", 0644);
	hook = start_hook("creating", getpid());
	while (!watches(hook))
		sched_yield();
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	broker = fake_start(dir, rows);
	ck_assert_int_eq(end_of(hook), 1);
	ck_assert_str_eq(errors, "coffer-hook: not you\n");
	ck_assert_ptr_null(pending());
	fake_stop(broker);
}
END_TEST

START_TEST(other_containers_do_not_wait)
{
	char *text = NULL;

	write_wait_file("[{\"container\":\"other\"},{\"runtime\":\"docker\"}]", 0644);
	ck_assert_int_eq(run_hook("creating"), 0);
	text = pending();
	ck_assert_ptr_nonnull(text);
	free(text);
}
END_TEST

START_TEST(list_of_those_that_must_wait_is_trusted_only_if_it_is_roots_and_whole)
{
	static const struct {
		const char *text;
		mode_t mode;
	} rows[] = { { "[", 0644 }, { "{}", 0644 }, { "[]", 0666 }, { "[]", 0664 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		write_wait_file(rows[i].text, rows[i].mode);
		ck_assert_int_eq(chmod(wait_file, rows[i].mode), 0);
		ck_assert_msg(run_hook("creating") == 1, "row %zu", i);
		ck_assert_msg(strstr(errors, "must-wait.json"), "row %zu: %s", i, errors);
		ck_assert_ptr_null(pending());
	}
}
END_TEST

START_TEST(stop_unregisters_and_takes_what_was_pending)
{
	static const struct fake_row rows[] = { { "Unregister", "{\"parameters\":{}}" }, { 0 } };
	pid_t broker = 0;
	char *asked = NULL;

	ck_assert_int_eq(run_hook("creating"), 0);
	broker = fake_start(dir, rows);
	ck_assert_int_eq(end_of(start_hook("stopped", 0)), 0);
	ck_assert_ptr_null(pending());
	asked = fake_log(dir);
	ck_assert_ptr_nonnull(
		strstr(asked, "Unregister\",\"parameters\":{\"id\":\"web\",\"bundle\":"));
	free(asked);
	fake_stop(broker);
}
END_TEST

START_TEST(stop_never_fails)
{
	static const struct fake_row rows[] = {
		{ "Unregister", "{\"error\":\"x.Internal\",\"parameters\":{\"message\":\"no\"}}" },
		{ 0 }
	};
	pid_t broker = 0;

	ck_assert_int_eq(end_of(start_hook("stopped", 0)), 0);
	ck_assert_str_eq(errors, "");
	broker = fake_start(dir, rows);
	ck_assert_int_eq(end_of(start_hook("stopped", 0)), 0);
	ck_assert_str_eq(errors, "coffer-hook: no\n");
	fake_stop(broker);
}
END_TEST

START_TEST(rootless_hook_says_so_and_lets_the_container_start)
{
	pid_t pid = 0;

	ck_assert_int_eq(chmod(top, 0777), 0);
	pid = fork();
	if (pid == 0) {
		if (setuid(65534) < 0)
			_exit(98);
		run_here("/dev/null");
	}
	ck_assert_int_eq(end_of(pid), 0);
	ck_assert_ptr_nonnull(strstr(errors, "rootless"));
}
END_TEST

START_TEST(name_and_labels_of_a_docker_container_come_from_its_own_files)
{
	struct hook_state s = { .id = "0123", .stage = HOOK_CREATE };
	char bundle[128], text[256];
	struct hook_engine engine;

	ck_assert_int_eq(mkdir("moby", 0755) | mkdir("moby/0123", 0755) | mkdir("box", 0755), 0);
	snprintf(bundle, sizeof(bundle), "%s/moby/0123", top);
	s.bundle = bundle;
	hook_engine_read(&s, &engine);
	ck_assert_ptr_null(engine.facts.name); /* unknown, as long as nothing is there */
	ck_assert_ptr_null(engine.facts.labels);
	hook_engine_clear(&engine);
	snprintf(
		text, sizeof(text),
		"{\"mounts\":[{\"destination\":\"/etc/hostname\",\"source\":\"%s/box/hostname\"}]}",
		top);
	ck_assert_int_eq(
		io_write_file_atomic(AT_FDCWD, "moby/0123/config.json", text, strlen(text), 0600),
		0);
	strcpy(text, "{\"Name\":\"/web\",\"Config\":{\"Labels\":{\"app\":\"payments\"}}}");
	ck_assert_int_eq(
		io_write_file_atomic(AT_FDCWD, "box/config.v2.json", text, strlen(text), 0600), 0);
	hook_engine_read(&s, &engine);
	ck_assert_str_eq(engine.facts.name, "web");
	ck_assert_str_eq(json_string_value(json_object_get(engine.facts.labels, "app")),
	                 "payments");
	ck_assert_str_eq(engine.facts.runtimes[0], "docker");
	hook_engine_clear(&engine);
}
END_TEST

START_TEST(name_of_a_podman_container_comes_from_its_storage)
{
	struct hook_state s = { .id = "0123", .stage = HOOK_CREATE };
	static const char list[] = "[{\"id\":\"99\",\"names\":[\"other\"]},"
				   "{\"id\":\"0123\",\"names\":[\"web\"]}]";
	char bundle[128];
	struct hook_engine engine;

	ck_assert_int_eq(system("mkdir -p overlay-containers/0123/userdata"), 0);
	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "overlay-containers/containers.json", list,
	                                      strlen(list), 0600),
	                 0);
	snprintf(bundle, sizeof(bundle), "%s/overlay-containers/0123/userdata", top);
	s.bundle = bundle;
	hook_engine_read(&s, &engine);
	ck_assert_str_eq(engine.facts.name, "web");
	ck_assert_str_eq(engine.facts.runtimes[0], "podman");
	hook_engine_clear(&engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hook");
	TCase *tc = tcase_create("hook");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	if (secret_process_init(NULL) < 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, registered_container_starts);
	tcase_add_test(tc, refused_container_does_not_start);
	tcase_add_test(tc, registration_waits_for_a_broker_that_is_sealed_or_hangs_up);
	tcase_add_test(tc, pending_registration_names_one_process_and_is_roots_alone);
	tcase_add_test(tc, pending_folder_that_others_may_write_is_not_used);
	tcase_add_test(tc, process_that_is_gone_is_not_registered_for_later);
	tcase_add_test(tc, silent_broker_does_not_hold_an_ordinary_container);
	tcase_add_loop_test(tc, container_that_a_sealed_broker_holds_back_waits_for_its_answer, 0,
	                    2);
	tcase_add_test(tc, container_that_must_wait_starts_when_the_broker_comes);
	tcase_add_test(tc, container_that_must_wait_is_refused_by_the_broker_that_comes);
	tcase_add_test(tc, other_containers_do_not_wait);
	tcase_add_test(tc, list_of_those_that_must_wait_is_trusted_only_if_it_is_roots_and_whole);
	tcase_add_test(tc, stop_unregisters_and_takes_what_was_pending);
	tcase_add_test(tc, stop_never_fails);
	tcase_add_test(tc, rootless_hook_says_so_and_lets_the_container_start);
	tcase_add_test(tc, name_and_labels_of_a_docker_container_come_from_its_own_files);
	tcase_add_test(tc, name_of_a_podman_container_comes_from_its_storage);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
