/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-runc: its command line, the hook in a configuration, and the bundle on disk. Needs root, since
 * owners are kept.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "runc_args.h"
#include "runc_bundle.h"
#include "runc_config.h"
#include "runc_find.h"
#include "runc_log.h"

#define WORDS_MAX 24
#define HOOK "{\"path\":\"/usr/bin/coffer-hook\"}"

static const struct runc_hook plain = { .path = "/usr/bin/coffer-hook" };
static const struct runc_hook elsewhere = { .path = "/usr/bin/coffer-hook",
	                                    .runtime_dir = "/run/other" };

/* ---- the command line ---- */

static const struct {
	const char *name, *words;
	struct runc_args want;
} lines[] = {
	{ "as containerd calls it",
	  "--root R --log L --log-format json --systemd-cgroup create --bundle B --pid-file P "
	  "--console-socket S ID",
	  { .taken = 1, .log = "L", .log_format = "json", .command = "create", .bundle = "B" } },
	{ "with '='",
	  "--log=L --root=R run --bundle=B --detach ID",
	  { .taken = 1, .log = "L", .command = "run", .bundle = "B" } },
	{ "one dash",
	  "-log L -root R create -b B ID",
	  { .taken = 1, .log = "L", .command = "create", .bundle = "B" } },
	{ "options behind the id",
	  "create ID --bundle B",
	  { .taken = 1, .command = "create", .bundle = "B" } },
	{ "no bundle", "create ID", { .taken = 1, .command = "create" } },
	{ "the last bundle counts",
	  "create --bundle A -b B ID",
	  { .taken = 1, .command = "create", .bundle = "B" } },
	{ "values that look like options",
	  "--log create create --pid-file --bundle ID -b B",
	  { .taken = 1, .log = "create", .command = "create", .bundle = "B" } },
	{ "nothing behind the end of options",
	  "create -b B -- --bundle",
	  { .taken = 1, .command = "create", .bundle = "B" } },
	{ "command behind the end of options",
	  "--debug -- create -b B ID",
	  { .taken = 1, .command = "create", .bundle = "B" } },
	{ "no value is left", "create ID --bundle", { .taken = 1, .command = "create" } },
	{ "another command's words are not read",
	  "exec --bundle B ID create --bundle C",
	  { .taken = 1, .command = "exec" } },
	{ "version", "--version", { .taken = 1 } },
	{ "nothing", "", { .taken = 1 } },
	{ "ours",
	  "--coffer-runtime-dir D --coffer-runtime=/r --log L create -b B ID",
	  { .taken = 4,
	    .runtime_dir = "D",
	    .runtime = "/r",
	    .log = "L",
	    .command = "create",
	    .bundle = "B" } },
	{ "ours stand in front",
	  "--log L --coffer-runtime /r create -b B ID",
	  { .taken = 1, .log = "L", .command = "/r" } },
	{ "crun's configuration",
	  "create -f C -b B ID",
	  { .taken = 1, .command = "create", .bundle = "B", .config = "C" } },
};

static int parse(const char *words, struct runc_args *ret, struct err *e)
{
	static char copy[512], self[] = "coffer-runc";
	char *argv[WORDS_MAX + 1] = { self }, *rest = copy, *word;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", words);
	while (*copy && (word = strsep(&rest, " ")) && argc < WORDS_MAX)
		argv[argc++] = word;
	return runc_args_parse(argc, argv, ret, e);
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

START_TEST(what_matters_of_a_command_line_is_found)
{
	const struct runc_args *want = &lines[_i].want;
	struct runc_args got = { 0 };

	ck_assert_int_eq(parse(lines[_i].words, &got, NULL), 0);
	ck_assert_msg(got.taken == want->taken && same(got.runtime_dir, want->runtime_dir) &&
	                      same(got.runtime, want->runtime) && same(got.log, want->log) &&
	                      same(got.log_format, want->log_format) &&
	                      same(got.command, want->command) && same(got.bundle, want->bundle) &&
	                      same(got.config, want->config),
	              "%s: command %s, bundle %s, log %s, %d taken", lines[_i].name, got.command,
	              got.bundle, got.log, got.taken);
}
END_TEST

START_TEST(an_option_of_ours_without_its_value_is_named)
{
	struct runc_args got = { .taken = -7 };
	struct err e = { "" };

	ck_assert_int_eq(parse("--coffer-runtime", &got, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "--coffer-runtime needs a value"));
	ck_assert_int_eq(got.taken, -7);
}
END_TEST

START_TEST(only_create_and_run_make_containers)
{
	static const char *const others[] = { "start", "exec", "delete", "state", "kill", "runs" };
	struct runc_args a = { 0 };

	ck_assert(!runc_args_creates(&a));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		a.command = others[i];
		ck_assert_msg(!runc_args_creates(&a), "%s", others[i]);
	}
	a.command = "create";
	ck_assert(runc_args_creates(&a));
	a.command = "run";
	ck_assert(runc_args_creates(&a));
}
END_TEST

/* ---- the configuration ---- */

static const struct {
	const char *name, *before;
	int result;
	const char *after;
} configs[] = {
	{ "no hooks", "{\"a\":1}", 1,
	  "{\"a\":1,\"hooks\":{\"createRuntime\":[" HOOK "],\"poststop\":[" HOOK "]}}" },
	{ "empty", " { } ", 1,
	  " { \"hooks\":{\"createRuntime\":[" HOOK "],\"poststop\":[" HOOK "]}} " },
	{ "empty hooks", "{\"hooks\":{},\"z\":[]}", 1,
	  "{\"hooks\":{\"createRuntime\":[" HOOK "],\"poststop\":[" HOOK "]},\"z\":[]}" },
	{ "hooks that are null", "{\"hooks\":null,\"z\":0}", 1,
	  "{\"hooks\":{\"createRuntime\":[" HOOK "],\"poststop\":[" HOOK "]},\"z\":0}" },
	{ "another stage", "{\"hooks\":{\"prestart\":[{\"path\":\"/p\"}]}}", 1,
	  "{\"hooks\":{\"prestart\":[{\"path\":\"/p\"}],\"createRuntime\":[" HOOK
	  "],\"poststop\":[" HOOK "]}}" },
	{ "others come first",
	  "{\"hooks\":{\"createRuntime\":[{\"path\":\"/p\"}],\"poststop\":null}}", 1,
	  "{\"hooks\":{\"createRuntime\":[{\"path\":\"/p\"}," HOOK "],\"poststop\":[" HOOK "]}}" },
	{ "half of it", "{\"hooks\":{\"poststop\":[ ],\"createRuntime\":[" HOOK "]}}", 1,
	  "{\"hooks\":{\"poststop\":[ " HOOK "],\"createRuntime\":[" HOOK "]}}" },
	{ "hook of another broker",
	  "{\"hooks\":{\"createRuntime\":[{\"path\":\"/usr/bin/coffer-hook\",\"env\":[\"A=b\","
	  "\"COFFER_RUNTIME_DIR=/x\"]}],\"poststop\":[" HOOK "]}}",
	  1,
	  "{\"hooks\":{\"createRuntime\":[{\"path\":\"/usr/bin/coffer-hook\",\"env\":[\"A=b\","
	  "\"COFFER_RUNTIME_DIR=/x\"]}," HOOK "],\"poststop\":[" HOOK "]}}" },
	{ "there already", "{\"hooks\":{\"createRuntime\":[" HOOK "],\"poststop\":[" HOOK "]}}", 0,
	  NULL },
	{ "there in another folder",
	  "{\"hooks\":{\"createRuntime\":[{\"path\":\"/opt/coffer-hook\"}],"
	  "\"poststop\":[{\"path\":\"/opt/coffer-hook\",\"env\":[\"COFFER_RUNTIME_DIR=/run/"
	  "coffer\"]}]}}",
	  0, NULL },
	{ "numbers and texts stay byte by byte",
	  "{\"n\":[18446744073709551615,-0.10,1E+2, 12345678901234567890.5],"
	  "\"t\":\"\\u00e9\\/ }]\\\"hooks\\\":{\",\"o\":{\"hooks\":{\"createRuntime\":[]}}}",
	  1,
	  "{\"n\":[18446744073709551615,-0.10,1E+2, 12345678901234567890.5],"
	  "\"t\":\"\\u00e9\\/ }]\\\"hooks\\\":{\",\"o\":{\"hooks\":{\"createRuntime\":[]}},"
	  "\"hooks\":{\"createRuntime\":[" HOOK "],\"poststop\":[" HOOK "]}}" },
	{ "spread over lines",
	  "{\n\t\"hooks\" : {\n\t\t\"createRuntime\" : [\n\t\t\t{ \"path\" : \"/p\" "
	  "}\n\t\t]\n\t}\n}\n",
	  1,
	  "{\n\t\"hooks\" : {\n\t\t\"createRuntime\" : [\n\t\t\t{ \"path\" : \"/p\" }\n\t\t," HOOK
	  "]\n\t,\"poststop\":[" HOOK "]}\n}\n" },
	{ "a name with escapes", "{\"hook\\u0073\":{}}", -EINVAL, NULL },
	{ "a stage with escapes", "{\"hooks\":{\"poststo\\u0070\":[]}}", -EINVAL, NULL },
	{ "hooks twice", "{\"hooks\":{},\"hooks\":{}}", -EINVAL, NULL },
	{ "hooks that are a list", "{\"hooks\":[]}", -EINVAL, NULL },
	{ "a stage that is an object", "{\"hooks\":{\"createRuntime\":{}}}", -EINVAL, NULL },
	{ "a list", "[]", -EINVAL, NULL },
	{ "cut off", "{\"hooks\":{\"createRuntime\":[", -EINVAL, NULL },
	{ "nothing", "", -EINVAL, NULL },
};

START_TEST(the_hook_is_added_and_nothing_else_changes)
{
	SCOPED(free_ptr) char *after = NULL;
	size_t len = 0;
	struct err e = { "" };
	int r = runc_config_add_hook(configs[_i].before, strlen(configs[_i].before), &plain, &after,
	                             &len, &e);

	ck_assert_msg(r == configs[_i].result, "%s: %d %s", configs[_i].name, r, e.text);
	ck_assert_msg(same(after, configs[_i].after), "%s: %s", configs[_i].name, after);
	ck_assert_msg(r >= 0 || e.text[0], "%s: no sentence", configs[_i].name);
	if (r != 1)
		return;
	ck_assert_uint_eq(len, strlen(after));
	ck_assert_msg(runc_config_add_hook(after, len, &plain, &after, &len, &e) == 0,
	              "%s: added twice", configs[_i].name);
}
END_TEST

START_TEST(another_folder_is_handed_to_the_hook)
{
	SCOPED(free_ptr) char *after = NULL;
	size_t len = 0;

	ck_assert_int_eq(runc_config_add_hook("{}", 2, &elsewhere, &after, &len, NULL), 1);
	ck_assert_ptr_nonnull(strstr(after, "\"createRuntime\":[{\"path\":\"/usr/bin/coffer-hook\","
	                                    "\"env\":[\"COFFER_RUNTIME_DIR=/run/other\"]}]"));
}
END_TEST

START_TEST(a_configuration_that_the_broker_would_not_read_is_refused)
{
	SCOPED(free_ptr) char *text = malloc(RUNC_CONFIG_MAX + 2);
	SCOPED(free_ptr) char *after = NULL;
	struct err e = { "" };
	size_t len = 0;

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', RUNC_CONFIG_MAX + 1);
	text[0] = '{';
	text[RUNC_CONFIG_MAX] = '}';
	ck_assert_int_eq(runc_config_add_hook(text, RUNC_CONFIG_MAX + 1, &plain, &after, &len, &e),
	                 -EFBIG);
	text[RUNC_CONFIG_MAX - 1] = '}'; /* just fits, but no longer with the hook */
	ck_assert_int_eq(runc_config_add_hook(text, RUNC_CONFIG_MAX, &plain, &after, &len, &e),
	                 -EFBIG);
	ck_assert_ptr_null(after);
}
END_TEST

/* ---- the bundle ---- */

static char bundle[64];

static void setup(void)
{
	ck_assert_msg(geteuid() == 0, "this test needs root");
	strcpy(bundle, "/tmp/coffer-runc-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(bundle));
	ck_assert_int_eq(chdir(bundle), 0);
}

static void teardown(void)
{
	char command[128];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "/bin/rm -r %s", bundle);
	ck_assert_int_eq(system(command), 0);
}

static void write_config(const char *text)
{
	ck_assert_int_eq(io_write_file_quick(AT_FDCWD, "config.json", text, strlen(text), 0640), 0);
	ck_assert_int_eq(chown("config.json", 1234, 4321), 0);
}

static int entries(void)
{
	char out[16] = "";
	FILE *pipe = popen("ls -A | wc -l", "r");

	ck_assert_ptr_nonnull(fgets(out, sizeof(out), pipe));
	pclose(pipe);
	return atoi(out);
}

START_TEST(a_bundle_keeps_owner_and_mode)
{
	SCOPED(free_ptr) char *text = NULL;
	struct stat st, again;

	write_config("{\"a\":18446744073709551615}");
	ck_assert_int_eq(runc_bundle_add_hook(".", &plain, NULL), 0);
	ck_assert_int_eq(stat("config.json", &st), 0);
	ck_assert_int_eq(st.st_uid, 1234);
	ck_assert_int_eq(st.st_gid, 4321);
	ck_assert_int_eq(st.st_mode, S_IFREG | 0640);
	ck_assert_int_eq(io_read_file(AT_FDCWD, "config.json", 4096, &text, NULL), 0);
	ck_assert_ptr_nonnull(strstr(text, "{\"a\":18446744073709551615,\"hooks\":{"));
	ck_assert_int_eq(entries(), 1);
	/* A second time nothing is written. */
	ck_assert_int_eq(runc_bundle_add_hook(bundle, &plain, NULL), 0);
	ck_assert_int_eq(stat("config.json", &again), 0);
	ck_assert_uint_eq(st.st_ino, again.st_ino);
}
END_TEST

static const struct {
	const char *name, *command;
	int result;
	const char *says;
} bundles[] = {
	{ "absent", "true", -ENOENT, "No such file" },
	{ "link", "echo {} >real; ln -s real config.json", -ELOOP, "symbolic link" },
	{ "pipe", "mkfifo config.json", -EINVAL, "no regular file" },
	{ "folder", "mkdir config.json", -EINVAL, "no regular file" },
	{ "large", "truncate -s 4194305 config.json", -EFBIG, "larger than" },
	{ "malformed", "echo '{\"hooks\":' >config.json", -EINVAL, "not JSON" },
};

START_TEST(a_bundle_that_is_none_is_refused_and_left_alone)
{
	struct err e = { "" };
	int before;

	ck_assert_int_eq(system(bundles[_i].command), 0);
	before = entries();
	ck_assert_msg(runc_bundle_add_hook(".", &plain, &e) == bundles[_i].result, "%s: %s",
	              bundles[_i].name, e.text);
	ck_assert_msg(strstr(e.text, bundles[_i].says) && strstr(e.text, "config.json"), "%s: %s",
	              bundles[_i].name, e.text);
	ck_assert_int_eq(entries(), before);
}
END_TEST

/* ---- the runtime ---- */

START_TEST(the_runtime_is_the_next_one_that_is_not_ourselves)
{
	char found[PATH_MAX], want[PATH_MAX], path[512];
	struct err e = { "" };

	ck_assert_int_eq(
		system("mkdir a b c d && echo >b/runc && mkdir c/runc && cp /bin/true d/runc"), 0);
	ck_assert_int_eq(symlink("/proc/self/exe", "a/runc"), 0);
	snprintf(path, sizeof(path), "relative::%s/none:%s/a:%s/b:%s/c:%s/d", bundle, bundle,
	         bundle, bundle, bundle);
	setenv("PATH", path, 1);
	snprintf(want, sizeof(want), "%s/d/runc", bundle);
	ck_assert_int_eq(runc_find_runtime(NULL, found, &e), 0);
	ck_assert_str_eq(found, want);
	ck_assert_int_eq(runc_find_runtime("runc", found, &e), 0);
	ck_assert_int_eq(runc_find_runtime(want, found, &e), 0);
	ck_assert_str_eq(found, want);
	ck_assert_int_eq(runc_find_runtime("crun", found, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "no runtime crun in PATH"));
	ck_assert_int_eq(runc_find_runtime("./b/runc", found, &e), -ENOENT);
	ck_assert_int_eq(runc_find_runtime("./a/runc", found, &e), -ELOOP);
	ck_assert_ptr_nonnull(strstr(e.text, "coffer-runc itself"));
	ck_assert_int_eq(runc_find_hook(found, &e), -ENOENT); /* none beside this test */
	ck_assert_ptr_nonnull(strstr(e.text, "coffer-hook is not there"));
}
END_TEST

/* ---- what is told ---- */

START_TEST(the_reason_stands_in_runcs_log_in_its_own_form)
{
	SCOPED(json_ptr) json_t *line = NULL;
	SCOPED(free_ptr) char *json = NULL;
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;

	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	runc_log_error("log.json", "json", "no \"runtime\"\n");
	runc_log_error("log.text", NULL, "no \"runtime\"\\");
	runc_log_error("none/log", NULL, "lost");
	runc_log_error(NULL, NULL, "lost");
	ck_assert_int_eq(io_read_file(AT_FDCWD, "log.json", 4096, &json, &len), 0);
	ck_assert_int_eq(json_parse(json, len, &line, NULL), 0);
	ck_assert_str_eq(json_string_value(json_object_get(line, "level")), "error");
	ck_assert_str_eq(json_string_value(json_object_get(line, "msg")),
	                 "coffer-runc: no \"runtime\"?");
	ck_assert_int_eq(io_read_file(AT_FDCWD, "log.text", 4096, &text, &len), 0);
	ck_assert_ptr_nonnull(
		strstr(text, " level=error msg=\"coffer-runc: no \\\"runtime\\\"\\\\\"\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runc");
	TCase *pure = tcase_create("pure"), *files = tcase_create("files");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(pure, what_matters_of_a_command_line_is_found, 0, ARRAY_LEN(lines));
	tcase_add_test(pure, an_option_of_ours_without_its_value_is_named);
	tcase_add_test(pure, only_create_and_run_make_containers);
	tcase_add_loop_test(pure, the_hook_is_added_and_nothing_else_changes, 0,
	                    ARRAY_LEN(configs));
	tcase_add_test(pure, another_folder_is_handed_to_the_hook);
	tcase_add_test(pure, a_configuration_that_the_broker_would_not_read_is_refused);
	suite_add_tcase(suite, pure);
	tcase_add_checked_fixture(files, setup, teardown);
	tcase_add_test(files, a_bundle_keeps_owner_and_mode);
	tcase_add_loop_test(files, a_bundle_that_is_none_is_refused_and_left_alone, 0,
	                    ARRAY_LEN(bundles));
	tcase_add_test(files, the_runtime_is_the_next_one_that_is_not_ourselves);
	tcase_add_test(files, the_reason_stands_in_runcs_log_in_its_own_form);
	suite_add_tcase(suite, files);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
