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
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/kern.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/container.h"
#include "flow/inspection.h"
#include "server/folders.h"

#define HOOK_TIME_MAX_S 60     /* a hook waits 35 s at most */
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

/* A file whose container is being looked at; it goes when that has come to an end. */
struct taking {
	struct containers *set;
	char name[NAME_MAX + 1];
};

static void forget(struct containers *set, const char *name)
{
	SCOPED_FD int dir =
		openat(set->b->runtime_fd, FOLDER_PENDING, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		unlinkat(dir, name, 0);
}

static void on_taken(void *arg, struct container *c, int error, const char *why)
{
	struct taking *t = arg;

	if (error < 0)
		log_warn("pending registration %s comes to nothing: %s", t->name, why);
	if (error != -EBUSY && error != -ENOMEM && error != -ETIMEDOUT && error != -ECANCELED)
		forget(t->set, t->name); /* else it waits for the next unseal */
	free(t);
	if (c)
		container_step(c);
}

static int look_at(struct containers *set, const char *name, struct inspection_request *request,
                   struct err *e)
{
	uint64_t start_time = 0;
	int result;

	if (kern_start_time(request->pid, &start_time) < 0 || start_time != request->start_time)
		return err_set(e, -ESRCH, "it has ended");
	request->done = on_taken;
	request->arg = calloc(1, sizeof(struct taking));
	if (!request->arg)
		return err_set(e, -ENOMEM, "out of memory");
	((struct taking *)request->arg)->set = set;
	snprintf(((struct taking *)request->arg)->name, NAME_MAX + 1, "%s", name);
	result = inspection_start(set, request, e);
	if (result < 0)
		free(request->arg);
	return result;
}

static void take_one(struct containers *set, int dir, const char *name)
{
	struct inspection_request request;
	SCOPED(free_ptr) char *text = NULL;
	struct err why = { "it cannot be read" };
	size_t len = 0;
	int result = io_read_file(dir, name, PENDING_FILE_MAX, &text, &len);

	if (result >= 0)
		result = parse(text, len, &request, &why);
	if (result >= 0)
		result = look_at(set, name, &request, &why);
	if (result >= 0 || result == -EBUSY || result == -ENOMEM)
		return;
	if (result != -ESRCH)
		log_warn("pending registration %s is dropped: %s", name, why.text);
	forget(set, name);
}

/* Of a hook that was killed while it wrote; none that lives takes so long. */
static void sweep(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    times_now() / NS_PER_S - st.st_mtime > HOOK_TIME_MAX_S)
		unlinkat(dir, name, 0);
}

static bool is_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static int on_new_file(sd_event_source *source, const struct inotify_event *event, void *arg)
{
	struct containers *set = arg;

	if (vault_state(set->b->vault) == VAULT_UNSEALED)
		containers_take_pending(set);
	return 0;
}

/* A hook that waited in vain for a busy broker leaves its container here too. */
int pending_watch(struct containers *set)
{
	SCOPED_FD int fd = openat(set->b->runtime_fd, FOLDER_PENDING,
	                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[64];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return sd_event_add_inotify(set->b->event, &set->pending_source, path,
	                            IN_MOVED_TO | IN_ONLYDIR, on_new_file, set);
}

void containers_take_pending(struct containers *c)
{
	SCOPED_FD int fd = openat(c->b->runtime_fd, FOLDER_PENDING,
	                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return; /* nothing ever waited */
	if (!is_ours(fd)) {
		log_error("the folder RUNTIME/%s can be written by others than root and is not "
		          "looked at",
		          FOLDER_PENDING);
		return;
	}
	dir = fdopendir(fd);
	if (!dir)
		return;
	TAKE_FD(fd);
	while ((entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (io_is_temporary(entry->d_name))
			sweep(dirfd(dir), entry->d_name);
		if (entry->d_name[0] != '.' && dot && strcmp(dot, ".json") == 0)
			take_one(c, dirfd(dir), entry->d_name);
	}
	closedir(dir);
}
