/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host does around Coffer: service manager, swap, core files, the list of containers that
 * must wait.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "doctor.h"
#include "hook_wait.h"

/* A device that is encrypted, or memory: /proc/swaps names it by its node. */
static bool swap_is_safe(const struct doctor *d, const char *device)
{
	const char *name = strrchr(device, '/');
	char below[DOCTOR_PATH_MAX], path[DOCTOR_PATH_MAX];
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;

	if (!name)
		return false;
	if (strncmp(name + 1, "zram", 4) == 0)
		return true;
	snprintf(below, sizeof(below), "/sys/class/block%s/dm/uuid", name);
	return doctor_read(doctor_path(d, below, path), &text, &len) == 0 &&
	       strncmp(text, "CRYPT-", 6) == 0;
}

void check_swap(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"Coffer's own memory is locked, but what a program in a container has read can be "
		"swapped out, and stays on that disk",
		"encrypt it (a random key in /etc/crypttab), use zram, or swapoff"
	};
	char path[DOCTOR_PATH_MAX], *state = NULL;
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;

	if (doctor_read(doctor_path(d, "/proc/swaps", path), &text, &len) < 0)
		return;
	/* A heading, then one line for each: its name first. */
	strtok_r(text, "\n", &state);
	for (char *line; (line = strtok_r(NULL, "\n", &state));) {
		line[strcspn(line, " \t")] = '\0';
		if (!swap_is_safe(d, line))
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

/* --- systemd --- */

static const char *const unit_folders[] = { "/etc/systemd/system", "/run/systemd/system",
	                                    "/usr/local/lib/systemd/system",
	                                    "/usr/lib/systemd/system", "/lib/systemd/system" };

/* The unit's text, from the first folder that has it. Caller frees. */
static char *read_unit(const struct doctor *d, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(unit_folders); i++) {
		char below[DOCTOR_PATH_MAX], path[DOCTOR_PATH_MAX], *text = NULL;
		size_t len = 0;

		snprintf(below, sizeof(below), "%s/%s", unit_folders[i], name);
		if (doctor_read(doctor_path(d, below, path), &text, &len) == 0)
			return text;
	}
	return NULL;
}

static bool is_wanted(const struct doctor *d, const char *link)
{
	char below[DOCTOR_PATH_MAX], path[DOCTOR_PATH_MAX];
	struct stat st;

	snprintf(below, sizeof(below), "/etc/systemd/system/%s", link);
	return lstat(doctor_path(d, below, path), &st) == 0;
}

/* The last value of a setting, "" without one. */
static void unit_setting(const char *unit, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);

	value[0] = '\0';
	for (const char *line = unit; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == '=')
			snprintf(value, size, "%.*s", (int)strcspn(line + len + 1, "\n"),
			         line + len + 1);
	}
}

static void check_unit_text(struct doctor *d, const char *unit)
{
	static const struct doctor_advice order = {
		"engines restart their containers as soon as they are up; secrets must be there "
		"first",
		"take the unit that came with this Coffer, or add it in a drop-in"
	};
	static const struct doctor_advice kill = {
		"a restart of the broker would end the workers, and every mount with them",
		"take the unit that came with this Coffer, or set KillMode=process in a drop-in"
	};
	static const struct doctor_advice fds = {
		"where broker and workers end at once, the descriptor store keeps mounts alive",
		"take the unit that came with this Coffer, or set FileDescriptorStoreMax=12288"
	};
	char value[1024];

	unit_setting(unit, "Before", value, sizeof(value));
	if (!strstr(value, "docker.service") || !strstr(value, "containerd.service"))
		doctor_found(d, DOCTOR_WARNING, &order,
		             "cofferd.service is not ordered before the engines");
	unit_setting(unit, "KillMode", value, sizeof(value));
	if (strcmp(value, "process") != 0)
		doctor_found(d, DOCTOR_ERROR, &kill, "cofferd.service has KillMode=%s",
		             value[0] ? value : "control-group");
	unit_setting(unit, "FileDescriptorStoreMax", value, sizeof(value));
	if (strtol(value, NULL, 10) < 3)
		doctor_found(d, DOCTOR_WARNING, &fds, "cofferd.service keeps no descriptors");
}

void check_units(struct doctor *d)
{
	static const struct doctor_advice without = {
		"if broker and worker end at the same moment, their mounts are lost and are made "
		"anew; nothing starts the broker again by itself",
		"have something start cofferd again at once (docs/operations.md, \"Without a "
		"service manager\")"
	};
	static const struct doctor_advice missing = {
		"nothing starts the broker before the engines when the host boots",
		"install the units that came with this Coffer"
	};
	static const struct doctor_advice disabled = {
		"after the next boot containers start without their secrets",
		"systemctl enable --now cofferd"
	};
	char path[DOCTOR_PATH_MAX];
	SCOPED(free_ptr) char *unit = NULL;

	if (access(doctor_path(d, "/run/systemd/system", path), F_OK) < 0) {
		doctor_found(d, DOCTOR_NOTE, &without, "systemd does not run this host");
		return;
	}
	unit = read_unit(d, "cofferd.service");
	if (!unit) {
		doctor_found(d, DOCTOR_WARNING, &missing, "there is no unit cofferd.service");
		return;
	}
	if (!is_wanted(d, "multi-user.target.wants/cofferd.service"))
		doctor_found(d, DOCTOR_WARNING, &disabled, "cofferd.service is not enabled");
	if (!is_wanted(d, "sockets.target.wants/cofferd.socket"))
		doctor_found(d, DOCTOR_WARNING, &disabled, "cofferd.socket is not enabled");
	check_unit_text(d, unit);
}
