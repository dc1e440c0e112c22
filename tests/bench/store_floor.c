/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_floor - what a durable write costs without us, in a folder.
 *
 *	store_floor FOLDER sqlite COUNT BATCH BYTES  a transaction of BATCH rows, COUNT times: WAL, synchronous=FULL
 *	store_floor FOLDER append COUNT BATCH BYTES  BATCH * BYTES at the end of a file, then fdatasync
 *	store_floor FOLDER rename COUNT              write a file beside another, and rename it over that
 *
 * Prints one line of JSON with the time that all of it took, in nanoseconds, and the time of the last
 * rename on CLOCK_MONOTONIC.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MAX (1024 * 1024)

static unsigned char value[BYTES_MAX];

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

__attribute__((noreturn)) static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "store_floor: %s: %s\n", what, why);
	exit(1);
}

static void run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		give_up(sql, sqlite3_errmsg(db));
}

static void sqlite_rows(size_t count, size_t batch, size_t bytes)
{
	sqlite3_stmt *insert;
	sqlite3 *db;

	if (sqlite3_open("floor.db", &db) != SQLITE_OK)
		give_up("floor.db", sqlite3_errmsg(db));
	run(db, "PRAGMA journal_mode=WAL");
	run(db, "PRAGMA synchronous=FULL");
	run(db, "CREATE TABLE IF NOT EXISTS t (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID");
	if (sqlite3_prepare_v2(db, "INSERT INTO t VALUES (randomblob(32), ?)", -1, &insert, NULL))
		give_up("insert", sqlite3_errmsg(db));
	for (size_t i = 0; i < count; i++) {
		run(db, "BEGIN IMMEDIATE");
		for (size_t n = 0; n < batch; n++) {
			sqlite3_bind_blob(insert, 1, value, (int)bytes, SQLITE_STATIC);
			if (sqlite3_step(insert) != SQLITE_DONE)
				give_up("insert", sqlite3_errmsg(db));
			sqlite3_reset(insert);
		}
		run(db, "COMMIT");
	}
	sqlite3_finalize(insert);
	sqlite3_close(db);
}

static void appends(size_t count, size_t batch, size_t bytes)
{
	int fd = open("floor.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		give_up("floor.log", strerror(errno));
	for (size_t i = 0; i < count; i++) {
		for (size_t n = 0; n < batch; n++)
			if (write(fd, value, bytes) != (ssize_t)bytes)
				give_up("write", strerror(errno));
		if (fdatasync(fd) < 0)
			give_up("fdatasync", strerror(errno));
	}
	close(fd);
}

static void renames(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int fd = open("fresh", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (fd < 0 || write(fd, value, 64) != 64 || close(fd) < 0 ||
		    rename("fresh", "file") < 0)
			give_up("rename", strerror(errno));
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[2] : "";
	size_t n[3] = { 0, 1, 1 };
	uint64_t begin;

	for (int i = 3; i < argc && i < 6; i++)
		n[i - 3] = strtoull(argv[i], NULL, 10);
	if (argc < 4 || n[2] > BYTES_MAX || chdir(argv[1]) < 0) {
		fputs("usage: store_floor FOLDER sqlite|append COUNT BATCH BYTES | rename COUNT\n",
		      stderr);
		return 2;
	}
	memset(value, 0xa5, sizeof(value));
	begin = now();
	if (strcmp(mode, "sqlite") == 0)
		sqlite_rows(n[0], n[1], n[2]);
	else if (strcmp(mode, "append") == 0)
		appends(n[0], n[1], n[2]);
	else
		renames(n[0]);
	printf("{\"calls\":%zu,\"begin\":%" PRIu64 ",\"end\":%" PRIu64 "}\n", n[0], begin, now());
	return 0;
}
