/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef FUSE_TMPFILE
#define FUSE_TMPFILE 51 /* 6.1 */
#endif

struct device {
	struct fuse_session *session;
	struct worker_shared *shared;
	device_unknown unknown;
	void *userdata;
	int fd; /* the session's */
	uint64_t request;
	bool swallow; /* the reply under way answers a saved INIT: the kernel has its answer */
};

/*
 * Whatever goes wrong, the caller's answer is lost and nobody is left to tell. libfuse takes ENOENT
 * for that; any other error it would print, with system calls that the sandbox does not have.
 */
static ssize_t on_writev(int fd, struct iovec *parts, int count, void *userdata)
{
	const struct device *d = userdata;
	ssize_t total = 0;

	for (int i = 0; i < count; i++)
		total += (ssize_t)parts[i].iov_len;
	if (d->swallow)
		return total;
	total = writev(fd, parts, count);
	if (total < 0)
		errno = ENOENT;
	return total;
}

static ssize_t on_read(int fd, void *buffer, size_t size, void *userdata)
{
	return read(fd, buffer, size);
}

/* libfuse would print: a worker has nobody to print to, and nothing may slow the read path. */
static void no_log(enum fuse_log_level level, const char *format, va_list arguments)
{
}

static void mark_empty(struct worker_shared *shared)
{
	struct fuse_in_header *head = (struct fuse_in_header *)shared->recv;

	__atomic_store_n(&shared->recv_len, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&head->len, 0, __ATOMIC_RELEASE);
}

int device_new(int fd, struct worker_shared *shared, const struct fuse_lowlevel_ops *ops,
               device_unknown unknown, void *userdata, struct device **ret)
{
	static const struct fuse_custom_io io = { .writev = on_writev, .read = on_read };
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct device *d = calloc(1, sizeof(*d));
	int flags = fcntl(fd, F_GETFL), r = 0;

	if (!d || fuse_opt_add_arg(&args, "cofferfs") < 0)
		r = -ENOMEM;
	/*
	 * A request may be withdrawn between poll and read: then read must not wait for the next
	 * one.
	 */
	else if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0) {
		fuse_set_log_func(no_log);
		*d = (struct device){ .shared = shared, .unknown = unknown, .userdata = userdata };
		d->session = fuse_session_new(&args, ops, sizeof(*ops), d);
		if (!d->session || fuse_session_custom_io(d->session, &io, fd) != 0)
			r = -ENOMEM;
	}
	fuse_opt_free_args(&args);
	if (r < 0) {
		if (d && d->session)
			fuse_session_destroy(d->session);
		free(d);
		return r;
	}
	d->fd = fd;
	*ret = d;
	return 0;
}

void device_free(struct device *d)
{
	if (!d)
		return;
	fuse_session_destroy(d->session); /* closes the descriptor */
	free(d);
}

void *device_owner(const void *device)
{
	return ((const struct device *)device)->userdata;
}

int device_fd(const struct device *d)
{
	return d->fd;
}

uint64_t device_request(const struct device *d)
{
	return d->request;
}

/* What libfuse would answer with ENOSYS, which the kernel takes as leave to do without. */
static bool answer_unknown(struct device *d, const struct fuse_in_header *head)
{
	struct fuse_out_header out = { .len = sizeof(out), .unique = head->unique };

	if (head->opcode <= FUSE_COPY_FILE_RANGE)
		return false;
	out.error = d->unknown(d->userdata, head->opcode, head->nodeid, head->uid, head->pid);
	/* A failed write means that the caller is gone: nobody to tell. */
	return out.error != 0 && write(d->fd, &out, sizeof(out)) != 0;
}

static void process(struct device *d, void *request, uint32_t len)
{
	const struct fuse_in_header *head = request;
	struct fuse_buf buffer = { .mem = request, .size = len };

	d->request = head->unique;
	/* Each request is answered before the next is read, so there is never one to interrupt. */
	if (head->opcode != FUSE_INTERRUPT && !answer_unknown(d, head))
		fuse_session_process_buf(d->session, &buffer);
	d->request = 0;
}

static int save_init(struct worker_shared *shared, uint32_t len)
{
	if (len > WORKER_INIT_MAX)
		return -E2BIG;
	memcpy(shared->init, shared->recv, len);
	__atomic_store_n(&shared->init_len, len, __ATOMIC_RELEASE);
	return 0;
}

void device_start(struct device *d)
{
	d->shared->init_len = 0;
	mark_empty(d->shared);
}

/*
 * The length of the request in hand, or 0. The head alone tells: recv_len is set after and taken
 * away before it. The memory is a dead worker's word, which may have been taken over: only a
 * request of plausible length is answered, and NULs behind it end every name in it.
 */
static uint32_t in_hand(struct worker_shared *shared)
{
	const struct fuse_in_header *head = (const struct fuse_in_header *)shared->recv;
	uint32_t len = head->len;

	/* The answer to a unique of 0 would be a notification to the kernel. */
	if (len < sizeof(*head) || len > WORKER_RECV_MAX - 2 || head->unique == 0)
		return 0;
	memset(shared->recv + len, 0, 2);
	return len;
}

void device_resume(struct device *d)
{
	struct worker_shared *shared = d->shared;
	uint32_t len = in_hand(shared), init_len = shared->init_len;
	const struct fuse_in_header *head = (const struct fuse_in_header *)shared->recv;

	if (len > 0 && head->opcode == FUSE_INIT) {
		if (save_init(shared, len) == 0)
			process(d, shared->recv, len);
	} else if (init_len >= sizeof(*head) && init_len <= WORKER_INIT_MAX) {
		d->swallow = true;
		process(d, shared->init, init_len);
		d->swallow = false;
		if (len > 0)
			process(d, shared->recv, len);
	}
	mark_empty(shared);
}

int device_serve(struct device *d)
{
	struct worker_shared *shared = d->shared;
	const struct fuse_in_header *head = (const struct fuse_in_header *)shared->recv;
	ssize_t n = read(d->fd, shared->recv, WORKER_RECV_MAX);
	int r = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOENT))
		return 0; /* ENOENT: withdrawn while it was copied */
	if (n < 0)        /* aborted (read in between) or gone: the same to us */
		return errno == ECONNABORTED ? -ENODEV : -errno;
	if ((size_t)n < sizeof(*head))
		return -EIO;
	__atomic_store_n(&shared->recv_len, (uint32_t)n, __ATOMIC_RELEASE);
	if (head->opcode == FUSE_INIT)
		r = save_init(shared, (uint32_t)n);
	if (r == 0)
		process(d, shared->recv, (uint32_t)n);
	mark_empty(shared);
	return r < 0 ? r : 1;
}
