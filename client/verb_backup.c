/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup_file.h"
#include "call.h"
#include "checker.h"
#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "fields.h"
#include "output.h"
#include "restoring.h"

#define PATH_SHOWN_MAX 300
#define TEMPORARY_RANDOM 8

/* Where the backup goes: a name in a folder that is open, under another name until it is whole. */
struct place {
	int dir;
	const char *name;
	char temporary[sizeof(".coffer-backup-") + 2 * TEMPORARY_RANDOM];
	char shown[PATH_SHOWN_MAX];
	bool force;
};

static int place_open(const char *path, bool force, struct place *ret, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char folder[4096], hex[2 * TEMPORARY_RANDOM + 1];
	unsigned char random[TEMPORARY_RANDOM];
	struct stat st;

	name_escape(path, strlen(path), ret->shown, sizeof(ret->shown));
	ret->name = slash ? slash + 1 : path;
	ret->force = force;
	if (!ret->name[0] || strlen(path) >= sizeof(folder))
		return err_set(e, CLIENT_USAGE, "%s is no name of a file", ret->shown);
	snprintf(folder, sizeof(folder), "%.*s",
	         !slash          ? 1
	         : slash == path ? 1
	                         : (int)(slash - path),
	         slash ? path : ".");
	ret->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->dir < 0)
		return err_errno(e, -errno, "cannot open the folder of %s", ret->shown);
	if (fstatat(ret->dir, ret->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISREG(st.st_mode))
			return err_set(e, -EEXIST, "%s is there and no regular file: name another",
			               ret->shown);
		if (!force)
			return err_set(e, -EEXIST,
			               "%s is there already: name another, or use --force",
			               ret->shown);
	}
	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
	snprintf(ret->temporary, sizeof(ret->temporary), ".coffer-backup-%s", hex);
	return 0;
}

/* The broker's copy, while it tells how far it is. */
static int fetch(struct call *call, const struct client *c, json_t **ret, int *ret_fd,
                 struct err *e)
{
	SCOPED(progress_end) struct progress p;
	int64_t done = 0, total = 0, index = -1;
	bool continues = true;
	int r = call_send(call, &(struct call_request){ .method = "Backup", .more = true }, e);

	progress_begin(&p, c, "copying the store", PROGRESS_BYTES, 0);
	while (r == 0 && continues) {
		json_decref(*ret);
		*ret = NULL;
		r = call_next(call, ret, &continues, e);
		if (r < 0 || !continues)
			break;
		if (json_get_int(*ret, "total", false, 0, INT64_MAX, &total, NULL) == 0 &&
		    json_get_int(*ret, "done", false, 0, INT64_MAX, &done, NULL) == 0) {
			p.total = (uint64_t)total;
			progress_set(&p, (uint64_t)done);
		}
	}
	if (r == 0)
		r = json_get_int(*ret, "fd", true, 0, IO_FDS_MAX, &index, e);
	if (r < 0)
		return r;
	*ret_fd = call_take_fd(call, index);
	return *ret_fd < 0 ? err_set(e, -EPROTO, "the broker's answer came without its file") : 0;
}

static int write_copy(int fd, const struct client *c, const json_t *reply, int store, struct err *e)
{
	static const char *const told[] = { "store_id", "created", "version" };
	SCOPED(json_ptr) json_t *about = json_object();
	SCOPED(progress_end) struct progress p = { .fd = -1 };
	const char *head = NULL;
	int64_t size = 0, epoch = 0;
	int r = json_get_int(reply, "size", true, 1, INT64_MAX, &size, e);

	if (r == 0)
		r = json_get_int(reply, "epoch", true, 0, INT64_MAX, &epoch, e);
	if (r == 0)
		r = json_get_string(reply, "head", true, &head, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(told); i++)
		r = set_text(about, told[i], field_text(reply, told[i]), e);
	if (r == 0)
		r = set_number(about, "epoch", true, epoch, e);
	if (r < 0)
		return r;
	progress_begin(&p, c, "writing the backup", PROGRESS_BYTES, (uint64_t)size);
	r = backup_file_write(fd, about, head, store, (uint64_t)size, &p, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_errno(e, -errno, "cannot write the backup");
	return r;
}

/* The name appears with the whole file behind it. */
static int put_in_place(const struct place *to, struct err *e)
{
	int r = 0;

	if (!to->force)
		r = io_rename_new(to->dir, to->temporary, to->name);
	else if (renameat(to->dir, to->temporary, to->dir, to->name) < 0)
		r = -errno;
	if (!to->force && (r == -EPERM || r == -EOPNOTSUPP || r == -ENOSYS))
		return err_set(e, r,
		               "the file system of %s cannot name a file without replacing one: "
		               "use --force",
		               to->shown);
	if (r < 0)
		return err_errno(e, r, "cannot put %s in its place", to->shown);
	if (fsync(to->dir) < 0)
		return err_errno(e, -errno, "cannot write the folder of %s", to->shown);
	return 0;
}

/*
 * A file without a name, so that nothing is left of one that is given up with Ctrl-C, and whether it
 * has none; where there are no such files, one with a name.
 */
static int open_new(const struct place *to, bool *ret_nameless)
{
	int fd = openat(to->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	*ret_nameless = fd >= 0;
	if (fd >= 0)
		return fd;
	return openat(to->dir, to->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	              0600);
}

static int name_it(int fd, const struct place *to, struct err *e)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, to->dir, to->temporary, AT_SYMLINK_FOLLOW) < 0)
		return err_errno(e, -errno, "cannot name the file beside %s", to->shown);
	return 0;
}

static int save(const struct place *to, const struct client *c, const json_t *reply, int store,
                struct err *e)
{
	bool nameless = false;
	SCOPED_FD int fd = open_new(to, &nameless);
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot make a file beside %s", to->shown);
	r = write_copy(fd, c, reply, store, e);
	if (r == 0 && nameless)
		r = name_it(fd, to, e);
	if (r == 0)
		r = put_in_place(to, e);
	if (r < 0)
		unlinkat(to->dir, to->temporary, 0);
	return r;
}

static int report(const struct client *c, const struct place *to, json_t *reply, struct err *e)
{
	char size[FIELD_NUMBER_MAX], epoch[FIELD_NUMBER_MAX];

	if (c->json) {
		json_object_del(reply, "fd");
		json_object_del(reply, "head");
		return output_json(reply, e);
	}
	printf("%s: store %s at change %s, %s bytes\n", to->shown, field_text(reply, "store_id"),
	       field_number(reply, "epoch", epoch), field_number(reply, "size", size));
	return 0;
}

int verb_backup(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *reply = NULL;
	SCOPED_FD int store = -1;
	struct place to = { .dir = -1 };
	int r = place_open(o->word[0], options_has(o, "force"), &to, e);

	if (r == 0)
		r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);
	if (r == 0)
		r = fetch(call, c, &reply, &store, e);
	if (r == 0)
		r = save(&to, c, reply, store, e);
	if (r == 0)
		r = report(c, &to, reply, e);
	fd_close(to.dir);
	return r;
}

static void print_checked(const struct checked *k)
{
	char epoch[FIELD_NUMBER_MAX], secrets[FIELD_NUMBER_MAX], versions[FIELD_NUMBER_MAX];

	printf("ok: store %s at change %s, of ", field_text(k->found, "store_id"),
	       field_number(k->found, "epoch", epoch));
	output_text(stdout, field_text(k->file.about, "created"));
	if (field_true(k->found, "keyed"))
		printf("; %s secrets, %s versions, all opened\n",
		       field_number(k->found, "secrets", secrets),
		       field_number(k->found, "versions", versions));
	else
		puts("; whole, but not opened: for that give --keyfile or --passphrase-file");
}

int verb_backup_verify(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(checked_clear) struct checked k = { .fd = -1 };
	int r = checked_read(c, o, &k, e);

	if (r == 0)
		r = checked_store(c, &k, e);
	if (r < 0)
		return r;
	if (!c->json) {
		print_checked(&k);
		return 0;
	}
	r = set_text(k.found, "created", field_text(k.file.about, "created"), e);
	return r < 0 ? r : output_json(k.found, e);
}
