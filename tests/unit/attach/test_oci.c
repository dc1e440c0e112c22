/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/engine.h"
#include "attach/oci.h"
#include "coffer/cleanup.h"

#define STATE(id, pid, start, labels)                                               \
	"{\"id\":" id ",\"init_process_pid\":" pid ",\"init_process_start\":" start \
	",\"config\":{\"labels\":" labels "}}"

static const struct {
	const char *name, *text;
	int result;
	const char *bundle;
} states[] = {
	{ "as runc writes it", STATE("\"web\"", "42", "127706", "[\"app=x\",\"bundle=/b\"]"), 0,
	  "/b" },
	{ "a limit that is none",
	  "{\"id\":\"web\",\"init_process_pid\":42,\"init_process_start\":7,\"config\":{"
	  "\"rlimits\":"
	  "[{\"type\":4,\"hard\":18446744073709551615,\"soft\":0}],\"labels\":[\"bundle=/b\"]}}",
	  0, "/b" },
	{ "an annotation called bundle comes earlier and loses",
	  STATE("\"web\"", "42", "1", "[\"bundle=/evil\",\"bundle=/b\"]"), 0, "/b" },
	{ "no bundle", STATE("\"web\"", "42", "1", "[\"app=x\"]"), -EINVAL, NULL },
	{ "relative bundle", STATE("\"web\"", "42", "1", "[\"bundle=b\"]"), -EINVAL, NULL },
	{ "label that is no text", STATE("\"web\"", "42", "1", "[7]"), -EINVAL, NULL },
	{ "pid 1", STATE("\"web\"", "1", "1", "[\"bundle=/b\"]"), -EINVAL, NULL },
	{ "negative pid", STATE("\"web\"", "-4", "1", "[\"bundle=/b\"]"), -EINVAL, NULL },
	{ "pid as text", STATE("\"web\"", "\"42\"", "1", "[\"bundle=/b\"]"), -EINVAL, NULL },
	{ "pid beyond 32 bits", STATE("\"web\"", "4294967338", "1", "[\"bundle=/b\"]"), -EINVAL,
	  NULL },
	{ "id that climbs", STATE("\"..\"", "42", "1", "[\"bundle=/b\"]"), -EINVAL, NULL },
	{ "id with a slash", STATE("\"a/b\"", "42", "1", "[\"bundle=/b\"]"), -EINVAL, NULL },
	{ "id with a NUL", STATE("\"a\\u0000b\"", "42", "1", "[\"bundle=/b\"]"), -EINVAL, NULL },
	{ "stopped container", STATE("\"web\"", "0", "0", "[\"bundle=/b\"]"), -EINVAL, NULL },
	{ "array", "[]", -EINVAL, NULL },
	{ "empty", "", -EINVAL, NULL },
	{ "cut off", "{\"id\":\"web\",", -EINVAL, NULL },
	{ "duplicate key", "{\"id\":\"a\",\"id\":\"b\"}", -EINVAL, NULL },
};

START_TEST(state_is_believed_only_in_the_form_runc_writes)
{
	struct oci_state state = { 0 };
	struct err e = { "" };
	int r = oci_state_parse(states[_i].text, strlen(states[_i].text), &state, &e);

	ck_assert_msg(r == states[_i].result, "%s: %d %s", states[_i].name, r, e.text);
	if (r == 0)
		ck_assert_msg(strcmp(state.bundle, states[_i].bundle) == 0, "%s: %s",
		              states[_i].name, state.bundle);
	else
		ck_assert_msg(e.text[0], "%s: no sentence", states[_i].name);
	oci_state_clear(&state);
}
END_TEST

/* As crun 1.8.1 wrote it, but for what is named. */
#define STATUS(pid, start, bundle)                                                                 \
	"{\"pid\": " pid ",\"process-start-time\": " start ",\"cgroup-path\": \"/t1\",\"scope\": " \
	"\"\",\"rootfs\": \"rootfs\",\"systemd-cgroup\": false,\"bundle\": " bundle                \
	",\"created\": \"2026-11-24T13:20:29.318913Z\",\"owner\": \"root\",\"detached\": true,"    \
	"\"external_descriptors\": \"[\\\"/dev/null\\\"]\"}"

static const struct {
	const char *name, *text, *id;
	int result;
} statuses[] = {
	{ "as crun writes it", STATUS("11781", "2826804", "\"/srv/b\""), "t1", 0 },
	{ "pid 1", STATUS("1", "2826804", "\"/srv/b\""), "t1", -EINVAL },
	{ "stopped", STATUS("0", "0", "\"/srv/b\""), "t1", -EINVAL },
	{ "no start time", STATUS("11781", "0", "\"/srv/b\""), "t1", -EINVAL },
	{ "relative bundle", STATUS("11781", "2826804", "\"b\""), "t1", -EINVAL },
	{ "bundle that is no text", STATUS("11781", "2826804", "7"), "t1", -EINVAL },
	{ "folder that is no id", STATUS("11781", "2826804", "\"/srv/b\""), "..", -EINVAL },
	{ "array", "[]", "t1", -EINVAL },
	{ "cut off", "{\"pid\": 11781,", "t1", -EINVAL },
};

START_TEST(status_is_believed_only_in_the_form_crun_writes)
{
	struct oci_state state = { 0 };
	struct err e = { "" };
	int r = oci_status_parse(statuses[_i].text, strlen(statuses[_i].text), statuses[_i].id,
	                         &state, &e);

	ck_assert_msg(r == statuses[_i].result, "%s: %d %s", statuses[_i].name, r, e.text);
	if (r == 0) {
		ck_assert_str_eq(state.id, statuses[_i].id);
		ck_assert_str_eq(state.bundle, "/srv/b");
		ck_assert_int_eq(state.pid, 11781);
		ck_assert_uint_eq(state.start, 2826804);
	}
	oci_state_clear(&state);
}
END_TEST

#define ROOT "\"root\":{\"path\":\"rootfs\"}"

static const struct {
	const char *name, *text;
	int result;
	uint32_t uid, gid;
	size_t annotations;
	const char *label;
} configs[] = {
	{ "least", "{" ROOT "}", 0, 0, 0, 0, "" },
	{ "user", "{" ROOT ",\"process\":{\"user\":{\"uid\":101,\"gid\":102}}}", 0, 101, 102, 0,
	  "" },
	{ "annotations", "{" ROOT ",\"annotations\":{\"app\":\"web\",\"b\":\"\"}}", 0, 0, 0, 2,
	  "" },
	{ "label", "{" ROOT ",\"linux\":{\"mountLabel\":\"u:r:t:s0:c1,c2\"}}", 0, 0, 0, 0,
	  "u:r:t:s0:c1,c2" },
	{ "a limit of the process that is none",
	  "{" ROOT ",\"process\":{\"rlimits\":[{\"type\":\"RLIMIT_CORE\","
	  "\"hard\":18446744073709551615,\"soft\":18446744073709551615}]}}",
	  0, 0, 0, 0, "" },
	{ "annotation that is no text", "{" ROOT ",\"annotations\":{\"a\":{}}}", -EINVAL, 0, 0, 0,
	  NULL },
	{ "uid -1", "{" ROOT ",\"process\":{\"user\":{\"uid\":-1}}}", -EINVAL, 0, 0, 0, NULL },
	{ "uid that is no uid", "{" ROOT ",\"process\":{\"user\":{\"uid\":4294967295}}}", -EINVAL,
	  0, 0, 0, NULL },
	{ "uid as a fraction", "{" ROOT ",\"process\":{\"user\":{\"uid\":1.5}}}", -EINVAL, 0, 0, 0,
	  NULL },
	{ "no root", "{}", -EINVAL, 0, 0, 0, NULL },
	{ "empty root", "{\"root\":{\"path\":\"\"}}", -EINVAL, 0, 0, 0, NULL },
	{ "root with a NUL", "{\"root\":{\"path\":\"a\\u0000b\"}}", -EINVAL, 0, 0, 0, NULL },
	{ "duplicate annotation", "{" ROOT ",\"annotations\":{\"a\":\"1\",\"a\":\"2\"}}", -EINVAL,
	  0, 0, 0, NULL },
	{ "bytes behind", "{" ROOT "} {}", -EINVAL, 0, 0, 0, NULL },
	{ "invalid UTF-8", "{" ROOT ",\"annotations\":{\"a\":\"\xff\"}}", -EINVAL, 0, 0, 0, NULL },
};

START_TEST(bundle_is_taken_only_in_the_specified_form)
{
	struct oci_config c = { 0 };
	struct err e = { "" };
	int r = oci_config_parse(configs[_i].text, strlen(configs[_i].text), &c, &e);

	ck_assert_msg(r == configs[_i].result, "%s: %d %s", configs[_i].name, r, e.text);
	if (r == 0)
		ck_assert_msg(c.uid == configs[_i].uid && c.gid == configs[_i].gid &&
		                      c.annotations == configs[_i].annotations &&
		                      strcmp(c.mount_label, configs[_i].label) == 0,
		              "%s", configs[_i].name);
	oci_config_clear(&c);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
	enum { DEPTH = 100000 };
	SCOPED(free_ptr) char *text = malloc(DEPTH + 1);
	struct oci_config c = { 0 };

	memset(text, '[', DEPTH);
	text[DEPTH] = '\0';
	ck_assert_int_eq(oci_config_parse(text, DEPTH, &c, NULL), -EINVAL);
}
END_TEST

START_TEST(too_many_or_too_long_annotations_are_left_out)
{
	static char text[1024 * 1024];
	struct oci_config c = { 0 };
	size_t at = (size_t)sprintf(text, "{" ROOT ",\"annotations\":{\"long\":\"");

	memset(text + at, 'x', 64 * 1024);
	at += 64 * 1024;
	at += (size_t)sprintf(text + at, "\"");
	for (int i = 0; i < 500; i++)
		at += (size_t)sprintf(text + at, ",\"k%d\":\"v\"", i);
	at += (size_t)sprintf(text + at, "}}");
	ck_assert_int_eq(oci_config_parse(text, at, &c, NULL), 0);
	ck_assert_uint_eq(c.annotations, ATTACH_ATTRIBUTES_MAX);
	ck_assert_ptr_null(oci_annotation(&c, "long"));
	ck_assert_str_eq(oci_annotation(&c, "k0"), "v");
	oci_config_clear(&c);
}
END_TEST

static const struct {
	const char *path, *runtime;
	bool crio, users;
} bundles[] = {
	{ "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/0123", "docker",
	  false },
	{ "/run/containerd/io.containerd.runtime.v2.task/moby/0123", "docker", false },
	{ "/run/containerd/io.containerd.runtime.v2.task/k8s.io/0123", "containerd", false },
	{ "/run/containerd/io.containerd.runtime.v2.task/default/x", "containerd", false },
	{ "/srv/d/exec/containerd/daemon/io.containerd.runtime.v2.task/moby/0123", "docker",
	  false },
	{ "/var/lib/containers/storage/overlay-containers/0123/userdata", "podman", false },
	{ "/var/lib/containers/storage/overlay-containers/0123/userdata", "podman", true },
	{ "/run/containers/storage/overlay-containers/0123/userdata", "podman", false },
	{ "/run/containers/storage/overlay-containers/0123/userdata", "crio", true },
	{ "/srv/run/docker/x", "runc", false },
	{ "/usr/lib/overlay-containers/0123/userdata", "podman", false },
	{ "/usr/lib/vfs-containers/0123/userdata", "podman", false },
	{ "/usr/lib/overlay-containers/0123/userdata/x", "runc", false },
	{ "/usr/lib/overlay-containers/0123/rootfs", "runc", false },
	{ "/home/u/.local/share/containers/storage/overlay-containers/0123/userdata", "runc",
	  false },
	{ "/home/u/.local/share/containers/storage/overlay-containers/0123/userdata", "podman",
	  false, true },
	{ "/overlay-containers/0123/userdata", "podman", false, true },
	{ "/home/u/overlay-containers//userdata", "runc", false, true },
	{ "/home/u/web", "runc", false, true },
	{ "/", "runc", false, true },
	{ "/usr/lib/-containers/0123/userdata", "runc", false },
	{ "/usr/lib/x/overlay-containers/0123/userdata", "runc", false },
	{ "/usr/lib/overlay/0123/userdata", "runc", false },
	{ "/usr/library/overlay-containers/0123/userdata", "runc", false },
	{ "/srv/web", "runc", true },
};

START_TEST(runtime_is_told_by_where_the_bundle_lies)
{
	static char key[] = "io.kubernetes.cri-o.ContainerID", value[] = "x";
	struct oci_annotation annotation = { key, value };
	struct oci_config c = { .annotation = &annotation, .annotations = bundles[_i].crio };
	struct attach_config config = { .engine_roots = { "/nowhere", "/lib" } }; /* a link */
	const struct engine *engine =
		engine_of_bundle(&config, bundles[_i].path, bundles[_i].users, &c);

	ck_assert_msg(strcmp(engine->runtime, bundles[_i].runtime) == 0, "%s: %s", bundles[_i].path,
	              engine->runtime);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("oci");
	TCase *tests = tcase_create("oci");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, state_is_believed_only_in_the_form_runc_writes, 0,
	                    (int)ARRAY_LEN(states));
	tcase_add_loop_test(tests, status_is_believed_only_in_the_form_crun_writes, 0,
	                    (int)ARRAY_LEN(statuses));
	tcase_add_loop_test(tests, bundle_is_taken_only_in_the_specified_form, 0,
	                    (int)ARRAY_LEN(configs));
	tcase_add_test(tests, deep_nesting_is_refused);
	tcase_add_test(tests, too_many_or_too_long_annotations_are_left_out);
	tcase_add_loop_test(tests, runtime_is_told_by_where_the_bundle_lies, 0,
	                    (int)ARRAY_LEN(bundles));
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
