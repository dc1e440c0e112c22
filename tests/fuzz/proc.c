/* SPDX-License-Identifier: Apache-2.0 */
/* The readers of /proc's texts: each gets every text. What they take, they take as it stands. */
#include "attach/proc.h"

#include <errno.h>
#include <inttypes.h>

#include "fuzz.h"

/* A map that was taken reads back as the same; root is its line with inside 0. */
static void maps(const char *text)
{
	struct facts_map map[ATTACH_MAPS_MAX], again[ATTACH_MAPS_MAX];
	char written[ATTACH_MAPS_MAX * 40] = "";
	uint32_t lines = 77, lines_again = 0, root = 0, i = 0;
	int at = 0, r = proc_parse_map(text, map, &lines);

	if (r < 0) {
		MUST(r == -EBADMSG && lines == 77);
		(void)proc_map_root(text, &root); /* may find root before what is wrong */
		return;
	}
	MUST(lines <= ATTACH_MAPS_MAX);
	for (i = 0; i < lines; i++) {
		MUST(map[i].count > 0);
		at += snprintf(written + at, sizeof(written) - (size_t)at,
		               "%10" PRIu32 " %10" PRIu32 " %10" PRIu32 "\n", map[i].inside,
		               map[i].outside, map[i].count);
	}
	MUST(proc_parse_map(written, again, &lines_again) == 0 && lines_again == lines);
	MUST(memcmp(map, again, lines * sizeof(*map)) == 0);
	for (i = 0; i < lines && map[i].inside != 0;)
		i++;
	r = proc_map_root(text, &root);
	if (i < lines)
		MUST(r == 0 && root == map[i].outside);
	else
		MUST(r == -ERANGE || lines == ATTACH_MAPS_MAX);
}

/* The name in the text can't reach the fields behind it. */
static void stat_of_a_process(const char *text)
{
	struct proc_stat s = { .parent = -7 };
	const char *end = strrchr(text, ')');
	int parent = -1;

	if (proc_parse_stat(text, &s) < 0) {
		MUST(s.parent == -7);
		return;
	}
	MUST(end && sscanf(end + 3, "%d", &parent) == 1 && s.parent == parent && parent >= 0);
}

static void nspid(const char *text)
{
	pid_t last = -7;
	int count = proc_parse_nspid(text, &last);

	if (count < 0)
		MUST(count == -EBADMSG && last == -7);
	else
		MUST(count > 0 && last >= 0);
}

static void mountinfo(const char *text)
{
	uint64_t id = strtoull(text, NULL, 10);
	int r = proc_mount_is_shared(text, id);

	MUST(r == 0 || r == 1 || r == -ENOENT || r == -EBADMSG);
	if (r == 1)
		MUST(strstr(text, " shared:"));
}

static void unit(const char *text)
{
	char name[UNIT_NAME_MAX + 1] = "none";
	unsigned int below = 0, slashes = 0;
	const char *at = NULL;
	int r = proc_unit_of_cgroup(text, name, &below);

	if (r < 0) {
		MUST(r == -ENOENT && strcmp(name, "none") == 0);
		return;
	}
	MUST(proc_unit_ok(name) && fuzz_printable(name) && !strchr(name, '/'));
	at = strstr(text, name);
	MUST(text[0] == '/' && at);
	for (const char *c = strrchr(text, '/'); c >= text; c--)
		slashes += *c == '/';
	MUST(below < slashes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	maps(text);
	stat_of_a_process(text);
	nspid(text);
	mountinfo(text);
	unit(text);
	free(text);
	return 0;
}
