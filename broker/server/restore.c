/* SPDX-License-Identifier: Apache-2.0 */
#include "server/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/log.h"
#include "server/audit_pump.h"
#include "server/config.h"
#include "server/lifecycle.h"
#include "server/ready.h"

#define RESTORE_FILE "restore.part"

static int need_none(struct broker *b, struct err *e)
{
	if (vault_state(b->vault) == VAULT_UNINITIALISED)
		return 0;
	return err_set(e, -EEXIST,
	               "there is a store in %s, and restoring replaces none: stop cofferd, move "
	               "%s/store.db and store.db-wal away, start it, and restore again",
	               b->config->state_dir, b->config->state_dir);
}

/* Of a connection that was given the file. */
struct restoring {
	struct broker *b;
};

int restore_clear(struct broker *b, struct err *e)
{
	if (unlinkat(b->state_fd, RESTORE_FILE, 0) < 0 && errno != ENOENT)
		return err_errno(e, -errno, "cannot remove %s/" RESTORE_FILE, b->config->state_dir);
	return 0;
}

/* The file may be another connection's by now, or a store. */
static void on_hangup(void *arg)
{
	struct restoring *k = arg;
	struct err why = { 0 };

	if (k->b->restoring == k) {
		k->b->restoring = NULL;
		if (restore_clear(k->b, &why) < 0)
			log_error("%s", why.text);
	}
	free(k);
}

int restore_open(struct broker *b, struct call *call, struct err *e)
{
	SCOPED(free_ptr) struct restoring *k = calloc(1, sizeof(*k));
	int r, fd;

	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	r = need_none(b, e);
	if (r == 0)
		r = restore_clear(b, e);
	if (r < 0)
		return r;
	fd = openat(b->state_fd, RESTORE_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	            0600);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make %s/" RESTORE_FILE, b->config->state_dir);
	k->b = b;
	b->restoring = k;
	call_on_hangup(call, on_hangup, TAKE_PTR(k));
	return fd;
}

/*
 * Nobody may have it open to be written when it is looked at: the kernel gives a lease on such a file
 * to nobody. A file system without leases leaves it to root's good will, who alone can ask.
 */
static int nobody_writes(int fd, struct err *e)
{
	/* A lease that somebody breaks sends SIGIO, which ends a process; this one is ignored. */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0)
		return 0;
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
		return 0;
	}
	return errno == EAGAIN ? err_set(e, -EBUSY, "the restored store is still open for writing")
	                       : 0;
}

static int check_file(struct broker *b, int64_t size, struct err *e)
{
	SCOPED_FD int fd =
		openat(b->state_fd, RESTORE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s/" RESTORE_FILE, b->config->state_dir);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at %s/" RESTORE_FILE,
		                 b->config->state_dir);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid())
		return err_set(e, -EBADMSG, "%s/" RESTORE_FILE " is not the file that was made",
		               b->config->state_dir);
	if (st.st_size != size)
		return err_set(
			e, -EBADMSG,
			"the store to be restored has %lld bytes, not the %lld that were told",
			(long long)st.st_size, (long long)size);
	return nobody_writes(fd, e);
}

/* It is a store of a format that we read, and says who may open it. */
static int check_store(struct broker *b, uint64_t *ret_epoch, struct err *e)
{
	struct store *store = NULL;
	struct vault *copy = NULL;
	int r = store_sqlite_open_copy(b->state_fd, RESTORE_FILE, &store, e);

	if (r == 0)
		r = vault_open(store, &copy, e);
	if (r == 0 && vault_state(copy) != VAULT_SEALED)
		r = err_set(e, -EBADMSG, "the store to be restored was never initialised");
	if (r == 0)
		r = vault_stored_epoch(copy, ret_epoch, e);
	vault_free(copy);
	return r;
}

static int open_vault(struct broker *b, struct err *e)
{
	struct store *store = NULL;
	int r = store_sqlite_open(b->state_fd, b->config->state_dir, &store, e);

	return r < 0 ? r : vault_open(store, &b->vault, e);
}

/* The store that is not there gives way to the one that was looked at. */
static int exchange(struct broker *b, struct err *e)
{
	struct err again = { 0 };
	int r;

	vault_free(TAKE_PTR(b->vault));
	r = store_sqlite_install(b->state_fd, b->config->state_dir, RESTORE_FILE, e);
	if (r == 0)
		b->restoring = NULL;
	if (open_vault(b, &again) == 0)
		return r;
	/* Without a store nothing of us can go on; whoever starts us again finds the old or the new. */
	log_error("cofferd: the store cannot be opened after a restore: %s", again.text);
	_exit(EXIT_FAILURE);
}

static void record(struct broker *b, struct restore_request *want, uint64_t epoch)
{
	json_t *fields = TAKE_PTR(want->who);

	json_object_set_new(fields, "store", json_string(vault_store_id(b->vault)));
	json_object_set_new(fields, "epoch", json_integer((json_int_t)epoch));
	if (want->created)
		json_object_set_new(fields, "created", json_string(want->created));
	if (want->log_seq && want->log_hash) {
		json_object_set_new(fields, "log_seq", json_integer(want->log_seq));
		json_object_set_new(fields, "log_hash", json_string(want->log_hash));
	}
	if (audit_add(b->audit, "restore", fields) < 0 || audit_pump_flush(b->audit_pump, NULL) < 0)
		log_error("the store was restored, but its audit record waits in memory");
}

int restore_install(struct broker *b, struct restore_request *want, uint64_t *ret_epoch,
                    struct err *reason, struct err *e)
{
	SCOPED(json_ptr) json_t *who = want->who;
	uint64_t epoch = 0;
	int r = need_none(b, e);

	want->who = NULL;
	if (r == 0)
		r = audit_pump_flush(b->audit_pump, e);
	if (r == 0)
		r = check_file(b, want->size, e);
	if (r == 0)
		r = check_store(b, &epoch, e);
	if (r == 0)
		r = exchange(b, e);
	if (r < 0)
		return r;
	want->who = TAKE_PTR(who);
	record(b, want, epoch);
	*ret_epoch = epoch;
	if (b->config->keyfile && lifecycle_unseal_keyfile(b, b->config->keyfile, reason) < 0)
		log_error("the restored store stays sealed: %s", reason->text);
	else
		reason->text[0] = '\0';
	ready_announce(b);
	return 0;
}
