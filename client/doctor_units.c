/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The units of Coffer's as systemd puts them together (systemd.unit(5)): the file of the first folder
 * that has it, then drop-ins, sorted by name over all folders, of which one in an earlier folder hides
 * its namesakes. Read from files, whether systemd has read them yet or not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "doctor.h"

#define SETTING_MAX 2048 /* of a setting's text that is looked at */
#define DROP_INS_MAX 256

static const char *const unit_folders[] = { "/etc/systemd/system", "/run/systemd/system",
	                                    "/usr/local/lib/systemd/system",
	                                    "/usr/lib/systemd/system", "/lib/systemd/system" };

struct unit {
	char before[SETTING_MAX], requires[SETTING_MAX];
	char kill_mode[64], fds[64];
};

static const struct {
	const char *section, *key;
	size_t at, size; /* in struct unit */
	bool is_list;    /* of units: these add up, and cannot be taken away again */
} settings[] = {
	{ "[Unit]", "Before", offsetof(struct unit, before), SETTING_MAX, true },
	{ "[Unit]", "Requires", offsetof(struct unit, requires), SETTING_MAX, true },
	{ "[Service]", "KillMode", offsetof(struct unit, kill_mode), 64, false },
	{ "[Service]", "FileDescriptorStoreMax", offsetof(struct unit, fds), 64, false },
};

/* Without white space at both ends; in place. */
static char *strip(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	for (len = strlen(text); len > 0 && strchr(" \t\r", text[len - 1]); len--)
		;
	text[len] = '\0';
	return text;
}

/* Settings that nothing stands behind are none: of those looked at here, none can be unset. */
static void take_setting(struct unit *unit, const char *section, const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(settings) && *value; i++) {
		char *text = (char *)unit + settings[i].at;
		size_t used = settings[i].is_list ? strlen(text) : 0;

		if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].key, key) == 0)
			snprintf(text + used, settings[i].size - used, "%s%s", used ? " " : "",
			         value);
	}
}

/* A unit's file or a drop-in. Lines may go on after a backslash, and comments do not. */
static void take_text(struct unit *unit, char *text)
{
	char whole[SETTING_MAX] = "", section[64] = "", *line, *equals;

	while ((line = strsep(&text, "\n"))) {
		size_t used = strlen(whole);
		bool goes_on;

		line = strip(line);
		if (*line == '#' || *line == ';')
			continue;
		goes_on = doctor_ends_with(line, "\\");
		if (goes_on)
			line[strlen(line) - 1] = ' ';
		snprintf(whole + used, sizeof(whole) - used, "%s", line);
		if (goes_on && text)
			continue;
		line = strip(whole);
		equals = strchr(line, '=');
		if (*line == '[') {
			snprintf(section, sizeof(section), "%s", line);
		} else if (equals) {
			*equals = '\0';
			take_setting(unit, section, strip(line), strip(equals + 1));
		}
		whole[0] = '\0';
	}
}

struct drop_ins {
	size_t count;
	char *path[DROP_INS_MAX]; /* owned */
};

static const char *name_in(const char *path)
{
	return strrchr(path, '/') + 1;
}

static void visit_drop_in(struct doctor *d, const char *path, void *arg)
{
	struct drop_ins *found = arg;

	for (size_t i = 0; i < found->count; i++)
		if (strcmp(name_in(found->path[i]), name_in(path)) == 0)
			return;
	if (found->count < DROP_INS_MAX && (found->path[found->count] = strdup(path)))
		found->count++;
}

static void find_drop_ins(struct doctor *d, const char *stem, const char *type,
                          struct drop_ins *found)
{
	char below[DOCTOR_PATH_MAX], path[DOCTOR_PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(unit_folders); i++) {
		snprintf(below, sizeof(below), "%s/%s%s.d", unit_folders[i], stem, type);
		doctor_each_file(d, doctor_path(d, below, path), ".conf", visit_drop_in, found);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(name_in(*(char *const *)a), name_in(*(char *const *)b));
}

/* Those of "a-b.service" are in a-b.service.d, a-.service.d and service.d. */
static void take_drop_ins(struct doctor *d, const char *name, struct unit *unit)
{
	struct drop_ins found = { 0 };
	const char *type = strrchr(name, '.');
	char stem[128];

	find_drop_ins(d, name, "", &found);
	for (const char *at = type - 1; at > name; at--) {
		if (*at != '-')
			continue;
		snprintf(stem, sizeof(stem), "%.*s", (int)(at + 1 - name), name);
		find_drop_ins(d, stem, type, &found);
	}
	find_drop_ins(d, "", type + 1, &found);
	qsort(found.path, found.count, sizeof(*found.path), by_name);
	for (size_t i = 0; i < found.count; i++) {
		SCOPED(free_ptr) char *text = NULL;
		size_t size = 0;

		/* A link to /dev/null is no file: it hides its namesakes, and says nothing. */
		if (doctor_read(found.path[i], &text, &size) == 0)
			take_text(unit, text);
		free(found.path[i]);
	}
}

/* False: there is none, and that is told. */
static bool read_unit(struct doctor *d, const char *name, struct unit *unit)
{
	static const struct doctor_advice missing = {
		"nothing starts the broker before the engines when the host boots, or it cannot "
		"start",
		"install the units that came with this Coffer"
	};
	char below[DOCTOR_PATH_MAX], path[DOCTOR_PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(unit_folders); i++) {
		SCOPED(free_ptr) char *text = NULL;
		size_t len = 0;

		snprintf(below, sizeof(below), "%s/%s", unit_folders[i], name);
		if (doctor_read(doctor_path(d, below, path), &text, &len) < 0)
			continue;
		take_text(unit, text);
		take_drop_ins(d, name, unit);
		return true;
	}
	doctor_found(d, DOCTOR_WARNING, &missing, "there is no unit %s", name);
	return false;
}

static bool is_wanted(const struct doctor *d, const char *link)
{
	char below[DOCTOR_PATH_MAX], path[DOCTOR_PATH_MAX];
	struct stat st;

	snprintf(below, sizeof(below), "/etc/systemd/system/%s", link);
	return lstat(doctor_path(d, below, path), &st) == 0;
}

static void check_kill_mode(struct doctor *d, const char *name, const struct unit *unit)
{
	static const struct doctor_advice kill = {
		"a restart of the broker would end the workers, and every mount with them",
		"take the unit that came with this Coffer, or set KillMode=process in a drop-in"
	};

	if (strcmp(unit->kill_mode, "process") != 0)
		doctor_found(d, DOCTOR_ERROR, &kill, "%s has KillMode=%s", name,
		             unit->kill_mode[0] ? unit->kill_mode : "control-group");
}

static void check_broker_unit(struct doctor *d, const struct unit *unit)
{
	static const struct doctor_advice order = {
		"engines restart their containers as soon as they are up; secrets must be there "
		"first",
		"take the unit that came with this Coffer, or add it in a drop-in"
	};
	static const struct doctor_advice fds = {
		"where broker and workers end at once, the descriptor store keeps mounts alive",
		"take the unit that came with this Coffer, or set FileDescriptorStoreMax=12288"
	};

	if (!strstr(unit->before, "docker.service") || !strstr(unit->before, "containerd.service"))
		doctor_found(d, DOCTOR_WARNING, &order,
		             "cofferd.service is not ordered before the engines");
	if (strtol(unit->fds, NULL, 10) < 3)
		doctor_found(d, DOCTOR_WARNING, &fds, "cofferd.service keeps no descriptors");
	check_kill_mode(d, "cofferd.service", unit);
}

void check_units(struct doctor *d)
{
	static const struct doctor_advice without = {
		"if broker and worker end at the same moment, their mounts are lost and are made "
		"anew; nothing starts the broker again by itself",
		"have something start cofferd again at once (docs/operations.md, \"Without a "
		"service manager\")"
	};
	static const struct doctor_advice disabled = {
		"after the next boot containers start without their secrets",
		"systemctl enable --now cofferd"
	};
	struct unit broker = { "" }, spawner = { "" }, socket = { "" };
	char path[DOCTOR_PATH_MAX];

	if (access(doctor_path(d, "/run/systemd/system", path), F_OK) < 0) {
		doctor_found(d, DOCTOR_NOTE, &without, "systemd does not run this host");
		return;
	}
	if (!read_unit(d, "cofferd.service", &broker))
		return;
	if (!is_wanted(d, "multi-user.target.wants/cofferd.service"))
		doctor_found(d, DOCTOR_WARNING, &disabled, "cofferd.service is not enabled");
	if (!is_wanted(d, "sockets.target.wants/cofferd.socket"))
		doctor_found(d, DOCTOR_WARNING, &disabled, "cofferd.socket is not enabled");
	check_broker_unit(d, &broker);
	/* The half that starts the workers, where it is a unit of its own. */
	if (!strstr(broker.requires, "coffer-spawner.socket"))
		return;
	(void)read_unit(d, "coffer-spawner.socket", &socket);
	if (read_unit(d, "coffer-spawner.service", &spawner))
		check_kill_mode(d, "coffer-spawner.service", &spawner);
}
