/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - registrations outlive the broker: one file each, RUNTIME/containers/INSTANCE.json
 * (0600).
 *
 * A file says what to look for (pid and start time, id, bundle), never who it is: after a restart
 * the kernel and the engine's state are asked again, and what does not agree any more is dropped.
 *
 * The broker that reads a file may be an older or a newer build than the one that wrote it. So what
 * is not known is passed over; what has been written since the first version is always written; and
 * what was added later may be missing, and then means what was so before it was there.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/kern.h"
#include "coffer/log.h"
#include "flow/adopt.h"
#include "flow/container.h"
#include "flow/farewell.h"
#include "flow/fdstore.h"
#include "flow/inspection.h"
#include "flow/registry_json.h"
#include "flow/settle.h"
#include "flow/workload.h"
#include "server/config.h"
#include "server/folders.h"
#include "server/ready.h"
#include "server/server.h"

#define LOADING_MAX 64 /* attachers at one time that look at what an earlier broker left */
/* What a broker that is killed may forget of opens; thousands of files are let go of at once. */
#define SAVE_USEC 500000
#define REGISTRY_FILE_MAX (5 * 1024 * 1024) /* WORKER_NODES_MAX nodes of up to 1200 bytes, steps */

static int registry_open(struct containers *set)
{
	int fd = openat(set->b->runtime_fd, FOLDER_CONTAINERS,
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
	SCOPED(json_ptr) json_t *object = registry_to_json(c);
	SCOPED(json_text_ptr) char *text = object ? json_text(object) : NULL;
	char name[64];

	c->unsaved = false;
	file_name(c->instance_text, name);
	if (dir < 0 || !text || io_write_file_quick(dir, name, text, strlen(text), 0600) < 0)
		log_warn("cannot save the registration of process %d; a restarted broker will not "
		         "know it",
		         c->facts.fixed.pid);
}

static int on_save(sd_event_source *source, uint64_t usec, void *arg)
{
	struct containers *set = arg;

	set->save_timer = sd_event_source_disable_unref(set->save_timer);
	for (struct container *c = set->first; c; c = c->next)
		if (c->unsaved && !c->gone)
			registry_save(c);
	return 0;
}

void registry_save_soon(struct container *c)
{
	struct containers *set = c->set;

	c->unsaved = true;
	if (!set->save_timer &&
	    sd_event_add_time_relative(set->b->event, &set->save_timer, CLOCK_BOOTTIME, SAVE_USEC,
	                               0, on_save, set) < 0)
		registry_save(c);
}

void registry_remove(struct container *c)
{
	SCOPED_FD int dir = registry_open(c->set);
	char name[64];

	file_name(c->instance_text, name);
	if (dir >= 0)
		unlinkat(dir, name, 0);
}

/* For want of resources or time: the file stays for the next broker. */
static bool may_come_later(int error)
{
	return error == -EBUSY || error == -ENOMEM || error == -EAGAIN || error == -EMFILE ||
	       error == -ENFILE || error == -ETIMEDOUT || error == -ECANCELED;
}

/*
 * A worker whose container ended: it holds its own mount, so it would serve nobody for ever. By pid and
 * start time: that process and no other.
 */
static void end_left_worker(const json_t *object)
{
	json_t *worker = json_object_get(object, "worker");
	int64_t pid = 0, start_time = 0;
	uint64_t started = 0;
	SCOPED_FD int pidfd = -1;

	if (!worker || json_get_int(worker, "pid", true, 2, INT32_MAX, &pid, NULL) < 0 ||
	    json_get_int(worker, "start_time", true, 1, INT64_MAX, &start_time, NULL) < 0)
		return;
	pidfd = kern_pidfd_open((pid_t)pid, 0);
	if (pidfd >= 0 && kern_start_time((pid_t)pid, &started) == 0 &&
	    started == (uint64_t)start_time)
		kern_pidfd_send_signal(pidfd, SIGKILL);
}

/* `saved`: its content, or NULL if there is none that can be read. */
static void drop(struct containers *set, const char *name, const json_t *saved, int error,
                 const char *why)
{
	SCOPED_FD int dir = registry_open(set);

	if (error != -ESRCH) /* it ended while we were away */
		log_warn("registration %s is %s: %s", name,
		         may_come_later(error) ? "put off" : "dropped", why);
	if (may_come_later(error) || (saved && farewell_begin(set, saved, why) == 0))
		return;
	end_left_worker(saved);
	adopt_forget(set, name);
	if (dir >= 0) /* last: it tells of the rest */
		unlinkat(dir, name, 0);
}

void registry_give_up(struct containers *set, const json_t *saved, int error)
{
	const char *instance = json_string_value(json_object_get(saved, "instance"));
	char name[64];

	file_name(instance ? instance : "", name);
	drop(set, name, saved, error, "its container is not found again");
}

static void load_one(struct containers *set, const char *name)
{
	SCOPED_FD int dir = registry_open(set);
	struct inspection_request request = { 0 };
	SCOPED(json_ptr) json_t *object = NULL;
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;
	uint64_t start_time = 0;
	struct err why = { "it cannot be read" };
	int result = dir < 0 ? dir : io_read_file(dir, name, REGISTRY_FILE_MAX, &text, &len);

	if (result >= 0)
		result = json_parse(text, len, &object, &why);
	if (result >= 0)
		result = registry_request(object, &request, &why);
	if (result >= 0 &&
	    (kern_start_time(request.pid, &start_time) < 0 || start_time != request.start_time))
		result = err_set(&why, -ESRCH, "it ended while no broker was there");
	request.saved = object;
	if (result >= 0)
		result = inspection_start(set, &request, &why);
	if (result >= 0)
		set->restoring++;
	else
		drop(set, name, object, result, why.text);
}

void registry_load_more(struct containers *set)
{
	while (set->to_load && set->to_load[set->loaded] && set->inspecting < LOADING_MAX)
		load_one(set, set->to_load[set->loaded++]);
}

bool containers_known(const struct containers *set)
{
	return !set || (set->restoring == 0 && !(set->to_load && set->to_load[set->loaded]));
}

bool containers_loading(const struct containers *set)
{
	if (!set)
		return false;
	if (!containers_known(set))
		return true;
	for (const struct container *c = set->first; c; c = c->next)
		if (c->flow == FLOW_ADOPTING && c->adopt_timer)
			return true; /* not, if it had its time */
	return false;
}

void registry_note_loaded(struct containers *set)
{
	if (set->load_noted || set->leaving || !containers_known(set))
		return;
	server_open(set->b->server);
	workload_open(set->b->workload);
	if (containers_loading(set))
		return;
	set->load_noted = true;
	fdstore_sweep(set);
	/* It has come back sealed: as if it had been sealed now. */
	if (set->b->config->seal_stops && vault_state(set->b->vault) == VAULT_SEALED)
		containers_stop_all(set);
	ready_announce(set->b);
	settle_check(set);
}

void registry_free(struct containers *set)
{
	set->save_timer = sd_event_source_disable_unref(set->save_timer);
	for (size_t i = 0; set->to_load && set->to_load[i]; i++)
		free(set->to_load[i]);
	free(set->to_load);
	set->to_load = NULL;
}

static int keep_name(struct containers *set, size_t count, const char *name)
{
	char **larger = reallocarray(set->to_load, count + 2, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	set->to_load = larger;
	larger[count] = strdup(name);
	larger[count + 1] = NULL;
	return larger[count] ? 0 : -ENOMEM;
}

void registry_load(struct containers *set)
{
	int fd = registry_open(set);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t count = 0;

	if (!dir) {
		fd_close(fd);
		log_warn("cannot read the registrations of an earlier broker");
		return;
	}
	while ((entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (io_is_temporary(entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
		if (entry->d_name[0] != '.' && dot && strcmp(dot, ".json") == 0 &&
		    keep_name(set, count, entry->d_name) == 0)
			count++;
	}
	closedir(dir);
	registry_load_more(set);
}
