/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes: what a `struct secret` is made from, read from and turned into. Where they lie:
 * secret_arena.c.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/secret.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* 6.3 */
#endif

/* first guess for a pipe; with its header still in the arena's largest class */
#define READ_FIRST 4000

int secret_process_init(struct err *e)
{
	static const struct rlimit none = { 0, 0 };

	if (sodium_init() < 0)
		return err_set(e, -EIO, "cannot initialise libsodium (no source of randomness?)");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot make this process undumpable");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(e, -errno, "cannot forbid core files");
	return 0;
}

/* The header and the bytes are one block: one allocation, one wipe. */
struct secret *secret_new(size_t len)
{
	struct secret *s;

	if (len > SIZE_MAX - sizeof(*s) - 1)
		return NULL;
	s = secret_malloc(sizeof(*s) + len + 1);
	if (!s)
		return NULL;
	s->bytes = (unsigned char *)(s + 1);
	s->len = len;
	return s;
}

struct secret *secret_copy(const void *bytes, size_t len)
{
	struct secret *s = secret_new(len);

	if (s && len > 0)
		memcpy(s->bytes, bytes, len);
	return s;
}

void secret_free(struct secret *s)
{
	secret_mfree(s);
}

void secret_free_ptr(struct secret **s)
{
	secret_free(*s);
	*s = NULL;
}

void secret_truncate(struct secret *s, size_t len)
{
	assert(len <= s->len);
	sodium_memzero(s->bytes + len, s->len - len);
	s->len = len;
}

static int new_memfd(void)
{
	int fd = memfd_create("coffer", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("coffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int secret_to_memfd(const struct secret *s)
{
	SCOPED_FD int fd = new_memfd();
	size_t done = 0;

	if (fd < 0)
		return fd;
	/* pwrite: the offset, which every holder of the descriptor shares, stays at the start. */
	while (done < s->len) {
		ssize_t n = pwrite(fd, s->bytes + done, s->len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Twice as large, or `limit`; the bytes are moved, the old block wiped. */
static int grow(struct secret **s, size_t limit)
{
	size_t len = (*s)->len > limit / 2 ? limit : (*s)->len * 2;
	struct secret *larger = secret_new(len);

	if (!larger)
		return -ENOMEM;
	memcpy(larger->bytes, (*s)->bytes, (*s)->len);
	secret_free(*s);
	*s = larger;
	return 0;
}

static ssize_t read_some(int fd, bool seekable, struct secret *into, size_t at)
{
	ssize_t n;

	do {
		n = seekable ? pread(fd, into->bytes + at, into->len - at, (off_t)at)
		             : read(fd, into->bytes + at, into->len - at);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int secret_from_fd(int fd, size_t max, struct secret **ret)
{
	SCOPED(secret_free_ptr) struct secret *s = NULL;
	size_t first = READ_FIRST, done = 0;
	struct stat st;
	bool regular;

	assert(max < SIZE_MAX / 2);
	if (fstat(fd, &st) < 0)
		return -errno;
	regular = S_ISREG(st.st_mode);
	if (regular && st.st_size > 0 && (uintmax_t)st.st_size > max)
		return -EFBIG;
	if (regular && st.st_size > 0)
		first = (size_t)st.st_size + 1;
	/* One byte more than is allowed shows that there was more. */
	s = secret_new(first < max + 1 ? first : max + 1);
	if (!s)
		return -ENOMEM;
	for (;;) {
		ssize_t n;

		if (done == s->len) {
			int r = done > max ? -EFBIG : grow(&s, max + 1);

			if (r < 0)
				return r;
		}
		n = read_some(fd, regular, s, done);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	if (done > max)
		return -EFBIG;
	secret_truncate(s, done);
	*ret = TAKE_PTR(s);
	return 0;
}

int secret_from_base64(const char *text, size_t text_len, struct secret **ret)
{
	SCOPED(secret_free_ptr) struct secret *s = secret_new(text_len / 4 * 3);
	unsigned char all_bits = 0;
	size_t len;

	if (!s)
		return -ENOMEM;
	/* libsodium takes some bytes above 0x7f for digits where char is signed. */
	for (size_t i = 0; i < text_len; i++)
		all_bits |= (unsigned char)text[i];
	if (text_len % 4 != 0 || all_bits & 0x80)
		return -EINVAL;
	if (sodium_base642bin(s->bytes, s->len, text, text_len, NULL, &len, NULL,
	                      sodium_base64_VARIANT_ORIGINAL) != 0)
		return -EINVAL;
	secret_truncate(s, len);
	*ret = TAKE_PTR(s);
	return 0;
}

int secret_to_base64(const struct secret *s, struct secret **ret_text)
{
	size_t size = s->len > SIZE_MAX / 4
	                      ? 0
	                      : sodium_base64_ENCODED_LEN(s->len, sodium_base64_VARIANT_ORIGINAL);
	struct secret *text;

	if (size == 0)
		return -ENOMEM;
	text = secret_new(size - 1); /* `size` counts the NUL, which a secret has of its own */
	if (!text)
		return -ENOMEM;
	sodium_bin2base64((char *)text->bytes, size, s->bytes, s->len,
	                  sodium_base64_VARIANT_ORIGINAL);
	*ret_text = text;
	return 0;
}
