/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/paths.h"
#include "attach/proc.h"
#include "coffer/cleanup.h"

static const struct {
	const char *name, *text;
	int result;
	uint32_t lines;
	int root_result;
	uint32_t root;
} maps[] = {
	{ "the host's", "         0          0 4294967295\n", 0, 1, 0, 0 },
	{ "a container's", "         0     100000      65536\n", 0, 1, 0, 100000 },
	{ "rootless", "1 100000 65536\n0 1000 1\n", 0, 2, 0, 1000 },
	{ "without root", "5 100000 10\n", 0, 1, -ERANGE, 0 },
	{ "empty", "", 0, 0, -ERANGE, 0 },
	{ "two numbers", "0 100000\n", -EBADMSG, 0, -EBADMSG, 0 },
	{ "four numbers", "0 100000 1 1\n", -EBADMSG, 0, -EBADMSG, 0 },
	{ "negative", "0 -1 1\n", -EBADMSG, 0, -EBADMSG, 0 },
	{ "too large", "0 4294967296 1\n", -EBADMSG, 0, -EBADMSG, 0 },
	{ "far too large", "0 99999999999999999999999 1\n", -EBADMSG, 0, -EBADMSG, 0 },
	{ "no newline", "0 0 1", -EBADMSG, 0, -EBADMSG, 0 },
	{ "of nothing", "0 0 0\n", -EBADMSG, 0, -EBADMSG, 0 },
};

START_TEST(id_maps_are_read_as_the_kernel_writes_them)
{
	struct facts_map map[ATTACH_MAPS_MAX];
	uint32_t lines = 0, root = 0;

	ck_assert_msg(proc_parse_map(maps[_i].text, map, &lines) == maps[_i].result, "%s",
	              maps[_i].name);
	ck_assert_msg(lines == maps[_i].lines, "%s: %u lines", maps[_i].name, lines);
	ck_assert_msg(proc_map_root(maps[_i].text, &root) == maps[_i].root_result &&
	                      root == maps[_i].root,
	              "%s: root %u", maps[_i].name, root);
}
END_TEST

START_TEST(id_map_lines_beyond_the_limit_count_as_unmapped)
{
	struct facts_map map[ATTACH_MAPS_MAX + 1];
	char text[340 * 32];
	size_t at = 0;
	uint32_t lines = 0;

	map[ATTACH_MAPS_MAX].count = 77;
	for (int i = 0; i < 340; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%d %d 1\n", i, i + 100000);
	ck_assert_int_eq(proc_parse_map(text, map, &lines), 0);
	ck_assert_uint_eq(lines, ATTACH_MAPS_MAX);
	ck_assert_uint_eq(map[ATTACH_MAPS_MAX].count, 77);
}
END_TEST

static const struct {
	const char *name, *path, *unit; /* NULL: none */
	unsigned int below;
} units[] = {
	{ "service", "/system.slice/nginx.service", "nginx.service", 0 },
	{ "nested slice", "/system.slice/system-getty.slice/getty@tty1.service",
	  "getty@tty1.service", 0 },
	{ "delegated", "/system.slice/web.service/a/b", "web.service", 2 },
	{ "user manager is the unit",
	  "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "user@1000.service",
	  2 },
	{ "session", "/user.slice/user-0.slice/session-3.scope", "session-3.scope", 0 },
	{ "machine", "/machine.slice/machine-a.scope/payload/system.slice/sshd.service",
	  "machine-a.scope", 3 },
	{ "top level", "/init.scope", "init.scope", 0 },
	{ "escaped by systemd", "/system.slice/_cpu.service", "cpu.service", 0 },
	{ "forged below a container's", "/docker/0123/system.slice/nginx.service", NULL, 0 },
	{ "forged below a service", "/system.slice/evil.service/system.slice/nginx.service",
	  "evil.service", 2 },
	{ "slice only", "/system.slice", NULL, 0 },
	{ "root", "/", NULL, 0 },
	{ "empty", "", NULL, 0 },
	{ "no slash", "system.slice/x.service", NULL, 0 },
	{ "empty component", "/system.slice//x.service", NULL, 0 },
	{ "parent", "/system.slice/../x.service", NULL, 0 },
	{ "newline", "/system.slice/a\nb.service", NULL, 0 },
	{ "blank", "/system.slice/a b.service", NULL, 0 },
	{ "colon is allowed", "/system.slice/a:b.service", "a:b.service", 0 },
	{ "removed", "/system.slice/x.service (deleted)", NULL, 0 },
	{ "suffix only", "/system.slice/.service", NULL, 0 },
	{ "slice with a blank", "/a b.slice/x.service", NULL, 0 },
};

START_TEST(unit_is_the_first_component_below_slices)
{
	char unit[UNIT_NAME_MAX + 1] = "untouched";
	unsigned int below = 0;
	int r = proc_unit_of_cgroup(units[_i].path, unit, &below);

	if (!units[_i].unit) {
		ck_assert_msg(r == -ENOENT, "%s: %s", units[_i].name, unit);
		ck_assert_str_eq(unit, "untouched");
		return;
	}
	ck_assert_msg(r == 0 && strcmp(unit, units[_i].unit) == 0 && below == units[_i].below,
	              "%s: %s, %u below", units[_i].name, unit, below);
}
END_TEST

START_TEST(unit_names_longer_than_a_file_name_are_none)
{
	char path[600] = "/system.slice/", unit[UNIT_NAME_MAX + 1];
	unsigned int below;
	size_t at = strlen(path);

	memset(path + at, 'a', 248);
	strcpy(path + at + 248, ".service");
	ck_assert_int_eq(proc_unit_of_cgroup(path, unit, &below), -ENOENT);
}
END_TEST

static const struct {
	const char *name, *text;
	int result;
	pid_t parent;
	bool kernel;
} stats[] = {
	{ "plain", "42 (sh) S 7 42 42 0 -1 4194560 1 2", 0, 7, false },
	{ "kernel thread", "9 (kthreadd) S 2 0 0 0 -1 2129984 0 0", 0, 2, true },
	{ "name that looks like fields", "42 (x) S 1 1 1 1 1 2129984 (y) R 7 42 42 0 -1 4194560 1",
	  0, 7, false },
	{ "cut", "42 (sh) S 7", -EBADMSG, 0, false },
	{ "no name", "42 S 7 42 42 0 -1 0 0", -EBADMSG, 0, false },
	{ "empty", "", -EBADMSG, 0, false },
};

START_TEST(a_process_cannot_hide_its_parent_behind_its_name)
{
	struct proc_stat stat = { 0 };

	ck_assert_msg(proc_parse_stat(stats[_i].text, &stat) == stats[_i].result, "%s",
	              stats[_i].name);
	ck_assert_msg(stat.parent == stats[_i].parent && stat.kernel_thread == stats[_i].kernel,
	              "%s: %d", stats[_i].name, stat.parent);
}
END_TEST

START_TEST(nspid_gives_depth_and_innermost_pid)
{
	pid_t last = 0;

	ck_assert_int_eq(proc_parse_nspid("Name:\tsh\nNSpid:\t812\t1\nNSpgid:\t1\n", &last), 2);
	ck_assert_int_eq(last, 1);
	ck_assert_int_eq(proc_parse_nspid("Name:\tsh\nNSpid:\t812\nNSpgid:\t1\n", &last), 1);
	ck_assert_int_eq(last, 812);
	ck_assert_int_eq(proc_parse_nspid("Name:\tNSpid:\t1\t1\n", &last), -EBADMSG);
	ck_assert_int_eq(proc_parse_nspid("Name:\tx\nNSpid:\n", &last), -EBADMSG);
	ck_assert_int_eq(proc_parse_nspid("Name:\tx\nNSpid:\t1 x\n", &last), -EBADMSG);
	ck_assert_int_eq(proc_parse_nspid("", &last), -EBADMSG);
}
END_TEST

static const char mountinfo[] = "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
				"23 27 0:22 / /run rw shared:4 master:1 - tmpfs tmpfs rw\n"
				"24 27 0:23 / /a\\040shared:9 rw master:7 - tmpfs shared:9 rw\n"
				"25 27 0:24 / /b rw propagate_from:2 shared:1 - tmpfs x rw\n";

START_TEST(propagation_is_read_from_the_optional_fields_only)
{
	ck_assert_int_eq(proc_mount_is_shared(mountinfo, 22), 0);
	ck_assert_int_eq(proc_mount_is_shared(mountinfo, 23), 1);
	ck_assert_int_eq(proc_mount_is_shared(mountinfo, 24), 0);
	ck_assert_int_eq(proc_mount_is_shared(mountinfo, 25), 1);
	ck_assert_int_eq(proc_mount_is_shared(mountinfo, 2), -ENOENT);
	ck_assert_int_eq(proc_mount_is_shared("22 27 0:21 / /proc rw\n", 22), -EBADMSG);
	ck_assert_int_eq(proc_mount_is_shared("garbage\n", 22), -EBADMSG);
}
END_TEST

static const struct {
	const char *path;
	bool folder, below;
} paths[] = {
	{ "/run/secrets", true, false },
	{ "/secrets", true, false },
	{ "run/secrets", false, true },
	{ "a", false, true },
	{ "", false, false },
	{ "/", false, false },
	{ "/run/secrets/", false, false },
	{ "/run//secrets", false, false },
	{ "/run/../secrets", false, false },
	{ "../a", false, false },
	{ "a/..", false, false },
	{ "./a", false, false },
	{ ".coffer-0/11", false, true },
	{ "...", false, true },
};

START_TEST(paths_that_climb_are_refused)
{
	ck_assert_msg(paths_folder_ok(paths[_i].path) == paths[_i].folder, "%s", paths[_i].path);
	ck_assert_msg(paths_below_ok(paths[_i].path) == paths[_i].below, "%s", paths[_i].path);
}
END_TEST

START_TEST(paths_are_split_at_the_last_slash)
{
	char folder[ATTACH_TEXT_MAX];

	ck_assert_str_eq(paths_split("a/b/c", folder), "c");
	ck_assert_str_eq(folder, "a/b");
	ck_assert_str_eq(paths_split("c", folder), "c");
	ck_assert_str_eq(folder, ".");
	ck_assert_str_eq(paths_split("/run", folder), "run");
	ck_assert_str_eq(folder, "");
}
END_TEST

#define LIMITS_HEAD \
	"Limit                     Soft Limit           Hard Limit           Units     \n"

START_TEST(limits_are_read_by_their_columns)
{
	static const struct {
		const char *text;
		int result;
		rlim_t soft, hard;
	} rows[] = {
		{ LIMITS_HEAD "Max cpu time              unlimited            unlimited            "
		              "seconds   \n",
		  0, RLIM_INFINITY, RLIM_INFINITY },
		{ LIMITS_HEAD "Max open files            1024                 524288               "
		              "files     \n",
		  0, 1024, 524288 },
		{ LIMITS_HEAD
		  "Max nice priority         0                    0                    \n",
		  0, 0, 0 },
		{ LIMITS_HEAD, -EBADMSG, 0, 0 },
		{ "", -EBADMSG, 0, 0 },
		{ LIMITS_HEAD "Max cpu time              unlimited", -EBADMSG, 0, 0 },
		{ LIMITS_HEAD
		  "Max cpu time              x                    y                    seconds\n",
		  -EBADMSG, 0, 0 },
		{ LIMITS_HEAD
		  "Max cpu time              99999999999999999999 1                    seconds\n",
		  -EBADMSG, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rlimit limit = { 0 };

		ck_assert_msg(proc_parse_limits(rows[i].text, &limit, 1) == rows[i].result,
		              "row %zu", i);
		if (rows[i].result == 0)
			ck_assert(limit.rlim_cur == rows[i].soft && limit.rlim_max == rows[i].hard);
	}
}
END_TEST

START_TEST(signal_masks_are_read)
{
	static const char status[] =
		"Name:\tSigCgt:\nSigQ:\t1/"
		"2\nSigBlk:\t0000000000000001\nSigCgt:\t0000000180014a03\nEnd:\n";
	uint64_t mask = 0;

	ck_assert_int_eq(proc_parse_mask(status, "SigCgt", &mask), 0);
	ck_assert_uint_eq(mask, 0x180014a03);
	ck_assert_int_eq(proc_parse_mask(status, "SigBlk", &mask), 0);
	ck_assert_uint_eq(mask, 1);
	ck_assert_int_eq(proc_parse_mask(status, "SigIgn", &mask), -EBADMSG);
	ck_assert_int_eq(proc_parse_mask("\nSigIgn:\tx\n", "SigIgn", &mask), -EBADMSG);
	ck_assert_int_eq(proc_parse_mask("\nSigIgn:\t1g\n", "SigIgn", &mask), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proc");
	TCase *tests = tcase_create("proc");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, id_maps_are_read_as_the_kernel_writes_them, 0,
	                    (int)ARRAY_LEN(maps));
	tcase_add_test(tests, id_map_lines_beyond_the_limit_count_as_unmapped);
	tcase_add_loop_test(tests, unit_is_the_first_component_below_slices, 0,
	                    (int)ARRAY_LEN(units));
	tcase_add_test(tests, unit_names_longer_than_a_file_name_are_none);
	tcase_add_loop_test(tests, a_process_cannot_hide_its_parent_behind_its_name, 0,
	                    (int)ARRAY_LEN(stats));
	tcase_add_test(tests, nspid_gives_depth_and_innermost_pid);
	tcase_add_test(tests, propagation_is_read_from_the_optional_fields_only);
	tcase_add_loop_test(tests, paths_that_climb_are_refused, 0, (int)ARRAY_LEN(paths));
	tcase_add_test(tests, paths_are_split_at_the_last_slash);
	tcase_add_test(tests, limits_are_read_by_their_columns);
	tcase_add_test(tests, signal_masks_are_read);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
