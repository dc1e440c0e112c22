/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pending.c - containers that started while the broker was sealed or away: files below
 * RUNTIME/pending, left by coffer-hook.
 *
 *	{"id": "web", "pid": 1234, "start_time": 5678, "bundle": "/…", …}
 *
 * The folder is root's alone (0700). A file says whom to look at; who that is, the kernel and the
 * engine say. What no longer runs is dropped.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/kern.h"
#include "coffer/log.h"
#include "flow/container.h"
#include "flow/inspection.h"

#define PENDING_DIR "pending"
#define PENDING_FILE_MAX 65536 /* id, bundle and annotations of one container */

static int parse(const char *text, size_t len, struct inspection_request *ret, struct err *e)
{
	SCOPED(json_ptr) json_t *object = NULL;
	const char *id = NULL, *bundle = NULL;
	int64_t pid = 0, start_time = 0;
	int result = json_parse(text, len, &object, e);

	if (result >= 0)
		result = json_get_string(object, "id", true, &id, e);
	if (result >= 0)
		result = json_get_string(object, "bundle", true, &bundle, e);
	if (result >= 0)
		result = json_get_int(object, "pid", true, 2, INT32_MAX, &pid, e);
	if (result >= 0)
		result = json_get_int(object, "start_time", true, 1, INT64_MAX, &start_time, e);
	if (result < 0)
		return result;
	if (strlen(id) >= sizeof(ret->id) || strlen(bundle) >= sizeof(ret->bundle))
		return err_set(e, -EINVAL, "id or bundle is too long");
	*ret = (struct inspection_request){
		.how = INSPECT_HOOK,
		.hook = true,
		.running = true,
		.pid = (pid_t)pid,
		.start_time = (uint64_t)start_time,
	};
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	snprintf(ret->bundle, sizeof(ret->bundle), "%s", bundle);
	return 0;
}

static void take_one(struct containers *set, int dir, const char *name)
{
	struct inspection_request request;
	SCOPED(free_ptr) char *text = NULL;
	uint64_t start_time = 0;
	struct err why = { "it cannot be read" };
	size_t len = 0;
	int result = io_read_file(dir, name, PENDING_FILE_MAX, &text, &len);

	if (result >= 0)
		result = parse(text, len, &request, &why);
	if (result >= 0 && kern_start_time(request.pid, &start_time) == 0 &&
	    start_time == request.start_time)
		result = inspection_start(set, &request, &why);
	if (result == -EBUSY)
		return; /* stays for the next unseal */
	if (result < 0)
		log_warn("pending registration %s is dropped: %s", name, why.text);
	unlinkat(dir, name, 0);
}

static bool is_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

void containers_take_pending(struct containers *c)
{
	SCOPED_FD int fd = openat(c->b->runtime_fd, PENDING_DIR,
	                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return; /* nothing ever waited */
	if (!is_ours(fd)) {
		log_error("the folder RUNTIME/%s can be written by others than root and is not "
		          "looked at",
		          PENDING_DIR);
		return;
	}
	dir = fdopendir(fd);
	if (!dir)
		return;
	TAKE_FD(fd);
	while ((entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (entry->d_name[0] != '.' && dot && strcmp(dot, ".json") == 0)
			take_one(c, dirfd(dir), entry->d_name);
	}
	closedir(dir);
}
