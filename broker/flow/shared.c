/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/shared.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "flow/fdstore.h"

/* What every layout has, at the same place. */
static size_t common_size(void)
{
	return sizeof(struct worker_shared) + (size_t)ring_size();
}

int shared_memfd(void)
{
	SCOPED_FD int fd = memfd_create("coffer-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)worker_shared_size()) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

ssize_t shared_check(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0)
		return -EBADMSG;
	if ((uint64_t)st.st_size >= worker_shared_size())
		return (ssize_t)worker_shared_size();
	return (size_t)st.st_size >= common_size() ? (ssize_t)common_size() : -EBADMSG;
}

int shared_renew(struct container *c, struct err *e)
{
	SCOPED_FD int fd = shared_memfd();
	struct worker_shared *shared;
	struct ring *ring;

	if (fd < 0)
		return err_errno(e, fd, "cannot make the memory shared with a worker");
	shared =
		mmap(NULL, (size_t)worker_shared_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return err_errno(e, -errno, "cannot map the memory shared with a worker");
	memcpy(shared, c->shared, common_size());
	shared->layout = WORKER_SHARED_LAYOUT;
	ring = ring_attach(shared->ring);
	if (!ring) {
		munmap(shared, (size_t)worker_shared_size());
		return err_set(e, -EBADMSG, "what an earlier worker left is no memory of ours");
	}
	munmap(c->shared, c->shared_size);
	fd_close(c->shared_fd);
	c->shared = shared;
	c->shared_size = (size_t)worker_shared_size();
	c->shared_fd = TAKE_FD(fd);
	c->ring = ring;
	if (c->mount == MOUNT_UP) {
		fdstore_drop(c->instance_text);
		fdstore_keep(c);
	}
	return 0;
}
