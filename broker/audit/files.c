/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/files.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"

#define OLD_FORMAT "log-%012llu.jsonl"

static int sync_folder(int dir)
{
	return fsync(dir) < 0 ? -errno : 0;
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

/* The number in an older file's name, 0 if it is no such name. */
static uint64_t number_of(const char *name)
{
	char again[64];
	unsigned long long number;

	if (sscanf(name, "log-%12llu.jsonl", &number) != 1)
		return 0;
	snprintf(again, sizeof(again), OLD_FORMAT, number);
	return strcmp(again, name) == 0 ? number : 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int files_list(struct files *files)
{
	SCOPED(close_folder) DIR *folder = NULL;
	SCOPED_FD int fd = openat(files->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;

	if (fd < 0)
		return -errno;
	folder = fdopendir(fd);
	if (!folder)
		return -errno;
	TAKE_FD(fd);
	files->old_count = 0;
	while (errno = 0, (entry = readdir(folder))) {
		uint64_t number = number_of(entry->d_name);

		if (io_is_temporary(entry->d_name))
			(void)unlinkat(files->dir, entry->d_name, 0);
		if (number == 0)
			continue;
		if (files->old_count == FILES_OLD_MAX)
			return -EMFILE;
		files->old[files->old_count++] = number;
	}
	if (errno)
		return -errno;
	qsort(files->old, files->old_count, sizeof(files->old[0]), compare_numbers);
	return 0;
}

int files_open_current(struct files *files)
{
	SCOPED_FD int fd =
		openat(files->dir, FILES_CURRENT,
	               O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	r = sync_folder(files->dir);
	if (r < 0)
		return r;
	fd_close(files->fd);
	files->fd = TAKE_FD(fd);
	files->dev = st.st_dev;
	files->ino = st.st_ino;
	files->size = (uint64_t)st.st_size;
	return 0;
}

int files_cut(struct files *files, uint64_t size)
{
	if (ftruncate(files->fd, (off_t)size) < 0 || fdatasync(files->fd) < 0)
		return -errno;
	files->size = size;
	return 0;
}

int files_check(const struct files *files)
{
	struct stat st;

	if (fstatat(files->dir, FILES_CURRENT, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (st.st_dev != files->dev || st.st_ino != files->ino ||
	    (uint64_t)st.st_size != files->size)
		return -ESTALE;
	return 0;
}

/* Take back what may have been written beyond the acknowledged size; a file that does not let us is
 * given up. */
static void take_back(struct files *files, bool keep_open)
{
	if (ftruncate(files->fd, (off_t)files->size) < 0 || !keep_open)
		files->fd = fd_close(files->fd);
}

int files_append(struct files *files, const char *lines, size_t len, uint64_t first)
{
	int r = io_write_all(files->fd, lines, len);

	if (r < 0) {
		/* A torn line must not be followed by a whole one. */
		take_back(files, true);
		return r;
	}
	if (fdatasync(files->fd) < 0) {
		r = -errno;
		/*
		 * The kernel reports a failed write-back once and then takes the pages for clean.
		 * So this descriptor is not trusted any more: the lines are written again through a
		 * new one.
		 */
		take_back(files, false);
		return r;
	}
	files->size += len;
	if (files->first == 0)
		files->first = first;
	return 0;
}

int files_rotate(struct files *files)
{
	char name[64];

	if (files->old_count == FILES_OLD_MAX)
		return -EMFILE;
	snprintf(name, sizeof(name), OLD_FORMAT, (unsigned long long)files->first);
	if (renameat2(files->dir, FILES_CURRENT, files->dir, name, RENAME_NOREPLACE) < 0)
		return -errno;
	files->old[files->old_count++] = files->first;
	files->first = 0;
	files->fd = fd_close(files->fd);
	files->size = 0;
	return files_open_current(files);
}

void files_prune(struct files *files, uint64_t oldest)
{
	while (files->old_count > 0) {
		uint64_t next = files->old_count > 1 ? files->old[1] : files->first;
		char name[64];

		if (next == 0 || next > oldest)
			return;
		files_name(files, 0, name);
		if (unlinkat(files->dir, name, 0) < 0 && errno != ENOENT)
			return;
		files->old_count--;
		memmove(files->old, files->old + 1, files->old_count * sizeof(files->old[0]));
	}
}

void files_name(const struct files *files, size_t i, char name[64])
{
	if (i >= files->old_count)
		snprintf(name, 64, FILES_CURRENT);
	else
		snprintf(name, 64, OLD_FORMAT, (unsigned long long)files->old[i]);
}

int files_last_line(const struct files *files, size_t i, uint64_t *ret_seq,
                    uint8_t ret_hash[CHAIN_HASH_LEN])
{
	char name[64], tail[2 * CHAIN_LINE_MAX];
	SCOPED_FD int fd = -1;
	struct chain_line line;
	struct stat st;
	off_t offset;
	ssize_t n;
	char *end, *start;

	files_name(files, i, name);
	fd = openat(files->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	offset = st.st_size > (off_t)sizeof(tail) ? st.st_size - (off_t)sizeof(tail) : 0;
	n = pread(fd, tail, sizeof(tail), offset);
	if (n < 0)
		return -errno;
	/* From the end: whatever follows the last newline is no line. */
	for (end = memrchr(tail, '\n', (size_t)n); end; end = start) {
		start = memrchr(tail, '\n', (size_t)(end - tail));
		if (chain_line_parse(start ? start + 1 : tail,
		                     (size_t)(end - (start ? start + 1 : tail)), &line) == 0) {
			*ret_seq = line.seq;
			memcpy(ret_hash, line.hash, CHAIN_HASH_LEN);
			return 0;
		}
	}
	return -ENOENT;
}
