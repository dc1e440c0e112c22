/* SPDX-License-Identifier: Apache-2.0 */
#include "backup_file.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "tar.h"

#define FOLDER "coffer-backup/"
#define PIECE ((size_t)256 * 1024)
#define HEX_LEN (2 * crypto_hash_sha256_BYTES + 1)
#define SUMS_MAX 512
#define END_BLOCKS 2

enum member { ABOUT, HEAD, STORE, SUMS, MEMBERS };

static const struct {
	const char *name;
	uint64_t max;
} members[MEMBERS] = {
	[ABOUT] = { "about.json", BACKUP_ABOUT_MAX },
	[HEAD] = { "head.json", CHAIN_HEAD_MAX },
	[STORE] = { "store.db", BACKUP_STORE_MAX },
	[SUMS] = { "SHA256SUMS", SUMS_MAX },
};

struct sums {
	char hex[SUMS][HEX_LEN];
};

static void sums_text(const struct sums *sums, char text[SUMS_MAX])
{
	size_t used = 0;

	for (int i = 0; i < SUMS; i++)
		used += (size_t)snprintf(text + used, SUMS_MAX - used, "%s  %s\n", sums->hex[i],
		                         members[i].name);
}

static void sum_end(crypto_hash_sha256_state *state, char hex[HEX_LEN])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256_final(state, hash);
	sodium_bin2hex(hex, HEX_LEN, hash, sizeof(hash));
}

static int write_error(int r, struct err *e)
{
	return err_errno(e, r, "cannot write the backup");
}

static int write_header(int fd, enum member which, uint64_t size, struct err *e)
{
	unsigned char block[TAR_BLOCK];
	char name[TAR_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), FOLDER "%s", members[which].name);
	tar_header(name, size, (int64_t)time(NULL), block);
	r = io_write_all(fd, block, sizeof(block));
	return r < 0 ? write_error(r, e) : 0;
}

static int write_padding(int fd, uint64_t size, struct err *e)
{
	static const unsigned char zeros[END_BLOCKS * TAR_BLOCK];
	int r = io_write_all(fd, zeros, (size_t)(tar_padded(size) - size));

	return r < 0 ? write_error(r, e) : 0;
}

static int write_text(int fd, enum member which, const char *text, char hex[HEX_LEN], struct err *e)
{
	size_t len = strlen(text);
	crypto_hash_sha256_state state;
	int r;

	if (len > members[which].max)
		return err_set(e, -EFBIG, "what belongs into %s is too long", members[which].name);
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const unsigned char *)text, len);
	sum_end(&state, hex);
	r = write_header(fd, which, len, e);
	if (r < 0)
		return r;
	r = io_write_all(fd, text, len);
	return r < 0 ? write_error(r, e) : write_padding(fd, len, e);
}

static int write_store(int fd, int store, uint64_t size, char hex[HEX_LEN], struct progress *p,
                       struct err *e)
{
	SCOPED(free_ptr) unsigned char *piece = malloc(PIECE);
	crypto_hash_sha256_state state;
	uint64_t done = 0;
	int r = piece ? write_header(fd, STORE, size, e) : err_errno(e, -ENOMEM, "cannot copy");

	crypto_hash_sha256_init(&state);
	while (r == 0 && done < size) {
		size_t want = size - done < PIECE ? (size_t)(size - done) : PIECE;
		ssize_t n = pread(store, piece, want, (off_t)done);

		if (n <= 0)
			return n < 0 ? err_errno(e, -errno, "cannot read the copy of the store")
			             : err_set(e, -EBADMSG,
			                       "the broker's copy of the store ended early");
		crypto_hash_sha256_update(&state, piece, (size_t)n);
		r = io_write_all(fd, piece, (size_t)n);
		if (r < 0)
			return write_error(r, e);
		done += (uint64_t)n;
		progress_set(p, done);
	}
	sum_end(&state, hex);
	return r < 0 ? r : write_padding(fd, size, e);
}

int backup_file_write(int fd, json_t *about, const char *head, int store, uint64_t size,
                      struct progress *p, struct err *e)
{
	static const unsigned char end[END_BLOCKS * TAR_BLOCK];
	SCOPED(json_text_ptr) char *text = NULL;
	char sums_lines[SUMS_MAX], unused[HEX_LEN];
	struct sums sums;
	int r;

	if (size > BACKUP_STORE_MAX)
		return err_set(e, -EFBIG,
		               "the store has more than 8 GiB, which a backup cannot hold");
	if (json_object_set_new(about, "format", json_integer(BACKUP_FORMAT)) == 0)
		text = json_text(about);
	if (!text)
		return err_errno(e, -ENOMEM, "cannot put the backup together");
	r = write_text(fd, ABOUT, text, sums.hex[ABOUT], e);
	if (r == 0)
		r = write_text(fd, HEAD, head, sums.hex[HEAD], e);
	if (r == 0)
		r = write_store(fd, store, size, sums.hex[STORE], p, e);
	if (r < 0)
		return r;
	sums_text(&sums, sums_lines);
	r = write_text(fd, SUMS, sums_lines, unused, e);
	if (r < 0)
		return r;
	r = io_write_all(fd, end, sizeof(end));
	return r < 0 ? write_error(r, e) : 0;
}

/* --- reading --- */

static int damaged(struct err *e, const char *why)
{
	return err_set(e, -EBADMSG, "the backup is damaged: %s; use another one", why);
}

struct reader {
	int fd;
	uint64_t at;
	struct progress *p;
	unsigned char *piece;
};

/* So many bytes, into the piece. */
static int read_exactly(struct reader *from, size_t len, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(from->fd, from->piece + got, len - got, (off_t)(from->at + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, -errno, "cannot read the backup");
		if (n == 0)
			return damaged(e, "it is shorter than it has to be");
		got += (size_t)n;
	}
	from->at += len;
	progress_set(from->p, from->at);
	return 0;
}

static bool all_zero(const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

/* A member's content through the sum; what fits is left in the piece for small ones. */
static int read_content(struct reader *from, uint64_t size, char hex[HEX_LEN], struct err *e)
{
	crypto_hash_sha256_state state;
	uint64_t left = size;
	int r = 0;

	crypto_hash_sha256_init(&state);
	while (r == 0 && left > 0) {
		size_t n = left < PIECE ? (size_t)left : PIECE;

		r = read_exactly(from, n, e);
		if (r == 0)
			crypto_hash_sha256_update(&state, from->piece, n);
		left -= n;
	}
	sum_end(&state, hex);
	return r;
}

static int read_padding(struct reader *from, uint64_t size, struct err *e)
{
	size_t len = (size_t)(tar_padded(size) - size);
	int r = read_exactly(from, len, e);

	if (r == 0 && !all_zero(from->piece, len))
		r = damaged(e, "something stands between its parts");
	return r;
}

static int read_header(struct reader *from, enum member which, uint64_t *ret_size, struct err *e)
{
	char name[TAR_NAME_MAX + 1], want[TAR_NAME_MAX];
	int r = read_exactly(from, TAR_BLOCK, e);

	if (r < 0)
		return r;
	snprintf(want, sizeof(want), FOLDER "%s", members[which].name);
	if (tar_parse(from->piece, name, ret_size) < 0)
		return which == ABOUT ? err_set(e, -EBADMSG, "this is no backup of Coffer")
		                      : damaged(e, "a part of it is missing or changed");
	if (strcmp(name, want) != 0 || *ret_size > members[which].max)
		return which == ABOUT
		               ? err_set(e, -EBADMSG, "this is an archive, but no backup of Coffer")
		               : damaged(e, "its parts are not those of a backup");
	return 0;
}

/* The content of a small member as text. */
static int read_text(struct reader *from, enum member which, char *text, char hex[HEX_LEN],
                     struct err *e)
{
	uint64_t size = 0;
	int r = read_header(from, which, &size, e);

	if (r == 0)
		r = read_content(from, size, hex, e);
	if (r < 0)
		return r;
	memcpy(text, from->piece, size);
	text[size] = '\0';
	return read_padding(from, size, e);
}

static int take_about(struct backup_file *f, const char *text, struct err *e)
{
	int64_t format = 0;
	int r = json_parse(text, strlen(text), &f->about, NULL);

	if (r == 0)
		r = json_get_int(f->about, "format", true, 0, INT64_MAX, &format, NULL);
	if (r < 0)
		return damaged(e, "what it says of itself cannot be read");
	if (format != BACKUP_FORMAT)
		return err_set(
			e, -EPROTONOSUPPORT,
			"the backup has format %" PRId64
			", this coffer reads format %d: use the version of Coffer that wrote it",
			format, BACKUP_FORMAT);
	return 0;
}

static int read_end(struct reader *from, struct err *e)
{
	struct stat st;
	int r = read_exactly(from, END_BLOCKS * TAR_BLOCK, e);

	if (r < 0)
		return r;
	if (!all_zero(from->piece, END_BLOCKS * TAR_BLOCK) || fstat(from->fd, &st) < 0 ||
	    (uint64_t)st.st_size != from->at)
		return damaged(e, "something stands behind its end");
	return 0;
}

static int read_all(struct reader *from, struct backup_file *f, struct err *e)
{
	char about[BACKUP_ABOUT_MAX + 1], sums_lines[SUMS_MAX + 1], want[SUMS_MAX], unused[HEX_LEN];
	struct sums sums;
	int r = read_text(from, ABOUT, about, sums.hex[ABOUT], e);

	if (r == 0)
		r = take_about(f, about, e);
	if (r == 0)
		r = read_text(from, HEAD, f->head_text, sums.hex[HEAD], e);
	if (r == 0)
		r = read_header(from, STORE, &f->store_size, e);
	f->store_offset = from->at;
	if (r == 0)
		r = read_content(from, f->store_size, sums.hex[STORE], e);
	if (r == 0)
		r = read_padding(from, f->store_size, e);
	if (r == 0)
		r = read_text(from, SUMS, sums_lines, unused, e);
	if (r == 0)
		r = read_end(from, e);
	if (r < 0)
		return r;
	sums_text(&sums, want);
	return strcmp(want, sums_lines) == 0 ? 0 : damaged(e, "its content does not fit its sums");
}

int backup_file_read(int fd, struct backup_file *ret, struct progress *p, struct err *e)
{
	SCOPED(free_ptr) unsigned char *piece = malloc(PIECE);
	struct reader from = { .fd = fd, .p = p, .piece = piece };
	struct stat st;

	*ret = (struct backup_file){ .fd = fd };
	if (!piece)
		return err_errno(e, -ENOMEM, "cannot read the backup");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "a backup has to be a regular file");
	return read_all(&from, ret, e);
}

void backup_file_clear(struct backup_file *f)
{
	json_decref(f->about);
	f->about = NULL;
}
