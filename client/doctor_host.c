/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host does around Coffer: swap, core files, the list of containers that must wait.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "doctor.h"
#include "hook_wait.h"

#define STACK_MAX 8 /* of devices on devices: LVM on LUKS on RAID is three */

static bool swap_is_safe(const struct doctor *d, const char *name, int depth);

/* All that a device lies upon. One that lies upon nothing is a disk. */
static bool slaves_are_safe(const struct doctor *d, const char *name, int depth)
{
	char below[DOCTOR_PATH_MAX], path[DOCTOR_PATH_MAX];
	struct dirent *entry;
	bool safe = true;
	size_t slaves = 0;
	DIR *dir;

	snprintf(below, sizeof(below), "/sys/class/block/%s/slaves", name);
	dir = opendir(doctor_path(d, below, path));
	while (dir && safe && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		slaves++;
		safe = swap_is_safe(d, entry->d_name, depth + 1);
	}
	if (dir)
		closedir(dir);
	return safe && slaves > 0;
}

/* A device that is memory, or encrypted, or lies upon such ones alone. `name`: "dm-0". */
static bool swap_is_safe(const struct doctor *d, const char *name, int depth)
{
	char below[DOCTOR_PATH_MAX], path[DOCTOR_PATH_MAX];
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;

	if (strncmp(name, "zram", 4) == 0)
		return true;
	snprintf(below, sizeof(below), "/sys/class/block/%s/dm/uuid", name);
	if (doctor_read(doctor_path(d, below, path), &text, &len) == 0 &&
	    strncmp(text, "CRYPT-", 6) == 0)
		return true;
	return depth < STACK_MAX && slaves_are_safe(d, name, depth);
}

void check_swap(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"Coffer's own memory is locked, but what a program in a container has read can be "
		"swapped out, and stays on that disk",
		"encrypt it (a random key in /etc/crypttab), use zram, or swapoff"
	};
	static const struct doctor_advice file = {
		"what a program in a container has read can be swapped out: it is as safe there as "
		"the file system is that the file lies on",
		"nothing if that is encrypted; otherwise swap to an encrypted device or zram"
	};
	char path[DOCTOR_PATH_MAX], *state = NULL;
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;

	if (doctor_read(doctor_path(d, "/proc/swaps", path), &text, &len) < 0)
		return;
	/* A heading, then one line for each: its name first. */
	strtok_r(text, "\n", &state);
	for (char *line; (line = strtok_r(NULL, "\n", &state));) {
		size_t end = strcspn(line, " \t");
		bool is_file = strncmp(line + end + strspn(line + end, " \t"), "file", 4) == 0;
		const char *name;

		line[end] = '\0';
		name = strrchr(line, '/');
		if (is_file)
			doctor_found(
				d, DOCTOR_NOTE, &file,
				"swap is in the file %s: whether it is encrypted cannot be told",
				line);
		else if (!name || !swap_is_safe(d, name + 1, 0))
			doctor_found(d, DOCTOR_NOTE, &advice, "swap on %s is not encrypted", line);
	}
}

void check_core(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"Coffer's own processes leave no core files, but a program in a container that "
		"crashes hands its memory, with what it has read, to that program of the host",
		"see that what it keeps is root's only, or set LimitCORE=0 for containers that "
		"read secrets"
	};
	char path[DOCTOR_PATH_MAX];
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;

	if (doctor_read(doctor_path(d, "/proc/sys/kernel/core_pattern", path), &text, &len) < 0 ||
	    text[0] != '|')
		return;
	text[strcspn(text, " \n")] = '\0';
	doctor_found(d, DOCTOR_NOTE, &advice, "core files are piped to %s", text + 1);
}

void check_must_wait(struct doctor *d)
{
	static const struct doctor_advice open_to = {
		"whoever may write it decides which containers start without their secrets; the "
		"hook refuses to use it, and then no container starts while the broker is away",
		"chown root:root, chmod 0644 (or 0600)"
	};
	static const struct doctor_advice bad = {
		"the hook cannot tell which containers must wait, and lets none start while the "
		"broker is away or sealed",
		"mend it: an array of objects as in docs/configuration.md, \"wait\""
	};
	SCOPED(json_ptr) json_t *list = NULL;
	SCOPED(free_ptr) char *text = NULL;
	char path[DOCTOR_PATH_MAX];
	struct err why = { 0 };
	struct stat st;
	size_t len = 0;
	int r;

	if (stat(doctor_path(d, d->must_wait, path), &st) < 0)
		return;
	if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		doctor_found(d, DOCTOR_ERROR, &open_to, "%s can be written by others than root",
		             path);
	r = doctor_read(path, &text, &len);
	if (r == -EACCES)
		return; /* root's only, and we are not root */
	if (r == 0)
		r = hook_wait_parse(text, len, &list, &why);
	else
		err_errno(&why, r, "it cannot be read");
	if (r < 0)
		doctor_found(d, DOCTOR_ERROR, &bad, "%s: %s", path, why.text);
}
