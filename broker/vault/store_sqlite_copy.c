/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of the store while it is used. SQLite's online backup does the pages: what this connection
 * (the only one) changes behind the copy's back is written to both.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "vault/store_sqlite.h"

#define COPY_FILE "backup.part"
#define COPY_PATH_SIZE 64 /* "/proc/self/fd/N/backup.part" */
#define STEP_PAGES 64     /* 256 KiB: well below a millisecond, unless the disk is busy */
#define PAGE_BYTES 4096   /* SQLite's default, which every store has */
/* A change that is taken back makes SQLite begin again. So often, and then somebody is at it. */
#define ROUNDS_MAX 32
#define SHORT_ROUND 64 /* steps of a round of the smallest store */
/* In the file's header: how it is written and read. 2 is with a log beside it, which a copy has not. */
#define MODE_OFFSET 18

struct store_copy {
	struct sqlite_store *s;
	sqlite3 *db;
	sqlite3_backup *backup;
	int fd;      /* read-write */
	int read_fd; /* of the same file */
	uint64_t steps;
};

static int copy_error(const struct store_copy *c, int rc, struct err *e)
{
	int number = c->db ? sqlite3_system_errno(c->db) : 0;

	if ((rc & 0xff) == SQLITE_FULL || number == ENOSPC || number == EDQUOT)
		return err_set(e, -ENOSPC,
		               "cannot copy the store: the disk that holds %s is full; for a "
		               "backup it needs room for a second copy",
		               c->s->dir);
	if ((rc & 0xff) == SQLITE_NOMEM)
		return err_set(e, -ENOMEM, "cannot copy the store: out of memory");
	return err_set(e, -EIO, "cannot copy the store: %s (in %s)", sqlite3_errstr(rc), c->s->dir);
}

/* The file loses its name as soon as all have it open. One of a killed broker's is taken away. */
static int open_file(struct store_copy *c, struct err *e)
{
	const int dir = c->s->lock_fd;
	char path[COPY_PATH_SIZE];
	int rc, r = 0;

	if (unlinkat(dir, COPY_FILE, 0) < 0 && errno != ENOENT)
		return err_errno(e, -errno, "cannot remove %s/" COPY_FILE, c->s->dir);
	c->fd = openat(dir, COPY_FILE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c->fd < 0)
		return err_errno(e, -errno, "cannot make %s/" COPY_FILE, c->s->dir);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" COPY_FILE, dir);
	c->read_fd = openat(dir, COPY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (c->read_fd < 0)
		r = err_errno(e, -errno, "cannot open %s/" COPY_FILE, c->s->dir);
	rc = sqlite3_open_v2(path, &c->db,
	                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
	                     NULL);
	if (r == 0 && rc != SQLITE_OK)
		r = copy_error(c, rc, e);
	if (unlinkat(dir, COPY_FILE, 0) < 0 && r == 0)
		r = err_errno(e, -errno, "cannot remove the name of %s/" COPY_FILE, c->s->dir);
	return r;
}

static int begin(struct store_copy *c, struct err *e)
{
	int r = open_file(c, e), rc = SQLITE_OK;

	if (r < 0)
		return r;
	/* Nobody reads it before it is whole, and what is not whole is thrown away. */
	rc = sqlite3_exec(c->db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL,
	                  NULL);
	if (rc != SQLITE_OK)
		return copy_error(c, rc, e);
	c->backup = sqlite3_backup_init(c->db, "main", c->s->db, "main");
	return c->backup ? 0 : copy_error(c, sqlite3_errcode(c->db), e);
}

int store_sqlite_copy(struct store *base, struct store_copy **ret, struct err *e)
{
	struct store_copy *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, -ENOMEM, "cannot copy the store: out of memory");
	c->s = (struct sqlite_store *)base;
	c->fd = c->read_fd = -1;
	r = c->s->failed ? err_set(e, -EIO,
	                           "an earlier write to the store in %s failed: restart cofferd",
	                           c->s->dir)
	                 : begin(c, e);
	if (r < 0) {
		store_copy_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int store_copy_begin(struct store *s, struct store_copy **ret, struct err *e)
{
	if (!s->backend->copy)
		return err_set(e, -ENOTSUP, "this kind of store cannot be copied");
	return s->backend->copy(s, ret, e);
}

/* Everything is in it: it becomes a file that stands for itself. */
static int finish(struct store_copy *c, struct err *e)
{
	static const unsigned char alone[2] = { 1, 1 };
	int rc = sqlite3_backup_finish(TAKE_PTR(c->backup));

	if (rc == SQLITE_OK)
		rc = sqlite3_close(c->db);
	if (rc != SQLITE_OK)
		return copy_error(c, rc, e);
	c->db = NULL;
	if (pwrite(c->fd, alone, sizeof(alone), MODE_OFFSET) != sizeof(alone))
		return err_errno(e, errno ? -errno : -EIO, "cannot finish the copy of the store");
	c->fd = fd_close(c->fd);
	return 0;
}

int store_copy_step(struct store_copy *c, uint64_t *ret_done, uint64_t *ret_total, struct err *e)
{
	int rc, total, left;

	if (!c->backup)
		return 0;
	rc = sqlite3_backup_step(c->backup, STEP_PAGES);
	total = sqlite3_backup_pagecount(c->backup);
	left = sqlite3_backup_remaining(c->backup);
	*ret_total = (uint64_t)total * PAGE_BYTES;
	*ret_done = (uint64_t)(total - left) * PAGE_BYTES;
	if (rc == SQLITE_DONE)
		return finish(c, e);
	if (rc != SQLITE_OK)
		return copy_error(c, rc, e);
	if (++c->steps > (uint64_t)ROUNDS_MAX * ((uint64_t)total / STEP_PAGES + SHORT_ROUND))
		return err_set(e, -EBUSY,
		               "the store changes faster than it can be copied; try again");
	return 1;
}

int store_copy_take(struct store_copy *c)
{
	return TAKE_FD(c->read_fd);
}

void store_copy_free(struct store_copy *c)
{
	if (!c)
		return;
	sqlite3_backup_finish(c->backup);
	sqlite3_close(c->db);
	fd_close(c->fd);
	fd_close(c->read_fd);
	free(c);
}
