/* SPDX-License-Identifier: Apache-2.0 */
/* What each check makes of made-up hosts, brokers and containers; and that what others wrote is shown escaped. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "fake_broker.h"
#include "fields.h"
#include "made_up_host.h"

static void container(const char *id, const char *config)
{
	d.container = realloc(d.container, (d.containers + 1) * sizeof(*d.container));
	d.container[d.containers++] = (struct doctor_container){ .id = strdup(id),
		                                                 .pid = 1000 + (pid_t)d.containers,
		                                                 .config = parsed(config) };
}

#define PIDNS "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"}]}"
#define CAPS(name) "\"process\":{\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"" name "\"]}}"
#define MOUNT(source, more)                                                                        \
	"\"mounts\":[{\"destination\":\"/x\",\"source\":\"" source "\",\"type\":\"bind\"" more "}" \
	"]"

static const struct row {
	const char *check, *config;
	int severity; /* -1: nothing is found */
} rows[] = {
	{ "container.power", "{" PIDNS "," CAPS("CAP_KILL") "}", -1 },
	{ "container.power", "{" PIDNS "," CAPS("CAP_SYS_ADMIN") "}", DOCTOR_WARNING },
	{ "container.power", "{" PIDNS "," CAPS("CAP_SYS_MODULE") "}", DOCTOR_ERROR },
	{ "container.power", "{" PIDNS "," CAPS("CAP_SYS_PTRACE") "}", -1 },
	{ "container.power", "{\"linux\":{\"namespaces\":[]}," CAPS("CAP_SYS_PTRACE") "}",
	  DOCTOR_WARNING },
	{ "container.power",
	  "{\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}," CAPS("CAP_SYS_MODULE") "}", -1 },
	{ "container.power", "{}", -1 },
	{ "container.power", "{\"process\":[],\"linux\":7}", -1 },
	{ "container.namespaces", "{" PIDNS "}", -1 },
	{ "container.namespaces", "{\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}}",
	  DOCTOR_WARNING },
	{ "container.reach", "{" MOUNT("/", "") "}", DOCTOR_ERROR },
	{ "container.reach", "{" MOUNT("/srv", "") "}", -1 },
	{ "container.reach", "{" MOUNT("/var/run/docker.sock", ",\"options\":[\"ro\"]") "}",
	  DOCTOR_ERROR },
	{ "container.reach", "{" MOUNT("/run/user/1000/podman/podman.sock", "") "}", DOCTOR_ERROR },
	{ "container.reach", "{" MOUNT("/run/docker.socket", "") "}", -1 },
	{ "container.reach", "{" MOUNT("/run/coffer", "") "}", DOCTOR_ERROR },
	{ "container.reach", "{" MOUNT("/var/run/coffer/", "") "}", DOCTOR_ERROR },
	{ "container.reach", "{" MOUNT("/run", "") "}", DOCTOR_ERROR },
	{ "container.reach", "{" MOUNT("/run/coffer-other", "") "}", -1 },
	{ "container.reach", "{" MOUNT("/run/coffer/workload", "") "}", DOCTOR_WARNING },
	{ "container.reach", "{" MOUNT("/run/coffer/workload", ",\"options\":[\"ro\"]") "}", -1 },
	{ "container.reach", "{" MOUNT("/run/coffer/workload", ",\"options\":[\"ro\",\"rw\"]") "}",
	  DOCTOR_WARNING },
	{ "container.reach", "{" MOUNT("/var/lib/coffer", "") "}", DOCTOR_ERROR },
	{ "container.reach",
	  "{\"mounts\":[{\"destination\":\"/proc\",\"source\":\"proc\",\"type\":\"proc\"}]}", -1 },
	{ "container.reach", "{\"mounts\":[7,null,{\"source\":7}]}", -1 },
};

START_TEST(what_a_bundle_says_is_judged)
{
	const struct row *row = &rows[_i];

	d.status = parsed("{\"state_dir\":\"/var/lib/coffer\"}");
	container("web", row->config);
	for (int s = DOCTOR_NOTE; s <= DOCTOR_ERROR; s++)
		ck_assert_msg(finds(row->check, (enum severity)s) == (s == row->severity),
		              "%s of %s: severity %d: %s", row->check, row->config, s,
		              json_dumps(d.findings, 0));
}
END_TEST

START_TEST(a_container_that_the_broker_does_not_know_is_told_by_its_id)
{
	d.attachments = parsed("{\"attachments\":[{\"pid\":1001,\"container\":\"web\"}]}");
	container("0123", "{}");
	ck_assert_uint_eq(finds("container.registered", DOCTOR_WARNING), 0);
	container("4567", "{}");
	ck_assert_uint_eq(finds("container.registered", DOCTOR_WARNING), 1);
	ck_assert_ptr_nonnull(
		strstr(field_text(json_array_get(d.findings, 0), "what"), "container 4567 "));
}
END_TEST

START_TEST(names_of_others_are_escaped)
{
	d.attachments = parsed("{\"attachments\":[{\"pid\":1,\"container\":\"x\\u001b[31m\\nok\","
	                       "\"state\":\"failed\",\"reason\":\"no \\u0007 folder\"}]}");
	ck_assert_uint_eq(finds("container.mounts", DOCTOR_ERROR), 1);
	for (const char *c = field_text(json_array_get(d.findings, 0), "what"); *c; c++)
		ck_assert(*c >= ' ' && *c <= '~');
}
END_TEST

START_TEST(the_brokers_own_words_are_findings)
{
	static const struct {
		const char *check, *status;
		enum severity severity;
	} says[] = {
		{ "broker.store", "{\"state\":\"sealed\"}", DOCTOR_ERROR },
		{ "broker.store", "{\"state\":\"uninitialised\"}", DOCTOR_ERROR },
		{ "broker.version", "{\"version\":\"99.0\"}", DOCTOR_WARNING },
		{ "broker.trouble", "{\"warnings\":[\"the audit log cannot be written\"]}",
		  DOCTOR_ERROR },
	};

	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		ck_assert_uint_eq(finds(says[i].check, says[i].severity), 0);
		d.status = parsed(says[i].status);
		ck_assert_msg(finds(says[i].check, says[i].severity) == 1, "%s", says[i].status);
		json_decref(d.status);
		d.status = NULL;
	}
	ck_assert_uint_eq(finds("broker.reach", DOCTOR_ERROR), 1);
}
END_TEST

START_TEST(conditions_that_people_choose_are_weak)
{
	d.grants =
		parsed("{\"grants\":[{\"id\":\"1\",\"conditions\":{\"unit\":\"a.service\"}},"
	               "{\"id\":\"2\",\"conditions\":{\"image\":\"sha256:0\"}},"
	               "{\"id\":\"3\",\"conditions\":{\"runtime\":\"crio\",\"labels\":{\"a\":\"b\","
	               "\"io.kubernetes.pod.namespace\":\"a\"}}}]}");
	ck_assert_uint_eq(finds("grant.conditions", DOCTOR_NOTE), 0);
	json_decref(d.grants);
	d.grants = parsed(
		"{\"grants\":[{\"id\":\"1\",\"conditions\":{\"container\":\"web\"}},"
		"{\"id\":\"2\",\"allow_tag\":true,\"conditions\":{\"image\":\"a:1\"}},"
		"{\"id\":\"3\",\"conditions\":{\"unit\":\"a\"},\"allow_unverified\":true}]}");
	ck_assert_uint_eq(finds("grant.conditions", DOCTOR_NOTE), 2);
}
END_TEST

START_TEST(a_namespace_is_strong_only_where_the_engine_says_it)
{
	static const char *const weak[] = {
		"{\"labels\":{\"io.kubernetes.pod.namespace\":\"a\"}}",
		"{\"runtime\":\"docker\",\"labels\":{\"io.kubernetes.pod.namespace\":\"a\"}}",
		"{\"runtime\":\"crio\",\"labels\":{\"io.kubernetes.cri.sandbox-namespace\":\"\"}}",
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(weak); i++) {
		snprintf(text, sizeof(text), "{\"grants\":[{\"id\":\"1\",\"conditions\":%s}]}",
		         weak[i]);
		json_decref(d.grants);
		d.grants = parsed(text);
		ck_assert_msg(finds("grant.conditions", DOCTOR_NOTE) == 1, "%s", weak[i]);
	}
}
END_TEST

/* By the broker's word, not by what its sentence happens to hold. */
START_TEST(a_label_of_the_image_is_told_where_the_broker_says_so)
{
	static const struct fake_row answers[] = {
		{ "Explain",
		  "{\"parameters\":{\"matches\":["
		  "{\"grant\":\"1\",\"matches\":false,\"image_label\":true,\"reason\":\"\"},"
		  "{\"grant\":\"2\",\"matches\":false,\"image_label\":false,\"reason\":"
		  "\"does not match: its image is a, and the grant wants b; it has no label c\"},"
		  "{\"grant\":\"3\",\"matches\":true,\"reason\":\"matches\"}]}}" },
		{ 0 }
	};
	struct client asks = { .runtime_dir = root };
	pid_t fake = fake_start(root, answers);

	d.client = &asks;
	d.grants = parsed("{\"grants\":[{\"id\":\"1\"},{\"id\":\"2\"},{\"id\":\"3\"}]}");
	d.attachments = parsed("{\"attachments\":[{\"pid\":7}]}");
	ck_assert_uint_eq(finds("grant.unused", DOCTOR_WARNING), 1);
	ck_assert_uint_eq(d.count[DOCTOR_NOTE], 1);
	ck_assert_ptr_nonnull(strstr(said(), "grant 1 of  would match by a label"));
	fake_stop(fake);
}
END_TEST

START_TEST(a_grant_that_nobody_matches_is_told)
{
	d.grants = parsed("{\"grants\":[{\"id\":\"1\",\"name\":\"db\",\"conditions\":{}}]}");
	d.attachments = parsed("{\"attachments\":[]}");
	ck_assert_uint_eq(finds("grant.unused", DOCTOR_NOTE), 1);
}
END_TEST

/* As crun and runc say it, of a process that runs: this one. */
START_TEST(what_runs_is_found_in_the_states_of_both_runtimes)
{
	char text[512];
	uint64_t start = 0;

	ck_assert_int_eq(kern_start_time(getpid(), &start), 0);
	snprintf(text, sizeof(text),
	         "{\"pid\":%d,\"process-start-time\":%llu,\"bundle\":\"%s/bundle\"}", getpid(),
	         (unsigned long long)start, root);
	file("/run/crun/one/status", text);
	snprintf(text, sizeof(text),
	         "{\"init_process_pid\":%d,\"init_process_start\":%llu,\"config\":{\"labels\":"
	         "[\"a=b\",\"bundle=%s/bundle\"]}}",
	         getpid(), (unsigned long long)start, root);
	file("/run/runc/two/state.json", text);
	snprintf(text, sizeof(text),
	         "{\"init_process_pid\":%d,\"init_process_start\":%llu,\"config\":{}}", getpid(),
	         (unsigned long long)start + 1);
	file("/run/runc/gone/state.json", text);
	file("/run/runc/ended/state.json", "{\"init_process_pid\":0,\"init_process_start\":0}");
	file("/run/runc/lock", "");
	file("/bundle/config.json", "{\"linux\":{\"namespaces\":[]},\"process\":{\"rlimits\":[{"
	                            "\"type\":\"RLIMIT_MEMLOCK\",\"hard\":18446744073709551615,"
	                            "\"soft\":18446744073709551615}]}}");
	doctor_find_containers(&d);
	ck_assert_uint_eq(d.containers, 2);
	ck_assert_uint_eq(finds("container.namespaces", DOCTOR_WARNING), 2);
	ck_assert_ptr_null(strstr(said(), "not looked at"));
}
END_TEST

/* As a runtime's state of this process; `more` stands behind. */
static void state(const char *id, const char *more)
{
	char path[128], text[512];
	uint64_t start = 0;

	ck_assert_int_eq(kern_start_time(getpid(), &start), 0);
	snprintf(path, sizeof(path), "/run/crun/%s/status", id);
	snprintf(text, sizeof(text), "{\"pid\":%d,\"process-start-time\":%llu%s}", getpid(),
	         (unsigned long long)start, more);
	file(path, text);
}

START_TEST(what_cannot_be_read_is_not_called_well)
{
	static const char *const looks[] = { "container.power", "container.reach",
		                             "container.namespaces" };
	char text[256];

	d.attachments = parsed("{\"attachments\":[]}");
	state("nowhere", "");
	snprintf(text, sizeof(text), ",\"bundle\":\"%s/gone\"", root);
	state("gone", text);
	snprintf(text, sizeof(text), ",\"bundle\":\"%s/torn\"", root);
	state("torn", text);
	file("/torn/config.json", "{\"linux\":");
	file("/run/crun/odd/status", "{\"pid\":\"x\"}");
	file("/run/runc/half/state.json", "{\"init_process_pid\":");
	doctor_find_containers(&d);
	ck_assert_uint_eq(d.containers, 5);
	for (size_t i = 0; i < ARRAY_LEN(looks); i++)
		ck_assert_msg(finds(looks[i], DOCTOR_WARNING) == 5, "%s: %s", looks[i], said());
	ck_assert_ptr_nonnull(strstr(said(), "container torn was not looked at: "));
	/* Those that surely run are unknown; of the others that cannot be told. */
	ck_assert_uint_eq(finds("container.registered", DOCTOR_WARNING), 5);
	ck_assert_ptr_nonnull(strstr(said(), "container half was not looked at: "));
	ck_assert_ptr_nonnull(strstr(said(), "container torn runs, and the broker"));
}
END_TEST

START_TEST(files_that_are_none_are_not_waited_for)
{
	char path[128];
	char *text = NULL;
	size_t len = 0;

	file("/etc/docker/x", "");
	snprintf(path, sizeof(path), "%s/etc/docker/daemon.json", root);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_lt(doctor_read(path, &text, &len), 0);
	ck_assert_uint_eq(finds("engine.docker", DOCTOR_ERROR), 1);
	ck_assert_ptr_null(doctor_read_json("/dev/zero"));
}
END_TEST

START_TEST(each_check_has_a_name_of_its_own)
{
	for (const struct doctor_check *a = doctor_checks; a->id; a++) {
		ck_assert_ptr_nonnull(strchr(a->id, '.'));
		for (const struct doctor_check *b = a + 1; b->id; b++)
			ck_assert_str_ne(a->id, b->id);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doctor");
	TCase *tests = tcase_create("doctor");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, what_a_bundle_says_is_judged, 0, ARRAY_LEN(rows));
	tcase_add_test(tests, a_container_that_the_broker_does_not_know_is_told_by_its_id);
	tcase_add_test(tests, names_of_others_are_escaped);
	tcase_add_test(tests, the_brokers_own_words_are_findings);
	tcase_add_test(tests, conditions_that_people_choose_are_weak);
	tcase_add_test(tests, a_namespace_is_strong_only_where_the_engine_says_it);
	tcase_add_test(tests, a_label_of_the_image_is_told_where_the_broker_says_so);
	tcase_add_test(tests, a_grant_that_nobody_matches_is_told);
	tcase_add_test(tests, what_runs_is_found_in_the_states_of_both_runtimes);
	tcase_add_test(tests, what_cannot_be_read_is_not_called_well);
	tcase_add_test(tests, files_that_are_none_are_not_waited_for);
	tcase_add_test(tests, each_check_has_a_name_of_its_own);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
