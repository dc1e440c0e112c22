/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/bolt_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "attach/trusted.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"

#define TRIES 5 /* an engine commits some times for each container, with a disk between */
#define META_ROOM (128 * 1024) /* two meta pages of the largest size */

void bolt_file_clear(struct bolt_file *f)
{
	free(f->bytes);
	*f = (struct bolt_file){ 0 };
}

/* Whether the last committed transaction is still that of `db`. 1, 0 or -errno. */
static int is_current(int fd, const struct bolt *db, struct err *e)
{
	SCOPED(free_ptr) unsigned char *bytes = malloc(META_ROOM);
	struct bolt now;
	ssize_t n;
	int r;

	if (!bytes)
		return -ENOMEM;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	n = io_read_all(fd, bytes, META_ROOM);
	if (n < 0)
		return (int)n;
	r = bolt_open(bytes, (size_t)n, &now, e);
	return r < 0 ? r : now.txid == db->txid;
}

/* 1: read; 0: it changed meanwhile; or -errno, without a sentence where it is the system's. */
static int read_once(int fd, struct bolt_file *ret, struct err *e)
{
	SCOPED(free_ptr) unsigned char *bytes = NULL;
	struct stat st;
	struct bolt db;
	ssize_t n;
	int r;

	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	if (st.st_size > BOLT_FILE_MAX)
		return -EFBIG;
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	n = io_read_all(fd, bytes, (size_t)st.st_size);
	if (n < 0)
		return (int)n;
	r = bolt_open(bytes, (size_t)n, &db, e);
	if (r == 0)
		r = is_current(fd, &db, e);
	if (r > 0)
		*ret = (struct bolt_file){ db, TAKE_PTR(bytes) };
	return r;
}

int bolt_file_read(int folder, const char *name, struct bolt_file *ret, bool *by_root,
                   struct err *e)
{
	struct err why = { "" };
	bool theirs = *by_root;
	size_t size = 0;
	SCOPED_FD int fd = trusted_open_file(folder, name, &size, &theirs, e);
	int r = 0;

	if (fd < 0)
		return fd;
	for (int i = 0; i < TRIES && r == 0; i++)
		r = read_once(fd, ret, &why);
	if (r == 0)
		return err_set(e, -EAGAIN, "%s changed again and again while it was read", name);
	if (r == -EBADMSG)
		return err_set(e, r, "%s: %s", name, why.text);
	if (r == -EFBIG)
		return err_set(e, r, "%s is larger than %d bytes", name, BOLT_FILE_MAX);
	if (r < 0)
		return err_errno(e, r, "cannot read %s", name);
	*by_root = theirs;
	return 0;
}
