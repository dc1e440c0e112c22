/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - the only place where bytes of a value, a key or a passphrase live.
 *
 * The memory is locked (never swapped), left out of core files, not inherited by fork, and wiped
 * before it is given back. Locking is checked: where mlock fails the allocation fails with -ENOMEM,
 * never silently unlocked. Small values share locked chunks (sodium_malloc would cost four mappings
 * each), large ones have pages of their own. Not thread-safe: every process of this project that
 * holds secrets has one thread.
 */
#pragma once

#include <stddef.h>

#include "coffer/err.h"

#define SECRET_VALUE_MAX (1024 * 1024) /* the largest value that may be stored, bytes */

struct secret {
	unsigned char *bytes; /* never NULL, also for len 0; one NUL byte stands behind the last */
	size_t len;
};

/* Once, first thing in main(): sodium_init, no core dump (PR_SET_DUMPABLE 0, RLIMIT_CORE 0). 0 or
 * -errno. */
int secret_process_init(struct err *e);

/* A zeroed secret of `len` bytes. NULL if memory cannot be had or cannot be locked. */
struct secret *secret_new(size_t len);

/* A copy of `len` bytes. The source is the caller's to wipe. NULL as above. */
struct secret *secret_copy(const void *bytes, size_t len);

/* Wipe and free; NULL is fine. */
void secret_free(struct secret *s);
void secret_free_ptr(struct secret **s);

/* Make it shorter in place (the cut bytes are wiped). `len` is at most s->len. */
void secret_truncate(struct secret *s, size_t len);

/* A sealed memfd (F_SEAL_WRITE|SHRINK|GROW|SEAL) with the bytes. Returns the descriptor or -errno.
 */
int secret_to_memfd(const struct secret *s);

/*
 * Read a whole descriptor (file, pipe, memfd) of at most `max` bytes. -EFBIG above `max`, else
 * -errno of read(2). The buffer used on the way is a secret's own. Regular files and memfds are
 * read from their start, whatever the offset, which a peer who passed the descriptor shares. Blocks
 * as read(2) does: a server checks first that a descriptor it was given is a sealed memfd.
 */
int secret_from_fd(int fd, size_t max, struct secret **ret);

/* Base64 (RFC 4648, padded, standard alphabet). -EINVAL for malformed text; -ENOMEM. */
int secret_from_base64(const char *text, size_t text_len, struct secret **ret);
int secret_to_base64(const struct secret *s, struct secret **ret_text);

/* Plain wiping malloc/free over the same locked memory, for libraries that take allocators
 * (jansson). */
void *secret_malloc(size_t size);
void secret_mfree(void *p);
