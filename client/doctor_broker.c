/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker: what it says of itself, what its process is, and who reaches it.
 */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/version.h"
#include "doctor.h"
#include "fields.h"

#define MIB ((uint64_t)1024 * 1024)
#define DISK_ERROR (4 * MIB) /* the audit log's own backlog: beyond that changes are refused */
#define DISK_WARNING (64 * MIB)
#define MEMLOCK_LEAST (64 * MIB)
#define CAP_IPC_LOCK_BIT (1ULL << 14)
#define MEMBERS_TEXT 512
#define OPERATORS "coffer" /* the group, where the configuration names no other */

void doctor_ask_broker(struct doctor *d)
{
	struct err unused = { 0 };
	int64_t pid = 0;

	if (client_call(d->client, "Status", NULL, &d->status, &d->broker) < 0)
		return;
	if (json_get_int(d->status, "pid", true, 2, INT32_MAX, &pid, NULL) == 0)
		d->broker_pid = (pid_t)pid;
	(void)client_call(d->client, "Attachments", NULL, &d->attachments, &unused);
	if (strcmp(field_text(d->status, "state"), "unsealed") == 0)
		(void)client_collect(d->client, "Grants", NULL, "grants", &d->grants, &unused);
}

void check_broker(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"containers that run read on, but none gets a new secret, and those that start now "
		"get none before it is back",
		"systemctl start cofferd, or start cofferd another way; run doctor as root or as a "
		"member of the operators' group"
	};

	if (!d->status)
		doctor_found(d, DOCTOR_ERROR, &advice, "%s", d->broker.text);
}

void check_store(struct doctor *d)
{
	static const struct doctor_advice none = { "there is nothing to be had from it",
		                                   "coffer init, or coffer restore FILE" };
	static const struct doctor_advice sealed = {
		"containers that start now get no secret, nothing can be changed, and a worker "
		"that dies has no successor",
		"coffer unseal; to unseal at boot see docs/configuration.md, \"Under systemd\""
	};
	const char *state = field_text(d->status, "state");

	if (strcmp(state, "uninitialised") == 0)
		doctor_found(d, DOCTOR_ERROR, &none, "there is no store yet");
	else if (strcmp(state, "sealed") == 0)
		doctor_found(d, DOCTOR_ERROR, &sealed, "the store is sealed");
}

void check_version(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"an upgrade was half done, or two are installed",
		"systemctl restart cofferd (no container is touched), or call the coffer that "
		"belongs to it"
	};
	const char *version = field_text(d->status, "version");

	if (d->status && strcmp(version, COFFER_VERSION) != 0)
		doctor_found(d, DOCTOR_WARNING, &advice,
		             "the broker is of version %s, this coffer of " COFFER_VERSION,
		             version);
}

static int proc_text(pid_t pid, const char *name, char **ret)
{
	char path[64];
	size_t len = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return doctor_read(path, ret, &len);
}

void check_program(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"what was installed since is not in force",
		"systemctl restart cofferd: containers read on, workers are taken over"
	};
	static const char gone[] = " (deleted)";
	char path[64], program[DOCTOR_PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/exe", d->broker_pid);
	len = d->broker_pid ? readlink(path, program, sizeof(program) - 1) : -1;
	if (len < (ssize_t)strlen(gone))
		return;
	program[len] = '\0';
	if (strcmp(program + len - strlen(gone), gone) == 0)
		doctor_found(d, DOCTOR_WARNING, &advice,
		             "the broker runs a program that was replaced or removed since");
}

void check_trouble(struct doctor *d)
{
	static const struct doctor_advice advice = { "the broker says so itself in its status",
		                                     "what the sentence says; then coffer "
		                                     "status again" };
	json_t *warning = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(d->status, "warnings"), i, warning) {
		doctor_found(d, DOCTOR_ERROR, &advice, "%s",
		             json_is_string(warning) ? json_string_value(warning) : "?");
	}
}

void check_disk(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"a full disk refuses changes, and later the audit log refuses opens; a backup "
		"needs room for a second store",
		"free some space there, or move the state folder to a larger file system"
	};
	const char *state = field_text(d->status, "state_dir");
	struct statvfs fs;
	uint64_t left;

	if (!state[0] || statvfs(state, &fs) < 0)
		return;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (left < DISK_WARNING)
		doctor_found(d, left < DISK_ERROR ? DOCTOR_ERROR : DOCTOR_WARNING, &advice,
		             "%s has %" PRIu64 " MiB left", state, left / MIB);
}

void check_memlock(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"values are kept in locked memory only; when that is used up, mounts and puts fail",
		"LimitMEMLOCK=infinity in the unit, or give cofferd CAP_IPC_LOCK"
	};
	SCOPED(free_ptr) char *limits = NULL;
	SCOPED(free_ptr) char *status = NULL;
	const char *line, *caps;
	uint64_t limit;

	if (!d->broker_pid || proc_text(d->broker_pid, "limits", &limits) < 0 ||
	    proc_text(d->broker_pid, "status", &status) < 0)
		return;
	caps = strstr(status, "CapEff:");
	if (caps && (strtoull(caps + strlen("CapEff:"), NULL, 16) & CAP_IPC_LOCK_BIT))
		return;
	line = strstr(limits, "Max locked memory");
	line = line ? line + strlen("Max locked memory") : "unlimited";
	line += strspn(line, " ");
	if (strncmp(line, "unlimited", 9) == 0)
		return;
	limit = strtoull(line, NULL, 10);
	if (limit < MEMLOCK_LEAST)
		doctor_found(d, DOCTOR_WARNING, &advice,
		             "the broker may lock %" PRIu64 " KiB of memory", limit / 1024);
}

/* Who may do what with a path of the broker's. */
static void check_mode(struct doctor *d, const char *name, mode_t type, mode_t forbidden)
{
	static const struct doctor_advice advice = {
		"whoever can write there can put a socket or a registration of their own in the "
		"place of the broker's",
		"chown root, chmod as systemd/coffer.tmpfiles says, and restart cofferd"
	};
	char path[DOCTOR_PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s%s", d->client->runtime_dir, name[0] ? "/" : "", name);
	if (lstat(path, &st) < 0)
		return;
	if ((st.st_mode & S_IFMT) != type)
		doctor_found(d, DOCTOR_ERROR, &advice, "%s is not what it should be", path);
	else if (st.st_uid != 0)
		doctor_found(d, DOCTOR_ERROR, &advice, "%s belongs to uid %u", path, st.st_uid);
	else if (st.st_mode & forbidden)
		doctor_found(d, DOCTOR_ERROR, &advice, "%s has mode %04o", path,
		             (unsigned int)(st.st_mode & 07777));
}

void check_sockets(struct doctor *d)
{
	check_mode(d, "", S_IFDIR, S_IWGRP | S_IWOTH);
	check_mode(d, "operator.sock", S_IFSOCK, S_IROTH | S_IWOTH);
	check_mode(d, "workload", S_IFDIR, S_IWGRP | S_IWOTH);
	check_mode(d, "pending", S_IFDIR, S_IRWXG | S_IRWXO);
	check_mode(d, "containers", S_IFDIR, S_IRWXG | S_IRWXO);
	check_mode(d, "workers", S_IFDIR, S_IRWXG | S_IRWXO);
}

static void add_member(char text[MEMBERS_TEXT], const char *name)
{
	size_t used = strlen(text);

	snprintf(text + used, MEMBERS_TEXT - used, "%s%s", used ? ", " : "", name);
}

/* The group that the socket is given to; the one of that name where there is no socket. */
static const struct group *operators(const struct doctor *d)
{
	char path[DOCTOR_PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/operator.sock", d->client->runtime_dir);
	if (stat(path, &st) == 0)
		return st.st_gid != 0 ? getgrgid(st.st_gid) : NULL;
	return getgrnam(OPERATORS);
}

void check_group(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"each of them can read every value, grant what they like and seal the store",
		"take out whoever should not: gpasswd -d USER GROUP"
	};
	const struct group *group = operators(d);
	char members[MEMBERS_TEXT] = "", name[64];
	const struct passwd *user;
	gid_t gid;

	if (!group)
		return;
	gid = group->gr_gid;
	snprintf(name, sizeof(name), "%s", group->gr_name);
	for (char **member = group->gr_mem; *member; member++)
		add_member(members, *member);
	setpwent();
	while ((user = getpwent()))
		if (user->pw_gid == gid)
			add_member(members, user->pw_name);
	endpwent();
	if (members[0])
		doctor_found(d, DOCTOR_NOTE, &advice, "members of group %s: %s", name, members);
}
