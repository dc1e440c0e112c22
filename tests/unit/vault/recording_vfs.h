/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recording_vfs.h - an SQLite VFS that writes through to the real one and keeps a list of what was
 * written, synced, truncated and deleted, in order. From it the files can be made as a power cut at
 * any moment may leave them.
 *
 * Source of the interface: https://www.sqlite.org/c3ref/io_methods.html
 */
#pragma once

#include <check.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_EVENTS_MAX 4096
#define RECORD_FILES_MAX 4

enum event_kind { EV_CREATE, EV_WRITE, EV_TRUNCATE, EV_SYNC, EV_DELETE, EV_ACKNOWLEDGED };

struct event {
	enum event_kind kind;
	int file;             /* index of its name */
	sqlite3_int64 offset; /* or the new size, or what was acknowledged */
	unsigned char *bytes;
	int len;
	bool durable; /* EV_DELETE: the folder is synced */
};

struct recording {
	struct event event[RECORD_EVENTS_MAX];
	size_t events;
	char name[RECORD_FILES_MAX][32];
	int names;
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
};

static struct recording recording;

struct recording_file {
	sqlite3_file base;
	int file;
	sqlite3_file *real; /* behind this struct */
};

static inline int recording_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	int i = 0;

	while (i < recording.names && strcmp(recording.name[i], name) != 0)
		i++;
	if (i == recording.names) {
		ck_assert_int_lt(recording.names, RECORD_FILES_MAX);
		ck_assert_uint_lt(strlen(name), sizeof(recording.name[0]));
		strcpy(recording.name[recording.names++], name);
	}
	return i;
}

static inline struct event *recording_add(enum event_kind kind, int file)
{
	struct event *event = &recording.event[recording.events++];

	ck_assert_uint_lt(recording.events, RECORD_EVENTS_MAX);
	*event = (struct event){ .kind = kind, .file = file };
	return event;
}

static inline sqlite3_file *recording_real(sqlite3_file *f)
{
	return ((struct recording_file *)f)->real;
}

static int recording_close(sqlite3_file *f)
{
	return recording_real(f)->pMethods->xClose(recording_real(f));
}

static int recording_read(sqlite3_file *f, void *to, int len, sqlite3_int64 offset)
{
	return recording_real(f)->pMethods->xRead(recording_real(f), to, len, offset);
}

static int recording_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 offset)
{
	struct event *event = recording_add(EV_WRITE, ((struct recording_file *)f)->file);

	event->offset = offset;
	event->len = len;
	event->bytes = malloc((size_t)len);
	ck_assert_ptr_nonnull(event->bytes);
	memcpy(event->bytes, bytes, (size_t)len);
	return recording_real(f)->pMethods->xWrite(recording_real(f), bytes, len, offset);
}

static int recording_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	recording_add(EV_TRUNCATE, ((struct recording_file *)f)->file)->offset = size;
	return recording_real(f)->pMethods->xTruncate(recording_real(f), size);
}

static int recording_sync(sqlite3_file *f, int flags)
{
	recording_add(EV_SYNC, ((struct recording_file *)f)->file);
	return recording_real(f)->pMethods->xSync(recording_real(f), flags);
}

static int recording_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return recording_real(f)->pMethods->xFileSize(recording_real(f), ret);
}

static int recording_lock(sqlite3_file *f, int level)
{
	return recording_real(f)->pMethods->xLock(recording_real(f), level);
}

static int recording_unlock(sqlite3_file *f, int level)
{
	return recording_real(f)->pMethods->xUnlock(recording_real(f), level);
}

static int recording_check_lock(sqlite3_file *f, int *ret)
{
	return recording_real(f)->pMethods->xCheckReservedLock(recording_real(f), ret);
}

static int recording_control(sqlite3_file *f, int op, void *arg)
{
	return recording_real(f)->pMethods->xFileControl(recording_real(f), op, arg);
}

static int recording_sector(sqlite3_file *f)
{
	return recording_real(f)->pMethods->xSectorSize(recording_real(f));
}

static int recording_character(sqlite3_file *f)
{
	return recording_real(f)->pMethods->xDeviceCharacteristics(recording_real(f));
}

/* Version 1: without shared memory, which an exclusively locked database has no use for. */
static const sqlite3_io_methods recording_methods = {
	.iVersion = 1,
	.xClose = recording_close,
	.xRead = recording_read,
	.xWrite = recording_write,
	.xTruncate = recording_truncate,
	.xSync = recording_sync,
	.xFileSize = recording_size,
	.xLock = recording_lock,
	.xUnlock = recording_unlock,
	.xCheckReservedLock = recording_check_lock,
	.xFileControl = recording_control,
	.xSectorSize = recording_sector,
	.xDeviceCharacteristics = recording_character,
};

static int recording_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags,
                          int *out_flags)
{
	struct recording_file *file = (struct recording_file *)f;
	int rc, there = 1;

	ck_assert_msg(path != NULL,
	              "a temporary file without a name: secrets might reach the disk");
	recording.real->xAccess(recording.real, path, SQLITE_ACCESS_EXISTS, &there);
	file->file = recording_name(path);
	file->real = (sqlite3_file *)(file + 1);
	rc = recording.real->xOpen(recording.real, path, file->real, flags, out_flags);
	file->base.pMethods = file->real->pMethods ? &recording_methods : NULL;
	if (rc == SQLITE_OK && !there && (flags & SQLITE_OPEN_CREATE))
		recording_add(EV_CREATE, file->file);
	return rc;
}

static int recording_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	struct event *event = recording_add(EV_DELETE, recording_name(path));

	event->durable = sync_folder;
	return recording.real->xDelete(recording.real, path, sync_folder);
}

static inline void recording_start(void)
{
	recording.real = sqlite3_vfs_find(NULL);
	ck_assert_ptr_nonnull(recording.real);
	recording.vfs = *recording.real;
	recording.vfs.zName = "recording";
	recording.vfs.szOsFile = (int)sizeof(struct recording_file) + recording.real->szOsFile;
	recording.vfs.xOpen = recording_open;
	recording.vfs.xDelete = recording_delete;
	ck_assert_int_eq(sqlite3_vfs_register(&recording.vfs, 1), SQLITE_OK);
}

static inline void recording_stop(void)
{
	sqlite3_vfs_unregister(&recording.vfs);
	ck_assert_int_eq(sqlite3_vfs_register(recording.real, 1), SQLITE_OK);
}

static inline void recording_free(void)
{
	for (size_t i = 0; i < recording.events; i++)
		free(recording.event[i].bytes);
	recording.events = 0;
}
