/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "vault/store_sqlite.h"

#define PATH_SIZE 64 /* "/proc/self/fd/N/store.db" */
#define FILE_MIN 512 /* the smallest page: SQLite takes a shorter file for a new one */
#define ROW_LIMIT (STORE_VALUE_MAX + 4096)
#define SQL_LIMIT 4096 /* our longest statement is below 200 bytes */

static const char *const statement_sql[ST_COUNT] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_GET_SMALL] = "SELECT value FROM small WHERE key = ?1",
	[ST_GET_LARGE] = "SELECT value FROM large WHERE key = ?1",
	[ST_PUT_SMALL] = "INSERT INTO small (key, value) VALUES (?1, ?2) "
			 "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	[ST_PUT_LARGE] = "INSERT INTO large (key, value) VALUES (?1, ?2) "
			 "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	[ST_REMOVE_SMALL] = "DELETE FROM small WHERE key = ?1",
	[ST_REMOVE_LARGE] = "DELETE FROM large WHERE key = ?1",
	[ST_SCAN_SMALL] = "SELECT key, value FROM small WHERE key >= ?1 AND key < ?2 ORDER BY key",
	[ST_SCAN_LARGE] = "SELECT key, value FROM large WHERE key >= ?1 AND key < ?2 ORDER BY key",
};

/* What sqlite_schema of a store holds, in order of names; nothing else may be there (no trigger, no
 * view). */
static const struct schema_row {
	const char *name, *sql;
} schema[] = {
	{ "large", "CREATE TABLE large (key BLOB NOT NULL UNIQUE, value BLOB NOT NULL) STRICT" },
	{ "small", "CREATE TABLE small (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) "
	           "STRICT, WITHOUT ROWID" },
	{ "sqlite_autoindex_large_1", NULL },
};

/* Set before the file is looked at, in this order; `answer` is what SQLite must reply. */
static const struct pragma {
	const char *sql, *answer;
} pragmas_before[] = {
	{ "PRAGMA locking_mode = EXCLUSIVE", "exclusive" },
	{ "PRAGMA temp_store = MEMORY", NULL },
	{ "PRAGMA mmap_size = 0", "0" },
	{ "PRAGMA trusted_schema = OFF", NULL },
	{ "PRAGMA cell_size_check = ON", NULL },
	{ "PRAGMA synchronous = FULL", NULL },
	{ "PRAGMA secure_delete = ON", "1" },
}, pragmas_after[] = {
	{ "PRAGMA journal_mode = WAL", "wal" },
	{ "PRAGMA journal_size_limit = 4194304", "4194304" },
	{ "PRAGMA wal_autocheckpoint = 0", "0" },
};

/* Run one statement; `*ret` is the first column of its first row as a number, `answer` what it must
 * be as text. */
int store_sqlite_query(struct sqlite_store *s, const char *sql, const char *answer, int *ret,
                       struct err *e)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL), r = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		if (answer && (!text || strcmp(text, answer) != 0))
			r = err_set(e, -ENOTSUP,
			            "cannot use the store: SQLite answers \"%s\" to \"%s\"",
			            text ? text : "", sql);
		else if (ret)
			*ret = sqlite3_column_int(st, 0);
	} else if (rc != SQLITE_DONE) {
		r = store_sqlite_error(s, rc, "open the store", e);
	} else if (answer) {
		r = err_set(e, -ENOTSUP, "cannot use the store: SQLite answers nothing to \"%s\"",
		            sql);
	}
	sqlite3_finalize(st);
	return r;
}

static int apply(struct sqlite_store *s, const struct pragma *pragma, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = store_sqlite_query(s, pragma[i].sql, pragma[i].answer, NULL, e);
	return r;
}

/* The folder, not a file in it: a lock file could be removed. A description of its own, which no
 * fork has. */
static int lock_folder(struct sqlite_store *s, int dirfd, struct err *e)
{
	s->lock_fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock_fd < 0)
		return err_errno(e, -errno, "cannot open the state folder %s", s->dir);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, -EWOULDBLOCK,
		               "another cofferd uses %s already; stop it, or give this one a "
		               "--state-dir of its own",
		               s->dir);
	return err_errno(e, -errno, "cannot lock the state folder %s", s->dir);
}

/* The file itself, before SQLite sees it: made with mode 0600, an ordinary file, nobody else's. */
static int make_file(struct sqlite_store *s, int dirfd, struct err *e)
{
	SCOPED_FD int fd = openat(dirfd, STORE_FILE,
	                          O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s/" STORE_FILE, s->dir);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at %s/" STORE_FILE, s->dir);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_set(e, -EBADMSG,
		               "%s/" STORE_FILE
		               " is not an ordinary file; move it away or restore a backup",
		               s->dir);
	if (st.st_size > 0 && st.st_size < FILE_MIN)
		return store_sqlite_error(s, SQLITE_NOTADB, "open the store", e);
	if (st.st_uid != geteuid())
		return err_set(e, -EPERM,
		               "%s/" STORE_FILE
		               " belongs to user %u, not to the user of cofferd (%u)",
		               s->dir, (unsigned int)st.st_uid, (unsigned int)geteuid());
	if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
		return err_errno(e, -errno, "cannot set the mode of %s/" STORE_FILE " to 0600",
		                 s->dir);
	/* A new name is durable only with its folder. */
	if (st.st_size == 0 && fsync(s->lock_fd) < 0)
		return err_errno(e, -errno, "cannot write the state folder %s", s->dir);
	return 0;
}

static int wal_hook(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct sqlite_store *s = arg;

	s->wal_pages = pages;
	return SQLITE_OK;
}

int store_sqlite_settle(struct sqlite_store *s, struct err *e)
{
	static const struct {
		int option, value;
	} settings[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },      { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 }, { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
		{ SQLITE_DBCONFIG_DQS_DDL, 0 },        { SQLITE_DBCONFIG_DQS_DML, 0 },
	};
	int rc = sqlite3_extended_result_codes(s->db, 1);

	for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_LEN(settings); i++)
		rc = sqlite3_db_config(s->db, settings[i].option, settings[i].value, NULL);
	if (rc != SQLITE_OK)
		return store_sqlite_error(s, rc, "set up SQLite", e);
	sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, ROW_LIMIT);
	sqlite3_limit(s->db, SQLITE_LIMIT_SQL_LENGTH, SQL_LIMIT);
	sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
	return 0;
}

static int open_database(struct sqlite_store *s, struct err *e)
{
	char path[PATH_SIZE];
	int rc, r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/" STORE_FILE, s->lock_fd);
	rc = sqlite3_open_v2(path, &s->db,
	                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
	                     NULL);
	if (rc != SQLITE_OK)
		return store_sqlite_error(s, rc, "open the store", e);
	r = store_sqlite_settle(s, e);
	if (r == 0 && sqlite3_db_readonly(s->db, "main") == 1)
		r = store_sqlite_error(s, SQLITE_READONLY, "open the store", e);
	return r;
}

/* sqlite_schema must be ours, word for word. *ret: how many rows it has. */
static int check_schema(struct sqlite_store *s, size_t *ret, struct err *e)
{
	sqlite3_stmt *st = NULL;
	size_t rows = 0;
	bool same = true;
	int rc = sqlite3_prepare_v2(s->db, "SELECT name, sql FROM sqlite_schema ORDER BY name", -1,
	                            &st, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		const char *name, *sql;

		rc = sqlite3_step(st);
		if (rc != SQLITE_ROW)
			break;
		name = (const char *)sqlite3_column_text(st, 0);
		sql = (const char *)sqlite3_column_text(st, 1);
		if (rows >= ARRAY_LEN(schema) || !name || strcmp(name, schema[rows].name) != 0 ||
		    !sql != !schema[rows].sql || (sql && strcmp(sql, schema[rows].sql) != 0))
			same = false;
		rows++;
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		return store_sqlite_error(s, rc, "open the store", e);
	if (!same || (rows && rows != ARRAY_LEN(schema)))
		return err_set(e, -EBADMSG,
		               "%s/" STORE_FILE
		               " is a database, but not laid out as a store of Coffer",
		               s->dir);
	*ret = rows;
	return 0;
}

/* Is it ours, of our format, and whole as far as SQLite can tell? *fresh: nothing was ever stored
 * in it. */
int store_sqlite_identify(struct sqlite_store *s, bool *fresh, struct err *e)
{
	int application = 0, format = 0, r;
	size_t rows = 0;

	r = store_sqlite_query(s, "PRAGMA application_id", NULL, &application, e);
	if (r == 0)
		r = store_sqlite_query(s, "PRAGMA user_version", NULL, &format, e);
	if (r < 0)
		return r;
	if (application != 0 && application != STORE_APPLICATION_ID)
		return err_set(e, -EBADMSG,
		               "%s/" STORE_FILE " is a database of another program; move it away",
		               s->dir);
	if (application == STORE_APPLICATION_ID && format != STORE_FORMAT)
		return err_set(
			e, -EPROTONOSUPPORT,
			"%s/" STORE_FILE
			" has format %d, this cofferd reads format %d: use the version of Coffer "
			"that wrote it",
			s->dir, format, STORE_FORMAT);
	r = check_schema(s, &rows, e);
	if (r < 0)
		return r;
	*fresh = application == 0 && format == 0 && rows == 0;
	if (!*fresh && (application == 0 || rows == 0))
		return err_set(e, -EBADMSG,
		               "%s/" STORE_FILE " is a database of another program; move it away",
		               s->dir);
	return 0;
}

/* One transaction, so that a crash leaves an empty file or a store. */
static int create_schema(struct sqlite_store *s, struct err *e)
{
	char application[64], format[64];
	const char *steps[] = { "BEGIN IMMEDIATE", schema[0].sql, schema[1].sql,
		                application,       format,        "COMMIT" };
	int r = 0;

	snprintf(application, sizeof(application), "PRAGMA application_id = %d",
	         STORE_APPLICATION_ID);
	snprintf(format, sizeof(format), "PRAGMA user_version = %d", STORE_FORMAT);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++)
		r = store_sqlite_query(s, steps[i], NULL, NULL, e);
	return r;
}

int store_sqlite_prepare(struct sqlite_store *s, struct err *e)
{
	for (size_t i = 0; i < ST_COUNT; i++) {
		int rc = sqlite3_prepare_v3(s->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
		                            &s->statement[i], NULL);

		if (rc != SQLITE_OK)
			return store_sqlite_error(s, rc, "open the store", e);
	}
	return 0;
}

/*
 * What a former broker left in the log is written into the database and synced before anything
 * else: if its sync failed, the pages may look clean to the kernel without being on disk. A full
 * disk leaves the log as it is.
 */
static int settle_log(struct sqlite_store *s, struct err *e)
{
	int r = store_sqlite_checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE, e);

	return r == -ENOSPC ? 0 : r;
}

static int open_all(struct sqlite_store *s, int dirfd, struct err *e)
{
	bool fresh = false;
	int r = lock_folder(s, dirfd, e);

	if (r == 0)
		r = make_file(s, dirfd, e);
	if (r == 0)
		r = open_database(s, e);
	if (r == 0)
		r = apply(s, pragmas_before, ARRAY_LEN(pragmas_before), e);
	if (r == 0)
		r = store_sqlite_identify(s, &fresh, e);
	if (r == 0)
		r = apply(s, pragmas_after, ARRAY_LEN(pragmas_after), e);
	if (r == 0 && fresh)
		r = create_schema(s, e);
	if (r == 0)
		r = store_sqlite_prepare(s, e);
	if (r == 0)
		r = settle_log(s, e);
	if (r == 0)
		sqlite3_wal_hook(s->db, wal_hook, s);
	return r;
}

int store_sqlite_open(int dirfd, const char *dir_for_messages, struct store **ret, struct err *e)
{
	struct sqlite_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "cannot open the store: out of memory");
	s->base.backend = &sqlite_backend;
	s->lock_fd = -1;
	s->dir = strdup(dir_for_messages);
	r = s->dir ? open_all(s, dirfd, e)
	           : err_set(e, -ENOMEM, "cannot open the store: out of memory");
	if (r < 0) {
		store_close(&s->base);
		return r;
	}
	*ret = &s->base;
	return 0;
}
