/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - registrations outlive the broker: one file each, RUNTIME/containers/INSTANCE.json
 * (0600).
 *
 * A file says what to look for (pid and start time, id, bundle), never who it is: after a restart
 * the kernel and the engine's state are asked again, and what does not agree any more is dropped.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/kern.h"
#include "coffer/log.h"
#include "flow/container.h"
#include "flow/inspection.h"

#define REGISTRY_DIR "containers"
#define REGISTRY_FILE_MAX 16384 /* a path and a few numbers */

static int registry_open(struct containers *set)
{
	int fd = openat(set->b->runtime_fd, REGISTRY_DIR,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void file_name(const char *instance, char name[64])
{
	snprintf(name, 64, "%s.json", instance);
}

void registry_save(struct container *c)
{
	SCOPED_FD int dir = registry_open(c->set);
	SCOPED(json_ptr) json_t *object = NULL;
	SCOPED(json_text_ptr) char *text = NULL;
	char name[64];

	object = json_pack("{s:s, s:i, s:I, s:s, s:s, s:b, s:b, s:b, s:I}", "instance",
	                   c->instance_text, "pid", c->facts.fixed.pid, "start_time",
	                   (json_int_t)c->facts.fixed.start_time, "id", c->facts.subject.id,
	                   "bundle", c->facts.bundle, "hook", c->hook, "explicit", c->explicit,
	                   "detached", c->mount == MOUNT_DETACHED, "dev", (json_int_t)c->dev);
	text = object ? json_text(object) : NULL;
	file_name(c->instance_text, name);
	if (dir < 0 || !text || io_write_file_atomic(dir, name, text, strlen(text), 0600) < 0)
		log_warn("cannot save the registration of process %d; a restarted broker will not "
		         "know it",
		         c->facts.fixed.pid);
}

void registry_remove(struct container *c)
{
	SCOPED_FD int dir = registry_open(c->set);
	char name[64];

	file_name(c->instance_text, name);
	if (dir >= 0)
		unlinkat(dir, name, 0);
}

static int parse(const char *text, size_t len, struct inspection_request *ret)
{
	SCOPED(json_ptr) json_t *object = NULL;
	const char *id = "", *bundle = "", *instance = NULL;
	int64_t pid = 0, start_time = 0, dev = 0;
	struct err why;

	if (json_parse(text, len, &object, &why) < 0 ||
	    json_get_string(object, "instance", true, &instance, &why) < 0 ||
	    json_get_string(object, "id", true, &id, &why) < 0 ||
	    json_get_string(object, "bundle", true, &bundle, &why) < 0 ||
	    json_get_int(object, "pid", true, 2, INT32_MAX, &pid, &why) < 0 ||
	    json_get_int(object, "start_time", true, 0, INT64_MAX, &start_time, &why) < 0 ||
	    json_get_int(object, "dev", false, 0, INT64_MAX, &dev, &why) < 0 ||
	    json_get_bool(object, "hook", true, &ret->hook, &why) < 0 ||
	    json_get_bool(object, "explicit", true, &ret->explicit, &why) < 0 ||
	    json_get_bool(object, "detached", true, &ret->detached, &why) < 0 ||
	    sodium_hex2bin(ret->instance, sizeof(ret->instance), instance, strlen(instance), NULL,
	                   NULL, NULL) != 0)
		return -EINVAL;
	ret->how = ret->hook ? INSPECT_HOOK : INSPECT_PID;
	ret->pid = (pid_t)pid;
	ret->start_time = (uint64_t)start_time;
	ret->old_dev = (uint64_t)dev;
	ret->has_instance = true;
	ret->running = true;
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	snprintf(ret->bundle, sizeof(ret->bundle), "%s", bundle);
	return 0;
}

static void load_one(struct containers *set, int dir, const char *name)
{
	struct inspection_request request = { 0 };
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;
	uint64_t start_time = 0;
	struct err why;
	int result = io_read_file(dir, name, REGISTRY_FILE_MAX, &text, &len);

	if (result >= 0)
		result = parse(text, len, &request);
	if (result >= 0 &&
	    (kern_start_time(request.pid, &start_time) < 0 || start_time != request.start_time))
		result = -ESRCH; /* it ended while we were away */
	if (result >= 0)
		result = inspection_start(set, &request, &why);
	unlinkat(dir, name, 0); /* registering writes it anew */
	if (result < 0 && result != -ESRCH)
		log_warn("registration %s could not be taken over and is dropped", name);
}

void registry_load(struct containers *set)
{
	int fd = registry_open(set);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		fd_close(fd);
		log_warn("cannot read the registrations of an earlier broker");
		return;
	}
	while ((entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (dot && strcmp(dot, ".json") == 0)
			load_one(set, dirfd(dir), entry->d_name);
	}
	closedir(dir);
}
