/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of a store: opened to be looked at, checked, and put in a store's place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "vault/header.h"
#include "vault/root.h"
#include "vault/store_sqlite.h"

#define URI_SIZE 128
#define IMAGE_MIN 512 /* bytes: the smallest page, which has the header */
#define LOG_MODE 2    /* of the two bytes at 18: such a file is not whole without its log */

static int image_bad(struct err *e, const char *why)
{
	return err_set(e, -EBADMSG, "the copy of the store is damaged: %s", why);
}

static struct sqlite_store *image_new(void)
{
	struct sqlite_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->base.backend = &sqlite_backend;
	s->lock_fd = -1;
	s->dir = strdup("the backup");
	if (!s->dir) {
		free(s);
		return NULL;
	}
	return s;
}

static int image_settle(struct sqlite_store *s, struct err *e)
{
	bool fresh = false;
	int r = store_sqlite_settle(s, e);

	if (r == 0)
		r = store_sqlite_query(s, "PRAGMA cell_size_check = ON", NULL, NULL, e);
	if (r == 0)
		r = store_sqlite_identify(s, &fresh, e);
	if (r == 0 && fresh)
		r = image_bad(e, "it is empty");
	return r == 0 ? store_sqlite_prepare(s, e) : r;
}

static int image_done(struct sqlite_store *s, int r, struct store **ret)
{
	if (r < 0)
		store_close(&s->base);
	else
		*ret = &s->base;
	return r;
}

int store_sqlite_open_image(unsigned char *bytes, size_t len, struct store **ret, struct err *e)
{
	struct sqlite_store *s;
	int rc, r = 0;

	if (len < IMAGE_MIN)
		return image_bad(e, "it is too short");
	if (bytes[18] == LOG_MODE || bytes[19] == LOG_MODE)
		return image_bad(e, "it is not whole without a log that is not in it");
	s = image_new();
	if (!s)
		return err_set(e, -ENOMEM, "cannot open the copy of the store: out of memory");
	rc = sqlite3_open_v2(":memory:", &s->db,
	                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
	                     NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_deserialize(s->db, "main", bytes, (sqlite3_int64)len,
		                         (sqlite3_int64)len, SQLITE_DESERIALIZE_READONLY);
	if (rc != SQLITE_OK)
		r = store_sqlite_error(s, rc, "open the copy of the store", e);
	if (r == 0)
		r = image_settle(s, e);
	return image_done(s, r, ret);
}

int store_sqlite_open_copy(int dirfd, const char *name, struct store **ret, struct err *e)
{
	struct sqlite_store *s = image_new();
	char uri[URI_SIZE];
	int rc, r = 0;

	if (!s)
		return err_set(e, -ENOMEM, "cannot open the copy of the store: out of memory");
	snprintf(uri, sizeof(uri), "file:/proc/self/fd/%d/%s?immutable=1", dirfd, name);
	rc = sqlite3_open_v2(uri, &s->db,
	                     SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
	                             SQLITE_OPEN_URI,
	                     NULL);
	if (rc != SQLITE_OK)
		r = store_sqlite_error(s, rc, "open the copy of the store", e);
	if (r == 0)
		r = image_settle(s, e);
	return image_done(s, r, ret);
}

/* How many of each class were seen, and whether each could be one. */
struct shapes {
	size_t header, root;
	bool bad;
};

/* Of header and root there is one, under the key that says nothing but its class. */
static bool is_single(const unsigned char key[STORE_KEY_LEN])
{
	for (size_t i = 1; i < STORE_KEY_LEN; i++)
		if (key[i])
			return false;
	return true;
}

static int visit_shape(void *arg, const unsigned char key[STORE_KEY_LEN], struct store_bytes value)
{
	struct shapes *seen = arg;

	switch (key[0]) {
	case STORE_HEADER:
		seen->header++;
		seen->bad |= value.len > HEADER_LEN_MAX || !is_single(key);
		break;
	case STORE_ROOT:
		seen->root++;
		seen->bad |= value.len != ROOT_LEN || !is_single(key);
		break;
	default:
		seen->bad |= value.len <= SEAL_OVERHEAD;
	}
	return 0;
}

int store_sqlite_check(struct store *base, struct err *e)
{
	struct sqlite_store *s = (struct sqlite_store *)base;
	struct shapes seen = { 0 };
	sqlite3_stmt *st = NULL;
	int r = 0, rc = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc != SQLITE_ROW || strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
		r = image_bad(e, rc == SQLITE_ROW ? "SQLite finds its pages out of order"
		                                  : "SQLite cannot read it");
	sqlite3_finalize(st);
	for (unsigned int class = STORE_HEADER; r == 0 && class <= STORE_BODY; class ++)
		r = base->backend->scan(base, class, visit_shape, &seen, e);
	if (r == 0 && (seen.bad || seen.header != 1 || seen.root != 1))
		r = image_bad(e, "its records are not those of a store");
	return r;
}

/* A log beside the old file would be taken for the new one's: it is gone for good before that. */
static int remove_old_log(int dirfd, const char *dir, struct err *e)
{
	static const char *const names[] = { STORE_FILE "-wal", STORE_FILE "-journal",
		                             STORE_FILE "-shm" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(dirfd, names[i], 0) < 0 && errno != ENOENT)
			return err_errno(e, -errno, "cannot remove %s/%s", dir, names[i]);
	if (fsync(dirfd) < 0)
		return err_errno(e, -errno, "cannot write the state folder %s", dir);
	return 0;
}

int store_sqlite_install(int dirfd, const char *dir, const char *name, struct err *e)
{
	SCOPED_FD int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(e, -errno, "cannot write %s/%s", dir, name);
	r = remove_old_log(dirfd, dir, e);
	if (r < 0)
		return r;
	if (renameat(dirfd, name, dirfd, STORE_FILE) < 0)
		return err_errno(e, -errno, "cannot put %s/%s in its place", dir, name);
	if (fsync(dirfd) < 0)
		return err_errno(e, -errno, "cannot write the state folder %s", dir);
	return 0;
}
