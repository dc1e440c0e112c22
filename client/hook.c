/* SPDX-License-Identifier: Apache-2.0 */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "call.h"
#include "coffer/cleanup.h"
#include "coffer/err.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "coffer/times.h"
#include "hook_engine.h"
#include "hook_pending.h"
#include "hook_register.h"
#include "hook_state.h"
#include "hook_wait.h"
#include "host_mounts.h"
#include "host_root.h"

#define RETRY_MS 200 /* unsealing and the step from bind to listen show in no folder */
#define PROBE_MS 1000
#define PATH_SHOWN_MAX 200

static void say(const char *text)
{
	char line[ERR_TEXT_MAX * 2];

	snprintf(line, sizeof(line), "coffer-hook: %s", text);
	for (char *p = line; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	fprintf(stderr, "%s\n", line);
}

/*
 * The operator's list, or *ret NULL if there is none. It decides over starts: root's alone, or
 * not read.
 */
static int load_must_wait(const char *path, json_t **ret, struct err *e)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	SCOPED(free_ptr) char *text = NULL;
	char shown[PATH_SHOWN_MAX];
	struct stat st;
	ssize_t n = 0;
	int r = 0;

	name_escape(path, strlen(path), shown, sizeof(shown));
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", shown);
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(
			e, -EPERM,
			"%s says which containers must wait, and others than root can change it: "
			"chown it to root, and chmod it to 0644",
			shown);
	text = malloc(HOOK_WAIT_FILE_MAX + 1);
	if (!text)
		return err_errno(e, -ENOMEM, "cannot read %s", shown);
	n = io_read_all(fd, text, HOOK_WAIT_FILE_MAX + 1);
	if (n < 0 || n > HOOK_WAIT_FILE_MAX)
		return err_errno(e, n < 0 ? (int)n : -EFBIG, "cannot read %s", shown);
	r = hook_wait_parse(text, (size_t)n, ret, e);
	return r < 0 ? err_prefix(e, r,
	                          "%s says which containers must wait, and cannot be read: mend it",
	                          shown)
	             : 0;
}

/* 1: it must wait, 0: it need not, or -errno. */
static int must_wait(const struct hook_config *config, const struct hook_state *s, struct err *e)
{
	SCOPED(json_ptr) json_t *list = NULL;
	SCOPED(hook_engine_clear) struct hook_engine engine = { 0 };
	int r = load_must_wait(config->must_wait, &list, e);

	if (r < 0 || json_array_size(list) == 0)
		return r;
	hook_engine_read(s, &engine);
	return hook_wait_matches(list, &engine.facts);
}

static int left_ms(int64_t deadline)
{
	int64_t left = (deadline - times_boottime()) / 1000000;

	return left > 0 ? (int)left : 0;
}

/*
 * What happens in the folder where the socket appears; before that folder is there, in the one
 * above.
 */
static int watch_folder(const char *runtime_dir)
{
	const uint32_t events = IN_CREATE | IN_MOVED_TO | IN_ATTRIB;
	SCOPED_FD int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char above[HOOK_BUNDLE_MAX + 1];
	const char *slash = strrchr(runtime_dir, '/');

	if (fd < 0)
		return -errno;
	if (inotify_add_watch(fd, runtime_dir, events) >= 0)
		return TAKE_FD(fd);
	if (!slash || slash - runtime_dir >= (int)sizeof(above))
		return -ENOENT;
	snprintf(above, sizeof(above), "%.*s",
	         slash == runtime_dir ? 1 : (int)(slash - runtime_dir), runtime_dir);
	if (inotify_add_watch(fd, above, events) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/*
 * Again and again until the broker takes the container, refuses it, or the time is up. A folder
 * is watched before each attempt, so that a socket that appears after it ends the wait.
 */
static int register_until(const struct hook_config *config, const struct hook_state *s,
                          int64_t deadline, struct err *e)
{
	for (int left; (left = left_ms(deadline)) > 0;) {
		SCOPED_FD int watch = watch_folder(config->runtime_dir);
		SCOPED(hook_attempt_clear) struct hook_attempt attempt = { 0 };
		struct pollfd pfd = { .fd = watch, .events = POLLIN };
		enum hook_outcome outcome =
			hook_register(config->runtime_dir, s, left, &attempt, e);

		if (outcome == HOOK_DONE)
			return 0;
		if (outcome == HOOK_REFUSED)
			return -EPERM;
		left = left_ms(deadline);
		if ((watch < 0 || outcome != HOOK_ABSENT) && left > RETRY_MS)
			left = RETRY_MS;
		poll(&pfd, 1, left);
	}
	return -ETIMEDOUT;
}

static int leave_pending(const struct hook_config *config, const struct hook_state *s,
                         struct err *e)
{
	char text[ERR_TEXT_MAX * 2];
	struct err why = *e;

	if (hook_pending_write(config->runtime_dir, s, e) < 0)
		return EXIT_FAILURE;
	snprintf(text, sizeof(text),
	         "registered for later, and started without its secrets for now: %s", why.text);
	say(text);
	return EXIT_SUCCESS;
}

/*
 * The first attempt came to nothing and this container must wait. A broker that was asked is not
 * asked again while it may still answer; it refuses by itself shortly after our own time is up.
 */
static int wait_for_broker(const struct hook_config *config, const struct hook_state *s,
                           struct hook_attempt *attempt, int64_t deadline, struct err *e)
{
	enum hook_outcome outcome = HOOK_ABSENT;
	int r = 0;

	if (attempt->call)
		outcome = hook_register_await(attempt, left_ms(deadline) + HOOK_PATIENCE_MS, e);
	hook_attempt_clear(attempt);
	if (outcome == HOOK_DONE)
		return EXIT_SUCCESS;
	if (outcome == HOOK_REFUSED)
		return EXIT_FAILURE;
	r = register_until(config, s, deadline, e);
	if (r == -ETIMEDOUT)
		err_prefix(e, r,
		           "this container must not start without its secrets, and waited in vain");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int on_create(const struct hook_config *config, const struct hook_state *s, struct err *e)
{
	int64_t deadline = times_boottime() + HOOK_WAIT_MS * (NS_PER_S / 1000);
	SCOPED(hook_attempt_clear) struct hook_attempt attempt = { 0 };
	enum hook_outcome outcome =
		hook_register(config->runtime_dir, s, HOOK_PATIENCE_MS, &attempt, e);
	struct err why = { "" };
	int must = 0;

	if (outcome == HOOK_DONE)
		return EXIT_SUCCESS;
	if (outcome == HOOK_REFUSED)
		return EXIT_FAILURE;
	must = must_wait(config, s, &why);
	if (must < 0) {
		*e = why;
		return EXIT_FAILURE;
	}
	if (must || (outcome == HOOK_SILENT && hook_is_held_back(config->runtime_dir, PROBE_MS)))
		return wait_for_broker(config, s, &attempt, deadline, e);
	return leave_pending(config, s, e);
}

/* A container that has ended has ended: nothing here may fail the stop. */
static int on_stop(const struct hook_config *config, const struct hook_state *s, struct err *e)
{
	if (hook_pending_remove(config->runtime_dir, s, e) < 0)
		say(e->text);
	if (hook_unregister(config->runtime_dir, s, HOOK_PATIENCE_MS, e) < 0)
		say(e->text);
	return EXIT_SUCCESS;
}

/*
 * All of it, also where it is not looked at: a runtime whose hook does not listen may take
 * offence.
 */
static ssize_t read_input(int input, char **ret, struct err *e)
{
	SCOPED(free_ptr) char *text = malloc(HOOK_INPUT_MAX + 1);
	ssize_t n = 0;

	if (!text)
		return err_errno(e, -ENOMEM, "cannot read the container's state");
	n = io_read_all(input, text, HOOK_INPUT_MAX + 1);
	if (n < 0)
		return err_errno(e, (int)n, "cannot read the container's state");
	*ret = TAKE_PTR(text);
	return n;
}

int hook_run(const struct hook_config *config, int input)
{
	SCOPED(hook_state_clear) struct hook_state s = { 0 };
	SCOPED(free_ptr) char *text = NULL;
	struct err e = { "" };
	int status = EXIT_FAILURE;
	ssize_t n = read_input(input, &text, &e);

	if (!host_root()) {
		say("a rootless engine's hook cannot register containers: this one starts without "
		    "a mount; use the workload socket");
		return EXIT_SUCCESS;
	}
	if (n >= 0 && hook_state_parse(text, (size_t)n, &s, &e) == 0 && host_mounts_join(&e) == 0)
		status = s.stage == HOOK_CREATE ? on_create(config, &s, &e)
		                                : on_stop(config, &s, &e);
	if (status != EXIT_SUCCESS)
		say(e.text);
	return status;
}
