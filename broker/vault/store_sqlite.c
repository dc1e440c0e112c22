/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/store_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"

#define CHECKPOINT_PAGES 1000 /* 4 MB of log: SQLite's own default */

static struct sqlite_store *from_base(struct store *s)
{
	return (struct sqlite_store *)s;
}

/* SQLite says IOERR where a quota ended a write; for us that is a full disk, not a broken one. */
static bool is_full(struct sqlite_store *s, int rc)
{
	int number = s->db ? sqlite3_system_errno(s->db) : 0;

	return (rc & 0xff) == SQLITE_FULL ||
	       (rc == SQLITE_IOERR_WRITE && (number == ENOSPC || number == EDQUOT));
}

int store_sqlite_error(struct sqlite_store *s, int rc, const char *doing, struct err *e)
{
	int number = s->db ? sqlite3_system_errno(s->db) : 0;

	if (is_full(s, rc))
		return err_set(e, -ENOSPC,
		               "cannot %s: the disk that holds %s is full; nothing was changed, "
		               "free some space and "
		               "repeat",
		               doing, s->dir);
	if (rc == SQLITE_IOERR_NOMEM)
		rc = SQLITE_NOMEM;
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return err_set(e, -ENOMEM, "cannot %s: out of memory", doing);
	case SQLITE_READONLY:
		return err_set(e, -EROFS,
		               "cannot %s: %s is read-only; mount it writable and restart cofferd",
		               doing, s->dir);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, -EWOULDBLOCK,
		               "cannot %s: another process has %s/" STORE_FILE
		               " open; end it and repeat",
		               doing, s->dir);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return err_set(e, -EBADMSG,
		               "cannot %s: %s/" STORE_FILE
		               " is damaged or no store of Coffer; restore a backup",
		               doing, s->dir);
	case SQLITE_TOOBIG:
		return err_set(e, -EFBIG, "cannot %s: the record is too large", doing);
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return err_errno(e, number > 0 ? -number : -EACCES,
		                 "cannot %s: %s/" STORE_FILE " cannot be opened", doing, s->dir);
	default:
		return err_set(e, -EIO,
		               "cannot %s: %s (in %s); check the disk and the kernel's log, then "
		               "restart cofferd",
		               doing, sqlite3_errstr(rc), s->dir);
	}
}

/* As above for a write: unless it merely found no room, nobody knows what reached the disk. */
static int write_error(struct sqlite_store *s, int rc, const char *doing, struct err *e)
{
	if ((rc & 0xff) == SQLITE_IOERR && rc != SQLITE_IOERR_NOMEM && !is_full(s, rc))
		s->failed = true;
	return store_sqlite_error(s, rc, doing, e);
}

static int refuse_failed(struct sqlite_store *s, struct err *e)
{
	return err_set(e, -EIO,
	               "an earlier write to the store in %s failed, so that its state on disk is "
	               "unknown; check the "
	               "disk and the kernel's log, then restart cofferd",
	               s->dir);
}

int store_sqlite_checkpoint(struct sqlite_store *s, int mode, struct err *e)
{
	int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, NULL, NULL);

	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return 0;
	if (!is_full(s, rc) && (rc & 0xff) != SQLITE_NOMEM && rc != SQLITE_IOERR_NOMEM)
		s->failed = true;
	return store_sqlite_error(s, rc, "move the store's log into its database", e);
}

/* Run a statement that yields no rows. */
static int run(struct sqlite_store *s, enum statement which)
{
	sqlite3_stmt *st = s->statement[which];
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void rollback(struct store *base)
{
	struct sqlite_store *s = from_base(base);

	s->transaction = false;
	if (!sqlite3_get_autocommit(s->db) && run(s, ST_ROLLBACK) != SQLITE_OK &&
	    !sqlite3_get_autocommit(s->db))
		s->failed = true; /* still inside a transaction that can't be ended */
}

static int begin(struct store *base, struct err *e)
{
	struct sqlite_store *s = from_base(base);
	int rc;

	if (s->failed)
		return refuse_failed(s, e);
	if (s->transaction)
		return err_set(e, -EINVAL, "a transaction of the store is under way already");
	rc = run(s, ST_BEGIN);
	if (rc != SQLITE_OK)
		return write_error(s, rc, "begin a change of the store", e);
	s->transaction = true;
	return 0;
}

static int commit(struct store *base, struct err *e)
{
	struct sqlite_store *s = from_base(base);
	int rc, r;

	if (s->failed)
		return refuse_failed(s, e);
	if (!s->transaction)
		return err_set(e, -EINVAL, "no transaction of the store is under way");
	rc = run(s, ST_COMMIT);
	if (rc != SQLITE_OK) {
		r = write_error(s, rc, "write a change to the store", e);
		rollback(base);
		return r;
	}
	s->transaction = false;
	/* The change is durable already: an error here is found by the next call, through `failed`.
	 */
	if (s->wal_pages >= CHECKPOINT_PAGES)
		store_sqlite_checkpoint(s, SQLITE_CHECKPOINT_PASSIVE, NULL);
	return 0;
}

static bool is_large(const unsigned char key[STORE_KEY_LEN])
{
	return key[0] == STORE_BODY;
}

/* One row of the value of `key`: 1 with the bytes borrowed until the statement is reset, 0 or
 * -errno. */
static int look_up(struct sqlite_store *s, const unsigned char key[STORE_KEY_LEN],
                   struct store_bytes *ret, struct err *e)
{
	sqlite3_stmt *st = s->statement[is_large(key) ? ST_GET_LARGE : ST_GET_SMALL];
	int rc;

	if (s->failed)
		return refuse_failed(s, e);
	rc = sqlite3_bind_blob(st, 1, key, STORE_KEY_LEN, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return store_sqlite_error(s, rc, "read a record of the store", e);
	ret->bytes = sqlite3_column_blob(st, 0);
	ret->len = (size_t)sqlite3_column_bytes(st, 0);
	if (!ret->bytes && sqlite3_errcode(s->db) == SQLITE_NOMEM)
		return store_sqlite_error(s, SQLITE_NOMEM, "read a record of the store", e);
	if (ret->len > STORE_VALUE_MAX)
		return store_sqlite_error(s, SQLITE_CORRUPT, "read a record of the store", e);
	return 1;
}

static void look_up_end(struct sqlite_store *s, const unsigned char key[STORE_KEY_LEN])
{
	sqlite3_stmt *st = s->statement[is_large(key) ? ST_GET_LARGE : ST_GET_SMALL];

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

static int get(struct store *base, const unsigned char key[STORE_KEY_LEN], void **ret,
               size_t *ret_len, struct err *e)
{
	struct sqlite_store *s = from_base(base);
	struct store_bytes value = { 0 };
	int r = look_up(s, key, &value, e);

	if (r == 1) {
		void *copy = malloc(value.len + 1);

		if (copy) {
			if (value.len)
				memcpy(copy, value.bytes, value.len);
			*ret = copy;
			*ret_len = value.len;
		} else {
			r = store_sqlite_error(s, SQLITE_NOMEM, "read a record of the store", e);
		}
	}
	look_up_end(s, key);
	return r;
}

static int check_expected(struct sqlite_store *s, const unsigned char key[STORE_KEY_LEN],
                          const struct store_bytes *expected, struct err *e)
{
	struct store_bytes value = { 0 };
	bool holds;
	int r = look_up(s, key, &value, e);

	if (r >= 0) {
		if (expected->bytes)
			holds = r == 1 && value.len == expected->len &&
			        (value.len == 0 ||
			         memcmp(value.bytes, expected->bytes, value.len) == 0);
		else
			holds = r == 0;
		r = holds ? 0
		          : err_set(e, -EAGAIN,
		                    "the store in %s was changed by someone else meanwhile; repeat",
		                    s->dir);
	}
	look_up_end(s, key);
	return r;
}

static int write_ready(struct sqlite_store *s, struct err *e)
{
	if (s->failed)
		return refuse_failed(s, e);
	if (!s->transaction)
		return err_set(e, -EINVAL, "no transaction of the store is under way");
	return 0;
}

static int put(struct store *base, const unsigned char key[STORE_KEY_LEN], struct store_bytes value,
               const struct store_bytes *expected, struct err *e)
{
	struct sqlite_store *s = from_base(base);
	enum statement which = is_large(key) ? ST_PUT_LARGE : ST_PUT_SMALL;
	sqlite3_stmt *st = s->statement[which];
	int rc, r = write_ready(s, e);

	if (r == 0 && value.len > STORE_VALUE_MAX)
		r = store_sqlite_error(s, SQLITE_TOOBIG, "write a record of the store", e);
	if (r == 0 && expected)
		r = check_expected(s, key, expected, e);
	if (r < 0)
		return r;
	rc = sqlite3_bind_blob(st, 1, key, STORE_KEY_LEN, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_blob(st, 2, value.len ? value.bytes : "", (int)value.len,
		                       SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = run(s, which);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_OK ? 0 : write_error(s, rc, "write a record of the store", e);
}

static int remove_record(struct store *base, const unsigned char key[STORE_KEY_LEN], struct err *e)
{
	struct sqlite_store *s = from_base(base);
	enum statement which = is_large(key) ? ST_REMOVE_LARGE : ST_REMOVE_SMALL;
	sqlite3_stmt *st = s->statement[which];
	int rc, r = write_ready(s, e);

	if (r < 0)
		return r;
	rc = sqlite3_bind_blob(st, 1, key, STORE_KEY_LEN, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = run(s, which);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_OK ? 0 : write_error(s, rc, "remove a record of the store", e);
}

static int scan_row(struct sqlite_store *s, sqlite3_stmt *st, store_visit visit, void *arg,
                    struct err *e)
{
	const unsigned char *key = sqlite3_column_blob(st, 0);
	int key_len = sqlite3_column_bytes(st, 0);
	struct store_bytes value;

	value.bytes = sqlite3_column_blob(st, 1);
	value.len = (size_t)sqlite3_column_bytes(st, 1);
	if (sqlite3_errcode(s->db) == SQLITE_NOMEM)
		return store_sqlite_error(s, SQLITE_NOMEM, "read the store", e);
	if (key_len != STORE_KEY_LEN || value.len > STORE_VALUE_MAX)
		return store_sqlite_error(s, SQLITE_CORRUPT, "read the store", e);
	if (!value.bytes)
		value.bytes = "";
	return visit(arg, key, value);
}

static int scan(struct store *base, enum store_class class, store_visit visit, void *arg,
                struct err *e)
{
	struct sqlite_store *s = from_base(base);
	sqlite3_stmt *st = s->statement[class == STORE_BODY ? ST_SCAN_LARGE : ST_SCAN_SMALL];
	const unsigned char from[1] = { (unsigned char)class },
			    to[1] = { (unsigned char)(class + 1) };
	int rc, r = 0;

	if (s->failed)
		return refuse_failed(s, e);
	rc = sqlite3_bind_blob(st, 1, from, 1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_blob(st, 2, to, 1, SQLITE_STATIC);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW)
			r = scan_row(s, st, visit, arg, e);
		if (r != 0)
			break;
	}
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (r == 0 && rc != SQLITE_DONE)
		r = store_sqlite_error(s, rc, "read the store", e);
	return r;
}

static int watch(struct store *base)
{
	return 0; /* exclusively locked: nobody else can have changed it */
}

static void close_store(struct store *base)
{
	struct sqlite_store *s = from_base(base);

	for (size_t i = 0; i < ST_COUNT; i++)
		sqlite3_finalize(s->statement[i]);
	/* After a failed sync the log must not be moved on top of what may still be whole. */
	if (s->db && s->failed)
		sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(s->db);
	s->lock_fd =
		fd_close(s->lock_fd); /* after the last write: the next broker may open it now */
	free(s->dir);
	free(s);
}

const struct store_backend sqlite_backend = {
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.get = get,
	.put = put,
	.remove = remove_record,
	.scan = scan,
	.watch = watch,
	.copy = store_sqlite_copy,
	.close = close_store,
};
