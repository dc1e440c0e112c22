/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "fields.h"
#include "output.h"
#include "restoring.h"

#define PATH_SHOWN_MAX 300
#define PIECE ((size_t)256 * 1024)

int checked_read(const struct client *c, const struct options *o, struct checked *ret,
                 struct err *e)
{
	SCOPED(progress_end) struct progress p = { .fd = -1 };
	char shown[PATH_SHOWN_MAX];
	struct stat st = { 0 };
	int r = checker_key_take(o, &ret->key, e);

	if (r < 0)
		return r;
	name_escape(o->word[0], strlen(o->word[0]), shown, sizeof(shown));
	ret->fd = open(o->word[0], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
		return err_errno(e, -errno, "cannot open %s", shown);
	progress_begin(&p, c, "checking the backup", PROGRESS_BYTES, (uint64_t)st.st_size);
	r = backup_file_read(ret->fd, &ret->file, &p, e);
	return r < 0 ? err_prefix(e, r, "%s", shown) : 0;
}

int checked_store(const struct client *c, struct checked *k, struct err *e)
{
	SCOPED(progress_end) struct progress p = { .fd = -1 };
	struct checker_job job = { k->fd, k->file.store_offset, k->file.store_size, &k->key, &p };
	int64_t said = 0, is = 0;
	int r;

	progress_begin(&p, c, "checking the store", PROGRESS_WAIT, 0);
	r = checker_run(&job, &k->found, e);
	if (r < 0)
		return r;
	if (json_get_int(k->file.about, "epoch", true, 0, INT64_MAX, &said, NULL) < 0 ||
	    json_get_int(k->found, "epoch", true, 0, INT64_MAX, &is, NULL) < 0 || said != is ||
	    strcmp(field_text(k->file.about, "store_id"), field_text(k->found, "store_id")) != 0)
		return err_set(
			e, -EBADMSG,
			"the backup is damaged: the store in it is not the one that it says; "
			"use another one");
	return 0;
}

void checked_clear(struct checked *k)
{
	k->fd = fd_close(k->fd);
	checker_key_clear(&k->key);
	backup_file_clear(&k->file);
	json_decref(k->found);
	k->found = NULL;
}

/* Asked first: to read gigabytes, or to be asked for a key, for nothing would be a pity. */
static int need_no_store(struct call *call, struct err *e)
{
	SCOPED(json_ptr) json_t *status = NULL;
	char dir[PATH_SHOWN_MAX];
	const char *text;
	int r = call_once(call, &(struct call_request){ .method = "Status" }, &status, e);

	if (r < 0 || strcmp(field_text(status, "state"), "uninitialised") == 0)
		return r;
	text = field_text(status, "state_dir");
	name_escape(text, strlen(text), dir, sizeof(dir));
	return err_set(e, -EEXIST,
	               "there is a store in %s, and restoring replaces none: stop cofferd, move "
	               "store.db and store.db-wal away, start it, and restore again",
	               dir);
}

static int copy_store(const struct client *c, const struct backup_file *f, int to, struct err *e)
{
	SCOPED(progress_end) struct progress p = { .fd = -1 };
	SCOPED(free_ptr) char *piece = malloc(PIECE);
	uint64_t done = 0;

	if (!piece)
		return err_errno(e, -ENOMEM, "cannot copy the store");
	progress_begin(&p, c, "restoring", PROGRESS_BYTES, f->store_size);
	while (done < f->store_size) {
		size_t want = f->store_size - done < PIECE ? (size_t)(f->store_size - done) : PIECE;
		ssize_t n = pread(f->fd, piece, want, (off_t)(f->store_offset + done));
		int r;

		if (n <= 0)
			return err_set(e, -EBADMSG, "the backup became shorter while it was read");
		r = io_write_all(to, piece, (size_t)n);
		if (r < 0)
			return err_errno(e, r, "cannot write to the broker's state folder");
		done += (uint64_t)n;
		progress_set(&p, done);
	}
	return fsync(to) < 0 ? err_errno(e, -errno, "cannot write to the broker's state folder")
	                     : 0;
}

/* Closed when it returns, as the broker wants it. */
static int hand_over(struct call *call, const struct client *c, const struct backup_file *f,
                     struct err *e)
{
	SCOPED(json_ptr) json_t *reply = NULL;
	SCOPED_FD int to = -1;
	int64_t index = -1;
	int r = call_once(call, &(struct call_request){ .method = "RestoreOpen" }, &reply, e);

	if (r == 0)
		r = json_get_int(reply, "fd", true, 0, IO_FDS_MAX, &index, e);
	if (r < 0)
		return r;
	to = call_take_fd(call, index);
	if (to < 0)
		return err_set(e, -EPROTO, "the broker's answer came without its file");
	return copy_store(c, f, to, e);
}

static int commit(struct call *call, const struct backup_file *f, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	struct chain_head head;
	char hash[CHAIN_HEX_LEN];
	int r = set_number(parameters, "size", true, (int64_t)f->store_size, e);

	if (r == 0)
		r = set_text(parameters, "created", field_text(f->about, "created"), e);
	if (r == 0 && chain_head_parse(f->head_text, strlen(f->head_text), &head, NULL) == 0) {
		chain_hex(head.now.hash, sizeof(head.now.hash), hash);
		r = set_number(parameters, "log_seq", true, (int64_t)head.now.seq, e);
		if (r == 0)
			r = set_text(parameters, "log_hash", hash, e);
	}
	if (r < 0)
		return r;
	return call_once(call,
	                 &(struct call_request){ .method = "Restore", .parameters = parameters },
	                 ret, e);
}

static void print_restored(const json_t *reply)
{
	char epoch[FIELD_NUMBER_MAX];
	const char *reason = field_text(reply, "reason");

	printf("restored: store %s at change %s; it is %s\n", field_text(reply, "store_id"),
	       field_number(reply, "epoch", epoch), field_text(reply, "state"));
	if (strcmp(field_text(reply, "state"), "unsealed") == 0)
		return;
	if (reason[0])
		output_warning("the broker's own keyfile did not open it: %s", reason);
	puts("Now run coffer unseal. Where the audit log has seen later changes than the backup "
	     "holds, it\nwants --accept-rollback, and that is recorded.");
}

int verb_restore(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(checked_clear) struct checked k = { .fd = -1 };
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);

	if (r == 0)
		r = need_no_store(call, e);
	if (r == 0)
		r = checked_read(c, o, &k, e);
	if (r == 0)
		r = checked_store(c, &k, e);
	if (r == 0)
		r = hand_over(call, c, &k.file, e);
	if (r == 0)
		r = commit(call, &k.file, &reply, e);
	if (r < 0)
		return r;
	if (c->json)
		return output_json(reply, e);
	print_restored(reply);
	return 0;
}
