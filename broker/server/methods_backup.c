/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of the store for an operator, and one that comes back. The broker writes and reads in its own
 * folder only; what becomes of a copy, and where one comes from, is the client's affair, at the
 * client's pace.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/times.h"
#include "coffer/version.h"
#include "server/audit_pump.h"
#include "server/config.h"
#include "server/methods.h"
#include "server/restore.h"

#define PROGRESS_STEPS 32 /* of a copy, between two words about it: 8 MiB */

struct backup {
	struct broker *b;
	struct call *call;
	struct store_copy *copy;
	sd_event_source *turn;
	unsigned int steps;
};

static void backup_free(struct backup *k)
{
	sd_event_source_disable_unref(k->turn);
	store_copy_free(k->copy);
	call_unref(k->call);
	if (k->b->backup == k)
		k->b->backup = NULL;
	free(k);
}

static void on_gone(void *arg)
{
	backup_free(arg);
}

/* On disk before the copy leaves, as with a value that is read. */
static int record_backup(struct broker *b, struct call *call, uint64_t epoch, uint64_t size,
                         struct err *e)
{
	json_t *fields = json_pack("{s:s, s:I, s:I}", "store", vault_store_id(b->vault), "epoch",
	                           (json_int_t)epoch, "size", (json_int_t)size);
	int r = fields ? 0 : -ENOMEM;

	if (r == 0) {
		call_describe(call, fields);
		r = audit_add(b->audit, "backup", fields);
	}
	if (r == 0)
		r = audit_pump_flush(b->audit_pump, e);
	else
		err_errno(e, r, "the audit log takes no more lines");
	return r < 0 ? err_prefix(e, -ENOSPC,
	                          "no backup is given out, since the audit log cannot be written")
	             : 0;
}

static int describe_copy(struct broker *b, struct call *call, int fd, json_t **ret, struct err *e)
{
	char public_key[65] = "", created[TIMES_TEXT_MAX];
	SCOPED(free_ptr) char *head = NULL;
	uint64_t epoch = 0;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? err_errno(e, -errno, "cannot look at the copy of the store")
	                           : vault_stored_epoch(b->vault, &epoch, e);

	if (r == 0)
		r = record_backup(b, call, epoch, (uint64_t)st.st_size, e);
	if (r < 0)
		return r;
	r = audit_head_text(b->audit, &head, public_key);
	if (r < 0)
		return err_errno(e, r, "cannot read the head of the audit log");
	*ret = json_pack("{s:i, s:I, s:s, s:I, s:s, s:s, s:s}", "fd", 0, "size",
	                 (json_int_t)st.st_size, "store_id", vault_store_id(b->vault), "epoch",
	                 (json_int_t)epoch, "created", times_format(times_now(), created),
	                 "version", COFFER_VERSION, "head", head);
	return *ret ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* Its last answer, whatever it is; the call may end with it, so nothing of ours is left to it. */
static void backup_end(struct backup *k, int r, struct err *e)
{
	struct call *call = call_ref(k->call);
	struct broker *b = k->b;
	SCOPED_FD int fd = r == 0 ? store_copy_take(k->copy) : -1;
	json_t *reply = NULL;

	call_on_gone(call, NULL, NULL);
	backup_free(k);
	if (r == 0)
		r = describe_copy(b, call, fd, &reply, e);
	if (r == 0)
		call_reply_fds(call, reply, &fd, 1);
	else
		call_fail(call, r, e);
	call_unref(call);
}

static int on_turn(sd_event_source *source, void *arg)
{
	struct backup *k = arg;
	struct err e = { 0 };
	uint64_t done = 0, total = 0;
	int r = store_copy_step(k->copy, &done, &total, &e);

	if (r != 1) {
		backup_end(k, r, &e);
		return 0;
	}
	r = sd_event_source_set_enabled(k->turn, SD_EVENT_ONESHOT);
	if (r < 0) {
		err_errno(&e, r, "cannot go on with the copy of the store");
		backup_end(k, r, &e);
		return 0;
	}
	/* If this ends the connection, `k` is gone when it returns. */
	if (k->steps++ % PROGRESS_STEPS == 0 && call_wants_more(k->call) &&
	    call_backlog(k->call) == 0)
		call_reply_more(k->call, json_pack("{s:I, s:I}", "done", (json_int_t)done, "total",
		                                   (json_int_t)total));
	return 0;
}

int method_backup(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	struct backup *k;
	int r;

	if (b->backup)
		return err_set(e, -EBUSY, "another backup is being made; try again");
	k = calloc(1, sizeof(*k));
	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	k->b = b;
	k->call = call_ref(call);
	b->backup = k;
	r = vault_copy_begin(b->vault, &k->copy, e);
	if (r == 0) {
		r = sd_event_add_defer(b->event, &k->turn, on_turn, k);
		if (r >= 0)
			r = sd_event_source_set_priority(k->turn, PRIORITY_COPY);
		if (r < 0)
			err_errno(e, r, "cannot begin a backup");
	}
	if (r < 0) {
		backup_free(k);
		return r;
	}
	call_on_gone(call, on_gone, k);
	return 0;
}

int method_restore_open(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	SCOPED_FD int fd = -1;
	int r = restore_open(b, call, e);

	if (r == -EEXIST)
		call_about(call, b->config->state_dir);
	if (r < 0)
		return r;
	fd = r;
	return call_reply_fds(call, json_pack("{s:i}", "fd", 0), &fd, 1);
}

int method_restore(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	static const char *const states[] = { [VAULT_UNINITIALISED] = "uninitialised",
		                              [VAULT_SEALED] = "sealed",
		                              [VAULT_UNSEALED] = "unsealed" };
	struct restore_request want = { 0 };
	struct err reason = { 0 };
	uint64_t epoch = 0;
	json_t *reply;
	int r = json_get_int(parameters, "size", true, 1, INT64_MAX, &want.size, e);

	if (r == 0)
		r = json_get_string(parameters, "created", false, &want.created, e);
	if (r == 0)
		r = json_get_int(parameters, "log_seq", false, 0, INT64_MAX, &want.log_seq, e);
	if (r == 0)
		r = json_get_string(parameters, "log_hash", false, &want.log_hash, e);
	if (r < 0)
		return r;
	want.who = json_object();
	call_describe(call, want.who);
	r = restore_install(b, &want, &epoch, &reason, e);
	if (r == -EEXIST)
		call_about(call, b->config->state_dir);
	if (r < 0)
		return r;
	reply = json_pack("{s:s, s:I, s:s}", "store_id", vault_store_id(b->vault), "epoch",
	                  (json_int_t)epoch, "state", states[vault_state(b->vault)]);
	if (reply && reason.text[0])
		json_object_set_new(reply, "reason", json_string(reason.text));
	return call_reply(call, reply);
}
