/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks of host and engines make of their settings, read as systemd and engines read them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "made_up_host.h"

START_TEST(swap_is_safe_where_it_is_encrypted_or_memory)
{
	file("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-1 partition 1 0 1\n"
	                    "/dev/dm-2 partition 1 0 1\n/dev/zram0 partition 1 0 1\n"
	                    "/swapfile file 1 0 1\n");
	file("/sys/class/block/dm-1/dm/uuid", "CRYPT-PLAIN-swap\n");
	file("/sys/class/block/dm-2/dm/uuid", "LVM-abc\n");
	ck_assert_uint_eq(finds("host.swap", DOCTOR_NOTE), 2);
	ck_assert_ptr_nonnull(strstr(said(), "swap on /dev/dm-2 is not encrypted"));
	ck_assert_ptr_nonnull(
		strstr(said(), "file /swapfile: whether it is encrypted cannot be told"));
	ck_assert_uint_eq(d.count[DOCTOR_WARNING] + d.count[DOCTOR_ERROR], 0);
}
END_TEST

START_TEST(swap_is_as_safe_as_all_that_it_lies_upon)
{
	file("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-2 partition 1 0 1\n");
	file("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-abc\n");
	file("/sys/class/block/dm-2/dm/uuid", "LVM-abc\n");
	file("/sys/class/block/dm-2/slaves/dm-0/dev", "");
	ck_assert_uint_eq(finds("host.swap", DOCTOR_NOTE), 0);
	file("/sys/class/block/dm-2/slaves/md0/dev", "");
	file("/sys/class/block/md0/slaves/dm-0/dev", "");
	ck_assert_uint_eq(finds("host.swap", DOCTOR_NOTE), 0);
	file("/sys/class/block/md0/slaves/sda1/dev", "");
	ck_assert_uint_eq(finds("host.swap", DOCTOR_NOTE), 1);
	/* A circle, which no kernel makes. */
	file("/sys/class/block/dm-7/slaves/dm-7/dev", "");
	file("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-7 partition 1 0 1\n");
	ck_assert_uint_eq(finds("host.swap", DOCTOR_NOTE), 1);
}
END_TEST

#define UNIT "/usr/lib/systemd/system/cofferd.service"
#define UNIT_BEGIN "[Unit]\nBefore=docker.service containerd.service\n[Service]\n"
#define UNIT_END "FileDescriptorStoreMax=12288\n"

/* Drop-ins of a unit that ends workers, and whether it still does. */
static const struct drop_in_row {
	const char *claim;
	struct {
		const char *path, *text;
	} drop_in[3];
	size_t errors;
} drop_ins[] = {
	{ "there_is_none", { { 0 } }, 1 },
	{ "a_drop_in_counts",
	  { { "/etc/systemd/system/cofferd.service.d/a.conf", "[Service]\nKillMode=process\n" } },
	  0 },
	{ "white_space_and_comments_do_not",
	  { { "/run/systemd/system/cofferd.service.d/a.conf",
	      "# [Unit]\n[Service]\n; KillMode=mixed\n  KillMode = \\\n# mixed\n process \n" } },
	  0 },
	{ "another_section_does_not_count",
	  { { "/etc/systemd/system/cofferd.service.d/a.conf",
	      "KillMode=process\n[Unit]\nKillMode=process\n" } },
	  1 },
	{ "a_comment_does_not_count",
	  { { "/etc/systemd/system/cofferd.service.d/a.conf", "[Service]\n#KillMode=process\n" } },
	  1 },
	{ "nor_does_a_file_of_another_name",
	  { { "/etc/systemd/system/cofferd.service.d/a.conf.bak",
	      "[Service]\nKillMode=process\n" } },
	  1 },
	{ "the_last_name_counts_whatever_its_folder",
	  { { "/etc/systemd/system/cofferd.service.d/a.conf", "[Service]\nKillMode=process\n" },
	    { "/usr/lib/systemd/system/cofferd.service.d/b.conf", "[Service]\nKillMode=mixed\n" } },
	  1 },
	{ "the_first_folder_hides_namesakes",
	  { { "/lib/systemd/system/cofferd.service.d/a.conf", "[Service]\nKillMode=mixed\n" },
	    { "/run/systemd/system/cofferd.service.d/a.conf", "[Service]\nKillMode=mixed\n" },
	    { "/etc/systemd/system/cofferd.service.d/a.conf", "[Service]\nKillMode=process\n" } },
	  0 },
	{ "those_of_all_services_count",
	  { { "/etc/systemd/system/service.d/a.conf", "[Service]\nKillMode=process\n" } },
	  0 },
	{ "its_own_hide_those_of_all_services",
	  { { "/etc/systemd/system/service.d/a.conf", "[Service]\nKillMode=process\n" },
	    { "/lib/systemd/system/cofferd.service.d/a.conf", "[Service]\n" } },
	  1 },
};

START_TEST(a_drop_in_counts_as_it_does_for_systemd)
{
	const struct drop_in_row *row = &drop_ins[_i];

	file("/run/systemd/system/x", "");
	file(UNIT, UNIT_BEGIN UNIT_END "KillMode=control-group\n");
	for (size_t i = 0; i < ARRAY_LEN(row->drop_in) && row->drop_in[i].path; i++)
		file(row->drop_in[i].path, row->drop_in[i].text);
	ck_assert_msg(finds("host.units", DOCTOR_ERROR) == row->errors, "%s: %s", row->claim,
	              said());
}
END_TEST

START_TEST(drop_ins_mend_what_doctor_complains_of)
{
	file("/run/systemd/system/x", "");
	file("/etc/systemd/system/multi-user.target.wants/cofferd.service", "");
	file("/etc/systemd/system/sockets.target.wants/cofferd.socket", "");
	file(UNIT, "[Unit]\nBefore=docker.service\n[Service]\nKillMode=process\n");
	ck_assert_uint_eq(finds("host.units", DOCTOR_WARNING), 2);
	file("/etc/systemd/system/cofferd.service.d/override.conf",
	     "[Unit]\nBefore=\nBefore=containerd.service\n[Service]\n" UNIT_END);
	ck_assert_uint_eq(finds("host.units", DOCTOR_WARNING), 0);
	ck_assert_uint_eq(d.count[DOCTOR_ERROR], 0);
}
END_TEST

START_TEST(the_spawners_unit_is_looked_at_where_the_broker_has_one)
{
	file("/run/systemd/system/x", "");
	file(UNIT, UNIT_BEGIN UNIT_END "KillMode=process\n");
	file("/lib/systemd/system/coffer-spawner.service", "[Service]\n");
	ck_assert_uint_eq(finds("host.units", DOCTOR_ERROR), 0);
	file("/etc/systemd/system/cofferd.service.d/a.conf",
	     "[Unit]\nRequires=coffer-spawner.socket\n");
	ck_assert_uint_eq(finds("host.units", DOCTOR_ERROR), 1);
	ck_assert_ptr_nonnull(strstr(said(), "coffer-spawner.service has KillMode=control-group"));
	ck_assert_ptr_nonnull(strstr(said(), "there is no unit coffer-spawner.socket"));
	file("/lib/systemd/system/coffer-spawner.socket", "[Socket]\n");
	file("/etc/systemd/system/coffer-.service.d/a.conf", "[Service]\nKillMode=process\n");
	ck_assert_uint_eq(finds("host.units", DOCTOR_ERROR), 0);
	ck_assert_ptr_null(strstr(said(), "there is no unit"));
}
END_TEST

START_TEST(dockers_default_runtime_is_looked_at_before_others)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/opt/coffer-runc", root);
	file("/opt/coffer-runc", "");
	ck_assert_int_eq(chmod(path, 0755), 0);
	file("/etc/docker/daemon.json", "{\"runtimes\":{\"a\":{\"path\":\"/gone/coffer-runc\"},"
	                                "\"b\":{\"path\":\"/opt/coffer-runc\"}},"
	                                "\"default-runtime\":\"b\",\"live-restore\":true}");
	finds("engine.docker", DOCTOR_NOTE);
	ck_assert_msg(json_array_size(d.findings) == 0, "%s", said());
	file("/etc/docker/daemon.json", "{\"runtimes\":{\"a\":{\"path\":\"/opt/coffer-runc\"},"
	                                "\"b\":{\"path\":\"/usr/bin/other\"}},"
	                                "\"default-runtime\":\"b\",\"live-restore\":true}");
	ck_assert_uint_eq(finds("engine.docker", DOCTOR_NOTE), 1);
}
END_TEST

START_TEST(an_engine_that_is_not_there_is_passed_over)
{
	static const char *const engines[] = { "engine.docker", "engine.podman",
		                               "engine.containerd", "engine.crio" };

	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		finds(engines[i], DOCTOR_NOTE);
		ck_assert_msg(json_array_size(d.findings) == 0, "%s", engines[i]);
	}
}
END_TEST

START_TEST(containerd_and_crio_want_the_wrapper_in_their_files)
{
	file("/etc/containerd/config.toml", "# BinaryName = \"/usr/bin/coffer-runc\"\n");
	ck_assert_uint_eq(finds("engine.containerd", DOCTOR_WARNING), 1);
	file("/usr/bin/dockerd", "");
	ck_assert_uint_eq(finds("engine.containerd", DOCTOR_NOTE), 1);
	file("/etc/containerd/config.toml", "  BinaryName = \"/usr/bin/coffer-runc\"\n");
	ck_assert_uint_eq(finds("engine.containerd", DOCTOR_NOTE), 0);
	file("/usr/bin/crio", "");
	ck_assert_uint_eq(finds("engine.crio", DOCTOR_WARNING), 1);
	file("/etc/crio/crio.conf.d/10-coffer.conf", "runtime_path = \"/usr/bin/coffer-runc\"\n");
	ck_assert_uint_eq(finds("engine.crio", DOCTOR_WARNING), 0);
}
END_TEST

START_TEST(podmans_hook_is_looked_for_where_it_looks)
{
	static const char hook[] = "{\"hook\":{\"path\":\"/usr/bin/coffer-hook\"},"
				   "\"stages\":[\"createRuntime\"]}";
	char path[128];

	file("/usr/bin/podman", "");
	file("/usr/bin/coffer-hook", "");
	snprintf(path, sizeof(path), "%s/usr/bin/coffer-hook", root);
	ck_assert_int_eq(chmod(path, 0755), 0);
	file("/srv/hooks/coffer.json", hook);
	ck_assert_uint_eq(finds("engine.podman", DOCTOR_WARNING), 1);
	file("/etc/containers/containers.conf", "[engine]\n#hooks_dir = [\"/srv/hooks\"]\n");
	ck_assert_uint_eq(finds("engine.podman", DOCTOR_WARNING), 1);
	file("/etc/containers/containers.conf",
	     "[engine]\nhooks_dir = [\n  \"/a\", \"/srv/hooks\",\n]\n");
	ck_assert_uint_eq(finds("engine.podman", DOCTOR_WARNING), 0);
	ck_assert_uint_eq(d.count[DOCTOR_ERROR], 0);
	file("/usr/share/containers/oci/hooks.d/coffer.json", hook);
	file("/etc/containers/containers.conf", "hooks_dir = []\n");
	ck_assert_uint_eq(finds("engine.podman", DOCTOR_WARNING), 1);
	file("/etc/containers/containers.conf", "");
	ck_assert_uint_eq(finds("engine.podman", DOCTOR_WARNING), 0);
}
END_TEST

/* Settings of Podman's, of which the last ones count, and whether its hook is found by them. */
static const struct settings_row {
	const char *claim;
	struct {
		const char *path, *text;
	} file[3];
	size_t warnings;
} settings[] = {
	{ "a_comment_above_hides_nothing",
	  { { "/etc/containers/containers.conf",
	      "#hooks_dir = [\"/a\"]\n# or hooks_dir\n  hooks_dir=[ \"/srv/hooks\" ]\n" } },
	  0 },
	{ "a_comment_within_names_nothing",
	  { { "/etc/containers/containers.conf",
	      "hooks_dir = [ # not ]\n  # \"/srv/hooks\",\n  \"/a\",\n]\n" } },
	  1 },
	{ "another_key_names_nothing",
	  { { "/etc/containers/containers.conf", "hooks_dirs = [\"/srv/hooks\"]\n" } },
	  1 },
	{ "a_folder_of_settings_counts",
	  { { "/etc/containers/containers.conf.d/a.conf", "hooks_dir = ['/srv/hooks']\n" } },
	  0 },
	{ "its_other_files_do_not",
	  { { "/etc/containers/containers.conf.d/a.bak", "hooks_dir = [\"/srv/hooks\"]\n" } },
	  1 },
	{ "the_distributions_settings_count",
	  { { "/usr/share/containers/containers.conf", "hooks_dir = [\"/srv/hooks\"]\n" } },
	  0 },
	{ "the_last_one_counts",
	  { { "/etc/containers/containers.conf.d/b.conf", "hooks_dir = [\"/b\"]\n" },
	    { "/etc/containers/containers.conf.d/a.conf", "hooks_dir = [\"/srv/hooks\"]\n" },
	    { "/etc/containers/containers.conf", "hooks_dir = [\"/srv/hooks\"]\n" } },
	  1 },
	{ "the_last_one_may_add",
	  { { "/etc/containers/containers.conf.d/b.conf", "hooks_dir = [\"/b\", {append=true}]\n" },
	    { "/etc/containers/containers.conf", "hooks_dir = [\"/srv/hooks\"]\n" } },
	  0 },
	{ "a_list_without_end_is_read_to_the_end",
	  { { "/etc/containers/containers.conf", "hooks_dir = [\"/srv/hooks" } },
	  0 },
};

START_TEST(podmans_settings_are_read_as_it_reads_them)
{
	const struct settings_row *row = &settings[_i];
	char path[128];

	file("/usr/bin/podman", "");
	file("/usr/bin/coffer-hook", "");
	snprintf(path, sizeof(path), "%s/usr/bin/coffer-hook", root);
	ck_assert_int_eq(chmod(path, 0755), 0);
	file("/srv/hooks/coffer.json", "{\"hook\":{\"path\":\"/usr/bin/coffer-hook\"},"
	                               "\"stages\":[\"createRuntime\"]}");
	for (size_t i = 0; i < ARRAY_LEN(row->file) && row->file[i].path; i++)
		file(row->file[i].path, row->file[i].text);
	ck_assert_msg(finds("engine.podman", DOCTOR_WARNING) == row->warnings, "%s: %s", row->claim,
	              said());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doctor_host");
	TCase *tests = tcase_create("doctor_host");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, swap_is_safe_where_it_is_encrypted_or_memory);
	tcase_add_test(tests, swap_is_as_safe_as_all_that_it_lies_upon);
	tcase_add_loop_test(tests, a_drop_in_counts_as_it_does_for_systemd, 0, ARRAY_LEN(drop_ins));
	tcase_add_test(tests, drop_ins_mend_what_doctor_complains_of);
	tcase_add_test(tests, the_spawners_unit_is_looked_at_where_the_broker_has_one);
	tcase_add_test(tests, dockers_default_runtime_is_looked_at_before_others);
	tcase_add_loop_test(tests, podmans_settings_are_read_as_it_reads_them, 0,
	                    ARRAY_LEN(settings));
	tcase_add_test(tests, an_engine_that_is_not_there_is_passed_over);
	tcase_add_test(tests, containerd_and_crio_want_the_wrapper_in_their_files);
	tcase_add_test(tests, podmans_hook_is_looked_for_where_it_looks);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
