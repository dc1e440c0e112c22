/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/name.h"

#define WHAT_MAX 1024
#define FOLDER_FILES_MAX 256 /* looked at in one folder of hooks or settings */

const struct doctor_check doctor_checks[] = {
	{ "kernel.fuse", "the kernel has FUSE", check_fuse },
	{ "kernel.mount", "the kernel has the calls that mounts are made with", check_mount_calls },
	{ "kernel.pidfd", "the kernel tells processes apart", check_pidfd },
	{ "kernel.landlock", "workers can be shut in with landlock", check_landlock },
	{ "kernel.seccomp", "workers can be shut in with seccomp", check_seccomp },
	{ "kernel.cgroup", "containers can be told by their cgroups", check_cgroup },
	{ "kernel.memfd", "programs can be run from memory files", check_memfd },
	{ "broker.reach", "the broker answers", check_broker },
	{ "broker.store", "there is a store, and it is open", check_store },
	{ "broker.version", "client and broker are of one version", check_version },
	{ "broker.program", "the broker that runs is the one that is installed", check_program },
	{ "broker.trouble", "the broker has nothing to complain of", check_trouble },
	{ "broker.disk", "the state folder has room", check_disk },
	{ "broker.memlock", "values can be locked in memory", check_memlock },
	{ "broker.sockets", "sockets and folders are root's", check_sockets },
	{ "broker.group", "who is in the operators' group", check_group },
	{ "host.units", "the service manager starts and keeps the broker", check_units },
	{ "host.must-wait", "the list of containers that must wait can be used", check_must_wait },
	{ "host.swap", "what programs read is not swapped in the clear", check_swap },
	{ "host.core", "core files of programs stay on the host", check_core },
	{ "engine.docker", "Docker starts containers through Coffer", check_docker },
	{ "engine.podman", "Podman starts containers through Coffer", check_podman },
	{ "engine.containerd", "containerd starts containers through Coffer", check_containerd },
	{ "engine.crio", "CRI-O starts containers through Coffer", check_crio },
	{ "container.registered", "the broker knows the containers that run", check_registered },
	{ "container.power", "no container is as strong as the host", check_power },
	{ "container.reach", "no container reaches engines, broker or the host's files",
	  check_reach },
	{ "container.namespaces", "containers have pid namespaces of their own", check_namespaces },
	{ "container.mounts", "every container shows what it is granted", check_mounts },
	{ "grant.unused", "every grant matches a container", check_unused },
	{ "grant.conditions", "grants rest on what nobody can choose", check_conditions },
	{ 0 },
};

static const char *const severity_names[] = {
	[DOCTOR_NOTE] = "note", [DOCTOR_WARNING] = "warning", [DOCTOR_ERROR] = "error"
};

void doctor_found(struct doctor *d, enum severity severity, const struct doctor_advice *advice,
                  const char *what, ...)
{
	char text[WHAT_MAX], shown[WHAT_MAX];
	va_list args;

	va_start(args, what);
	if (vsnprintf(text, sizeof(text), what, args) < 0)
		text[0] = '\0';
	va_end(args);
	name_escape(text, strlen(text), shown, sizeof(shown));
	d->count[severity]++;
	json_array_append_new(d->findings,
	                      json_pack("{s:s, s:s, s:s, s:s, s:s}", "check", d->check, "severity",
	                                severity_names[severity], "what", shown, "why", advice->why,
	                                "do", advice->todo));
}

void doctor_run(struct doctor *d, const char *only)
{
	for (const struct doctor_check *check = doctor_checks; check->id; check++) {
		if (only && strcmp(only, check->id) != 0)
			continue;
		d->check = check->id;
		check->run(d);
	}
}

const char *doctor_path(const struct doctor *d, const char *path, char buffer[DOCTOR_PATH_MAX])
{
	snprintf(buffer, DOCTOR_PATH_MAX, "%s%s", d->root, path);
	return buffer;
}

int doctor_read(const char *path, char **ret, size_t *ret_len)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	SCOPED(free_ptr) char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	text = malloc(DOCTOR_FILE_MAX + 1);
	if (!text)
		return -ENOMEM;
	n = io_read_all(fd, text, DOCTOR_FILE_MAX);
	if (n < 0)
		return (int)n;
	if (n == DOCTOR_FILE_MAX)
		return -EFBIG;
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}

int doctor_load(const char *path, json_t **ret, struct err *why)
{
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;
	int r = doctor_read(path, &text, &len);

	if (r < 0)
		return err_errno(why, r, "cannot read %s", path);
	r = json_parse_foreign(text, len, ret, why);
	return r < 0 ? err_prefix(why, r, "%s", path) : r;
}

json_t *doctor_read_json(const char *path)
{
	json_t *value = NULL;

	return doctor_load(path, &value, NULL) < 0 ? NULL : value;
}

bool doctor_ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void doctor_each_file(struct doctor *d, const char *folder, const char *suffix,
                      void (*visit)(struct doctor *d, const char *path, void *arg), void *arg)
{
	char path[DOCTOR_PATH_MAX], *name[FOLDER_FILES_MAX];
	DIR *dir = opendir(folder);
	struct dirent *entry;
	size_t names = 0;

	while (dir && names < FOLDER_FILES_MAX && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && doctor_ends_with(entry->d_name, suffix) &&
		    (name[names] = strdup(entry->d_name)))
			names++;
	}
	if (dir)
		closedir(dir);
	qsort(name, names, sizeof(*name), by_name);
	for (size_t i = 0; i < names; i++) {
		int n = snprintf(path, sizeof(path), "%s/%s", folder, name[i]);

		if (n > 0 && (size_t)n < sizeof(path))
			visit(d, path, arg);
		free(name[i]);
	}
}

void doctor_clear(struct doctor *d)
{
	for (size_t i = 0; i < d->containers; i++) {
		free(d->container[i].id);
		free(d->container[i].unread);
		json_decref(d->container[i].config);
	}
	free(d->container);
	d->container = NULL;
	d->containers = 0;
	json_decref(d->findings);
	json_decref(d->status);
	json_decref(d->attachments);
	json_decref(d->grants);
	d->findings = d->status = d->attachments = d->grants = NULL;
}
