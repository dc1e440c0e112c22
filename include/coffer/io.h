/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h - whole reads and writes, descriptors over sockets, files put in place atomically.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "coffer/err.h"

#define IO_FDS_MAX 250 /* the kernel passes at most 253 (SCM_MAX_FD) with one message */

/* All `len` bytes, restarted on EINTR. 0 or -errno (-EPIPE for a short write to a closed pipe). */
int io_write_all(int fd, const void *bytes, size_t len);

/* Up to `len` bytes until end of file. Returns the count or -errno. */
ssize_t io_read_all(int fd, void *bytes, size_t len);

/*
 * A whole small text file (configuration, /proc) of at most `max` bytes, NUL behind it; the caller
 * frees. -EFBIG above `max`. For secrets use secret_from_fd.
 */
int io_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len);

/*
 * Put `len` bytes at `path` under `dirfd` so that a reader sees the old file or the new one whole,
 * and after a power cut too: temporary file, fsync, rename, fsync of the folder. 0 or -errno; on
 * failure nothing changed.
 */
int io_write_file_atomic(int dirfd, const char *path, const void *bytes, size_t len, mode_t mode);

/* The same without waiting for a disk: for what is of no use after the host has started again. */
int io_write_file_quick(int dirfd, const char *path, const void *bytes, size_t len, mode_t mode);

/* The name of such a temporary file: if nobody is writing it, a crash came before its rename. */
bool io_is_temporary(const char *name);

/*
 * Give the file `from` in a folder the name `to`, which nothing may have: -EEXIST. Where the file
 * system knows no such rename (NFS, 9p, many a FUSE one) by a link, and then for an instant under
 * both names.
 */
int io_rename_new(int dirfd, const char *from, const char *to);

/*
 * One message on a socket with up to IO_FDS_MAX descriptors beside it (nfds may be 0). `flags` as
 * sendmsg(2); MSG_NOSIGNAL is added. Descriptors stay the caller's. Returns bytes sent or -errno.
 */
ssize_t io_send(int sock, const void *bytes, size_t len, const int *fds, size_t nfds, int flags);

/*
 * Receive bytes and descriptors (O_CLOEXEC). *nfds: in, room in `fds`; out, how many came. More
 * descriptors than fit, or a truncated message, are closed and give -EMSGSIZE. Other ancillary data
 * is ignored (never trusted). Returns bytes (0 at end of stream) or -errno.
 */
ssize_t io_recv(int sock, void *bytes, size_t size, int *fds, size_t *nfds, int flags);

/* The same over several buffers. */
ssize_t io_sendv(int sock, const struct iovec *parts, size_t count, const int *fds, size_t nfds,
                 int flags);
ssize_t io_recvv(int sock, const struct iovec *parts, size_t count, int *fds, size_t *nfds,
                 int flags);
