/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "support_fakes.h"

#include "server/config_file.h"

static char dir[80], path[96];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "%s/XXXXXX", support_folder);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/config.json", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void write_config(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static int load(struct config **ret, struct err *e)
{
	char program[] = "cofferd", option[] = "--config", foreground[] = "--foreground";
	char *argv[] = { program, option, path, foreground, NULL };

	return config_load(4, argv, ret, e);
}

START_TEST(defaults_need_no_file)
{
	char program[] = "cofferd", foreground[] = "--foreground";
	char *argv[] = { program, foreground, NULL };
	struct config *c = NULL;

	ck_assert_int_eq(config_load(2, argv, &c, NULL), 0);
	ck_assert_str_eq(c->state_dir, "/var/lib/coffer");
	ck_assert_str_eq(c->runtime_dir, "/run/coffer");
	ck_assert_str_eq(c->mount_folder, "/run/secrets");
	ck_assert_str_eq(c->operator_group, "coffer");
	ck_assert_ptr_null(c->keyfile);
	ck_assert(!c->audit_full_serve && !c->seal_stops && c->foreground);
	ck_assert_str_eq(c->runc_roots[0], "/run/runc");
	ck_assert_uint_ne(c->worker_uid, 0);
	config_free(c);
}
END_TEST

START_TEST(every_key_is_taken_over)
{
	struct config *c = NULL;
	struct err e = { 0 };

	write_config(
		"{\"state_dir\":\"/s\",\"runtime_dir\":\"/r\",\"keyfile\":\"/k\","
		"\"mount_folder\":\"/run/x\",\"worker_path\":\"/w\",\"worker_user\":\"nobody\","
		"\"operator_group\":\"ops\",\"audit_when_full\":\"serve\",\"on_seal\":\"stop\","
		"\"runc_roots\":[\"/a\",\"/b\"],\"connections_max\":5,\"calls_per_second\":6,"
		"\"containers_max\":7,\"audit_budget\":80,\"crash_pause_seconds\":9,"
		"\"wait\":[{\"runtime\":\"docker\",\"label\":\"k=v=w\"},{\"unit\":\"u\"}]}");
	ck_assert_msg(load(&c, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c->state_dir, "/s");
	ck_assert_str_eq(c->runtime_dir, "/r");
	ck_assert_str_eq(c->keyfile, "/k");
	ck_assert_str_eq(c->mount_folder, "/run/x");
	ck_assert_str_eq(c->worker_path, "/w");
	ck_assert_str_eq(c->operator_group, "ops");
	ck_assert(c->audit_full_serve && c->seal_stops);
	ck_assert_str_eq(c->runc_roots[1], "/b");
	ck_assert_ptr_null(c->runc_roots[2]);
	ck_assert_uint_eq(c->connections_max, 5);
	ck_assert_uint_eq(c->calls_per_second, 6);
	ck_assert_uint_eq(c->containers_max, 7);
	ck_assert_uint_eq(c->audit_budget, 80);
	ck_assert_uint_eq(c->crash_pause_s, 9);
	ck_assert_uint_eq(c->waits, 2);
	ck_assert_str_eq(c->wait[0].label_key, "k");
	ck_assert_str_eq(c->wait[0].label_value, "v=w");
	ck_assert_str_eq(c->wait[1].unit, "u");
	config_free(c);
}
END_TEST

static const struct wrong {
	const char *text, *names;
} wrong[] = {
	{ "", "config.json" },
	{ "[]", "config.json" },
	{ "{\"mount_foldr\":\"/x\"}", "mount_foldr" },
	{ "{\"mount_folder\":1}", "mount_folder" },
	{ "{\"mount_folder\":\"x\"}", "mount_folder" },
	{ "{\"mount_folder\":\"/\"}", "mount_folder" },
	{ "{\"mount_folder\":\"/run/../etc\"}", "mount_folder" },
	{ "{\"mount_folder\":\"/run//x\"}", "mount_folder" },
	{ "{\"worker_user\":\"root\"}", "root" },
	{ "{\"audit_when_full\":\"drop\"}", "audit_when_full" },
	{ "{\"connections_max\":0}", "connections_max" },
	{ "{\"connections_max\":\"64\"}", "connections_max" },
	{ "{\"runc_roots\":\"/run/runc\"}", "runc_roots" },
	{ "{\"runc_roots\":[1]}", "runc_roots" },
	{ "{\"wait\":[{}]}", "wait" },
	{ "{\"wait\":[{\"name\":\"x\"}]}", "wait" },
	{ "{\"wait\":[{\"label\":\"x\"}]}", "label" },
	{ "{\"on_seal\":\"stop\",\"on_seal\":\"serve\"}", "config.json" },
};

START_TEST(a_wrong_key_or_value_is_named)
{
	struct config *c = NULL;
	struct err e = { 0 };

	write_config(wrong[_i].text);
	ck_assert_msg(load(&c, &e) < 0, "taken: %s", wrong[_i].text);
	ck_assert_msg(strstr(e.text, wrong[_i].names) != NULL, "%s: %s", wrong[_i].text, e.text);
}
END_TEST

START_TEST(a_file_that_others_may_write_is_refused)
{
	struct config *c = NULL;
	struct err e = { 0 };

	write_config("{}");
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(load(&c, &e), -EPERM);
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(chown(path, 1000, 0), 0);
	ck_assert_int_eq(load(&c, &e), -EPERM);
}
END_TEST

START_TEST(an_option_wins_over_the_file)
{
	char program[] = "cofferd", option[] = "--config", state[] = "--state-dir=/other/";
	char *argv[] = { program, option, path, state, NULL };
	struct config *c = NULL;

	write_config("{\"state_dir\":\"/s\"}");
	ck_assert_int_eq(config_load(4, argv, &c, NULL), 0);
	ck_assert_str_eq(c->state_dir, "/other");
	config_free(c);
}
END_TEST

START_TEST(wrong_usage_is_told_apart)
{
	char program[] = "cofferd", unknown[] = "--frobnicate", extra[] = "start",
	     help[] = "--help";
	struct config *c = NULL;

	ck_assert_int_eq(config_load(2, (char *[]){ program, unknown, NULL }, &c, NULL), 2);
	ck_assert_int_eq(config_load(2, (char *[]){ program, extra, NULL }, &c, NULL), 2);
	ck_assert_int_eq(config_load(2, (char *[]){ program, help, NULL }, &c, NULL), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *t = tcase_create("config");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, defaults_need_no_file);
	tcase_add_test(t, every_key_is_taken_over);
	tcase_add_loop_test(t, a_wrong_key_or_value_is_named, 0, ARRAY_LEN(wrong));
	tcase_add_test(t, a_file_that_others_may_write_is_refused);
	tcase_add_test(t, an_option_wins_over_the_file);
	tcase_add_test(t, wrong_usage_is_told_apart);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
