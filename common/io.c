/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"

/* SCM_PIDFD of Linux 6.5: another way by which a descriptor can arrive */
#define SCM_PIDFD_TYPE 4
#define KERNEL_FDS_MAX 253   /* SCM_MAX_FD: room for all of them, so that none is lost uncounted */
#define READ_FILE_FIRST 4096 /* most files of /proc and all configurations fit */
#define TEMPORARY_SUFFIX ".tmp"
#define TEMPORARY_TRIES 8 /* names of 64 random bits: the second try is already unlikely */

int io_write_all(int fd, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t io_read_all(int fd, void *bytes, size_t len)
{
	unsigned char *at = bytes;
	size_t have = 0;

	while (have < len) {
		ssize_t n = read(fd, at + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

int io_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
	SCOPED_FD int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	SCOPED(free_ptr) char *text = NULL;
	size_t have = 0, room = 0;

	if (fd < 0)
		return -errno;
	/* Sizes of /proc files are 0, and any file may grow: read until the end, one byte beyond
	 * the limit. */
	for (;;) {
		size_t wanted = room ? room * 2 : READ_FILE_FIRST;
		char *larger;
		ssize_t n;

		if (wanted > max)
			wanted = max + 1;
		larger = realloc(text, wanted + 1);
		if (!larger)
			return -ENOMEM;
		text = larger;
		room = wanted;
		n = io_read_all(fd, text + have, room - have);
		if (n < 0)
			return (int)n;
		have += (size_t)n;
		if (have > max)
			return -EFBIG;
		if (have < room)
			break;
	}
	text[have] = '\0';
	*ret = TAKE_PTR(text);
	if (ret_len)
		*ret_len = have;
	return 0;
}

/* A new empty file beside `path`; its name goes to `name`. Descriptor or -errno. */
static int create_temporary(int dirfd, const char *path, char *name, size_t size)
{
	for (int i = 0; i < TEMPORARY_TRIES; i++) {
		uint64_t random;
		int fd, n;

		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return -EIO;
		n = snprintf(name, size, "%s.%016llx" TEMPORARY_SUFFIX, path,
		             (unsigned long long)random);
		if (n < 0 || (size_t)n >= size)
			return -ENAMETOOLONG;
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		            0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

bool io_is_temporary(const char *name)
{
	size_t len = strlen(name), suffix = strlen(TEMPORARY_SUFFIX);

	return len > suffix && strcmp(name + len - suffix, TEMPORARY_SUFFIX) == 0;
}

int io_rename_new(int dirfd, const char *from, const char *to)
{
	if (renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	if (linkat(dirfd, from, dirfd, to, 0) < 0 || unlinkat(dirfd, from, 0) < 0)
		return -errno;
	return 0;
}

/* Make the names in the folder that holds `path` durable. */
static int sync_folder_of(int dirfd, const char *path)
{
	char folder[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	SCOPED_FD int fd = -1;

	if (slash) {
		size_t len = slash == path ? 1 : (size_t)(slash - path);

		if (len >= sizeof(folder))
			return -ENAMETOOLONG;
		memcpy(folder, path, len);
		folder[len] = '\0';
	}
	fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_whole(int fd, const void *bytes, size_t len, mode_t mode, bool sync)
{
	int r = io_write_all(fd, bytes, len);

	if (r < 0)
		return r;
	/* Not left to the umask: the caller says what the file shall be. */
	if (fchmod(fd, mode) < 0)
		return -errno;
	return sync && fsync(fd) < 0 ? -errno : 0;
}

static int replace_file(int dirfd, const char *path, const void *bytes, size_t len, mode_t mode,
                        bool sync)
{
	char temporary[PATH_MAX];
	SCOPED_FD int fd = create_temporary(dirfd, path, temporary, sizeof(temporary));
	int r;

	if (fd < 0) {
		r = fd;
		fd = -1;
		return r;
	}
	r = write_whole(fd, bytes, len, mode, sync);
	if (r == 0 && renameat(dirfd, temporary, dirfd, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, temporary, 0);
		return r;
	}
	return sync ? sync_folder_of(dirfd, path) : 0;
}

int io_write_file_atomic(int dirfd, const char *path, const void *bytes, size_t len, mode_t mode)
{
	return replace_file(dirfd, path, bytes, len, mode, true);
}

int io_write_file_quick(int dirfd, const char *path, const void *bytes, size_t len, mode_t mode)
{
	return replace_file(dirfd, path, bytes, len, mode, false);
}

ssize_t io_sendv(int sock, const struct iovec *parts, size_t count, const int *fds, size_t nfds,
                 int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(IO_FDS_MAX * sizeof(int))];
	} control;
	struct msghdr message = { .msg_iovlen = count };
	ssize_t n;

	/* sendmsg only reads the parts; its type just does not say so. */
	memcpy(&message.msg_iov, &parts, sizeof(message.msg_iov));
	if (nfds > IO_FDS_MAX)
		return -EINVAL;
	if (nfds > 0) {
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(header), fds, nfds * sizeof(int));
	}
	do
		n = sendmsg(sock, &message, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t io_send(int sock, const void *bytes, size_t len, const int *fds, size_t nfds, int flags)
{
	struct iovec part = { .iov_len = len };

	memcpy(&part.iov_base, &bytes, sizeof(part.iov_base));
	return io_sendv(sock, &part, 1, fds, nfds, flags);
}

/*
 * Hand the descriptors of one control message on while they fit, close the rest. Returns whether
 * all fitted. `keep` false: all are closed.
 */
static bool collect_fds(struct cmsghdr *header, bool keep, int *fds, size_t room, size_t *have)
{
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fitted = true;

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
		if (keep && *have < room) {
			fds[(*have)++] = fd;
		} else {
			fd_close(fd);
			fitted = fitted && !keep;
		}
	}
	return fitted;
}

ssize_t io_recvv(int sock, const struct iovec *parts, size_t count, int *fds, size_t *nfds,
                 int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(KERNEL_FDS_MAX * sizeof(int)) +
		           CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iovlen = count,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	size_t room = nfds ? *nfds : 0, have = 0;
	bool fitted = true;
	ssize_t n;

	memcpy(&message.msg_iov, &parts, sizeof(message.msg_iov));
	do
		n = recvmsg(sock, &message, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
		if (h->cmsg_level != SOL_SOCKET)
			continue;
		if (h->cmsg_type == SCM_RIGHTS)
			fitted = collect_fds(h, true, fds, room, &have) && fitted;
		else if (h->cmsg_type == SCM_PIDFD_TYPE)
			collect_fds(h, false, NULL, 0, &have);
	}
	if (!fitted || message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		while (have > 0)
			fd_close(fds[--have]);
		return -EMSGSIZE;
	}
	if (nfds)
		*nfds = have;
	return n;
}

ssize_t io_recv(int sock, void *bytes, size_t size, int *fds, size_t *nfds, int flags)
{
	struct iovec part = { .iov_base = bytes, .iov_len = size };

	return io_recvv(sock, &part, 1, fds, nfds, flags);
}
