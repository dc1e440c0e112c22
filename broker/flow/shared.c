/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared.c - the memory that a container's workers share with the broker, and outlive each other in.
 *
 * That of another build is mapped as it is and left alone while its worker lives: no ring of ours is
 * in it, c->ring is NULL. When the worker is dead, shared_renew moves what counts into memory of our
 * own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "flow/container.h"
#include "flow/fdstore.h"
#include "flow/runs.h"

/* What every layout has: worker_proto.h. A ring larger than this is none. */
#define SHARED_SIZE_MIN (sizeof(struct worker_shared))
#define SHARED_SIZE_MAX (64UL * 1024 * 1024)

static int map(struct container *c, int shared_fd, int wake_fd, size_t size)
{
	struct worker_shared *shared =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);

	if (shared == MAP_FAILED) {
		int error = -errno;

		fd_close(shared_fd);
		fd_close(wake_fd);
		return error;
	}
	c->shared = shared;
	c->shared_size = size;
	c->shared_fd = shared_fd;
	c->wake_fd = wake_fd;
	return 0;
}

int shared_make(struct container *c, struct err *e)
{
	SCOPED_FD int fd = memfd_create("coffer-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	SCOPED_FD int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int result;

	if (fd < 0 || wake < 0 || ftruncate(fd, (off_t)(size_t)worker_shared_size()) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_errno(e, -errno, "cannot make the memory shared with a worker");
	result = map(c, TAKE_FD(fd), TAKE_FD(wake), (size_t)worker_shared_size());
	if (result < 0)
		return err_errno(e, result, "cannot map the memory shared with a worker");
	c->shared->magic = WORKER_SHARED_MAGIC;
	c->shared->layout = WORKER_SHARED_LAYOUT;
	c->ring = ring_format(c->shared->ring);
	ring_set_run(c->ring, runs_id(c->set->runs));
	return drain_watch(c);
}

/* What a worker gives back is checked as if it were hostile: it may not shrink under us. */
static int check_size(int fd, size_t *ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 ||
	    (size_t)st.st_size < SHARED_SIZE_MIN || (size_t)st.st_size > SHARED_SIZE_MAX)
		return -EBADMSG;
	*ret = (size_t)st.st_size;
	return 0;
}

/* Else waiting for it could mean to wait for whoever serves it. By name: nobody is asked. */
static bool is_eventfd(int fd)
{
	char link[64], name[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	if (n < 0)
		return false;
	name[n] = '\0';
	return strcmp(name, "anon_inode:[eventfd]") == 0;
}

bool shared_looks_right(int shared_fd, int wake_fd)
{
	size_t size;

	return is_eventfd(wake_fd) && check_size(shared_fd, &size) == 0;
}

int shared_take(struct container *c, int shared_fd, int wake_fd)
{
	size_t size = 0;
	int result = check_size(shared_fd, &size);

	if (result < 0) {
		fd_close(shared_fd);
		fd_close(wake_fd);
		return result;
	}
	result = map(c, shared_fd, wake_fd, size);
	if (result < 0)
		return result;
	if (c->shared->magic != WORKER_SHARED_MAGIC)
		return -EBADMSG;
	if (c->shared->layout != WORKER_SHARED_LAYOUT)
		return 0;
	c->ring = size >= (size_t)worker_shared_size() ? ring_attach(c->shared->ring) : NULL;
	if (!c->ring)
		return -EBADMSG;
	/* What our predecessor took and did not write comes again. */
	ring_rewind(c->ring, runs_last_line(c->set->runs, ring_run(c->ring)));
	ring_set_run(c->ring, runs_id(c->set->runs));
	return drain_watch(c);
}

void shared_drop(struct container *c)
{
	c->wake_source = sd_event_source_disable_unref(c->wake_source);
	c->drain_timer = sd_event_source_disable_unref(c->drain_timer);
	if (c->shared)
		munmap(c->shared, c->shared_size);
	c->shared = NULL;
	c->ring = NULL;
	c->ring_corrupt = c->folds_taken = c->counts_wait = false;
	c->shared_fd = fd_close(c->shared_fd);
	c->wake_fd = fd_close(c->wake_fd);
}

/*
 * The saved INIT and the request in hand. As that of device.c, the request's own head says how long
 * it is, recv_len or not; its successor checks both.
 */
static void carry_requests(struct worker_shared *to, const struct worker_shared *from)
{
	memcpy(to->init, from->init, sizeof(to->init));
	to->init_len = from->init_len;
	memcpy(to->recv, from->recv, sizeof(to->recv));
	to->recv_len = from->recv_len;
	to->made = from->made;
}

int shared_renew(struct container *c, struct err *e)
{
	struct worker_shared *old = c->shared;
	size_t size = c->shared_size;
	SCOPED_FD int old_fd = c->shared_fd;
	SCOPED_FD int old_wake = c->wake_fd;
	char label[256];
	int result, count;

	if (!old || c->ring) {
		TAKE_FD(old_fd);
		TAKE_FD(old_wake);
		return 0;
	}
	c->shared = NULL;
	c->shared_fd = c->wake_fd = -1;
	result = shared_make(c, e);
	if (result >= 0) {
		const size_t room = size - sizeof(*old);
		const uint64_t run = ring_carry_run(old->ring, room);

		carry_requests(c->shared, old);
		count = ring_carry(c->ring, old->ring, room, runs_last_line(c->set->runs, run));
		if (count < 0)
			log_error("%s: the audit records of its worker, which was of another "
			          "version, cannot be read and are lost",
			          container_label(c, label, sizeof(label)));
		/* From here on the manager has these, before one of the records becomes a line. */
		if (c->mount == MOUNT_UP)
			fdstore_renew(c);
	}
	munmap(old, size);
	return result;
}
