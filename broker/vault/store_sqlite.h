/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_sqlite.h - what the two halves of the SQLite backend share: opening and checking the file
 * (store_sqlite_open.c), and reading and writing records (store_sqlite.c).
 *
 * Two tables, so that each has the layout that suits it: `small` (header, root, documents) is kept
 * in order of keys, as unsealing scans it; `large` (bodies) spills into overflow pages better as a
 * rowid table. One connection, one thread, exclusively locked; WAL with synchronous=FULL, so a
 * commit ends with an fsync of the log.
 *
 * Checkpoints are ours: SQLite's automatic ones ignore errors, and an fsync that failed must not be
 * forgotten. After an error of that kind the store is `failed` and refuses everything (see
 * store.h).
 */
#pragma once

#include <sqlite3.h>

#include "vault/store.h"

#define STORE_FILE "store.db"
#define STORE_APPLICATION_ID 0x43464652 /* "CFFR", at offset 68 of the file */
#define STORE_FORMAT 1                  /* user_version, at offset 60 */

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_GET_SMALL,
	ST_GET_LARGE,
	ST_PUT_SMALL,
	ST_PUT_LARGE,
	ST_REMOVE_SMALL,
	ST_REMOVE_LARGE,
	ST_SCAN_SMALL,
	ST_SCAN_LARGE,
	ST_COUNT,
};

struct sqlite_store {
	struct store base;
	sqlite3 *db;
	sqlite3_stmt *statement[ST_COUNT];
	int lock_fd;      /* the folder, flocked */
	char *dir;        /* for messages */
	int wal_pages;    /* in the log after the last commit */
	bool failed;      /* final: what is on disk is unknown */
	bool transaction; /* between begin and commit or rollback */
};

extern const struct store_backend sqlite_backend;

/* Turn an SQLite result into a negative errno and a sentence: "cannot " + doing + ": " + why and
 * what to do. */
int store_sqlite_error(struct sqlite_store *s, int rc, const char *doing, struct err *e);

/*
 * Move the log into the database. -ENOSPC does no harm (the log keeps what it has); any other error
 * but a reader in the way marks the store failed.
 */
int store_sqlite_checkpoint(struct sqlite_store *s, int mode, struct err *e);

/* Is the database that is open a store's, of our format? *fresh: nothing was ever stored in it. */
int store_sqlite_identify(struct sqlite_store *s, bool *fresh, struct err *e);
/* Settings of the connection that hold for every store, and the statements of sqlite_backend. */
int store_sqlite_settle(struct sqlite_store *s, struct err *e);
int store_sqlite_prepare(struct sqlite_store *s, struct err *e);
/* One statement; `*ret` is the first column of its first row, `answer` what it must be as text. */
int store_sqlite_query(struct sqlite_store *s, const char *sql, const char *answer, int *ret,
                       struct err *e);

/* The backend's copy (store_sqlite_copy.c). */
int store_sqlite_copy(struct store *base, struct store_copy **ret, struct err *e);
