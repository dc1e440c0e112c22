/* SPDX-License-Identifier: Apache-2.0 */
#include "hook_pending.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/kern.h"
#include "coffer/name.h"
#include "coffer/times.h"

#define PENDING_DIR "pending"
#define HASH_LEN 16
#define FILE_NAME_MAX (2 * HASH_LEN + sizeof(".json"))
#define PATH_SHOWN_MAX 300

static int file_name(const char *id, char ret[FILE_NAME_MAX], struct err *e)
{
	unsigned char hash[HASH_LEN];
	char hex[2 * HASH_LEN + 1];

	if (crypto_generichash(hash, sizeof(hash), (const unsigned char *)id, strlen(id), NULL,
	                       0) != 0)
		return err_set(e, -EINVAL, "cannot hash the container's id");
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	snprintf(ret, FILE_NAME_MAX, "%s.json", hex);
	return 0;
}

static int failed(int code, const char *what, const char *runtime_dir, struct err *e)
{
	char shown[PATH_SHOWN_MAX];

	return err_errno(e, code, "cannot %s %s/" PENDING_DIR, what,
	                 name_escape(runtime_dir, strlen(runtime_dir), shown, sizeof(shown)));
}

/*
 * The folder, made if `make` and it is not there. Whoever could write to it could register
 * anybody.
 */
static int open_folder(const char *runtime_dir, bool make, struct err *e)
{
	SCOPED_FD int runtime = -1;
	SCOPED_FD int fd = -1;
	struct stat st;

	if (make && mkdir(runtime_dir, 0755) < 0 && errno != EEXIST)
		return failed(-errno, "make", runtime_dir, e);
	runtime = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (runtime < 0)
		return failed(-errno, "open", runtime_dir, e);
	if (make && mkdirat(runtime, PENDING_DIR, 0700) < 0 && errno != EEXIST)
		return failed(-errno, "make", runtime_dir, e);
	fd = openat(runtime, PENDING_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(-errno, "open", runtime_dir, e);
	if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return failed(-EPERM, "trust (not root's alone)", runtime_dir, e);
	return TAKE_FD(fd);
}

static int describe(const struct hook_state *s, char **ret_text, struct err *e)
{
	SCOPED(json_ptr) json_t *object = NULL;
	char now[TIMES_TEXT_MAX];
	uint64_t start_time = 0;
	int r = kern_start_time(s->pid, &start_time);

	if (r < 0)
		return err_errno(e, r, "the container's process %d cannot be found", s->pid);
	object = json_pack("{s:s,s:i,s:I,s:s,s:s}", "id", s->id, "pid", (int)s->pid, "start_time",
	                   (json_int_t)start_time, "bundle", s->bundle, "time",
	                   times_format(times_now(), now));
	*ret_text = object ? json_text(object) : NULL;
	return *ret_text ? 0 : err_errno(e, -ENOMEM, "cannot describe the container");
}

int hook_pending_write(const char *runtime_dir, const struct hook_state *s, struct err *e)
{
	SCOPED(json_text_ptr) char *text = NULL;
	char name[FILE_NAME_MAX];
	SCOPED_FD int folder = -1;
	int r = describe(s, &text, e);

	if (r == 0)
		r = file_name(s->id, name, e);
	if (r < 0 || !text)
		return r;
	folder = open_folder(runtime_dir, true, e);
	if (folder < 0)
		return folder;
	r = io_write_file_atomic(folder, name, text, strlen(text), 0600);
	return r < 0 ? failed(r, "write to", runtime_dir, e) : 0;
}

int hook_pending_remove(const char *runtime_dir, const struct hook_state *s, struct err *e)
{
	char name[FILE_NAME_MAX];
	SCOPED_FD int folder = -1;
	int r = file_name(s->id, name, e);

	if (r < 0)
		return r;
	folder = open_folder(runtime_dir, false, e);
	if (folder == -ENOENT)
		return 0;
	if (folder < 0)
		return folder;
	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return failed(-errno, "remove from", runtime_dir, e);
	return 0;
}
