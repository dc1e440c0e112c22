/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "coffer/secret.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK)

int value_map(int fd, uint64_t size, const unsigned char **ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *bytes;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	if (size > SECRET_VALUE_MAX)
		return -EFBIG;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return -EINVAL;
	if (size == 0) {
		*ret = NULL;
		return 0;
	}
	/*
	 * Private, since before Linux 6.7 a shared mapping of what is sealed against writing is
	 * EPERM. Never written to, it shares the memfd's pages all the same.
	 */
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	if (madvise(bytes, size, MADV_DONTDUMP) < 0) {
		int error = -errno;

		munmap(bytes, size);
		return error;
	}
	/*
	 * The limit on locked memory may be too low for a large tree. That is no leak to swap, as
	 * long as the broker is there: it holds the same pages locked. So a failure is tolerated
	 * here, and only here.
	 */
	(void)mlock(bytes, size);
	*ret = bytes;
	return 0;
}

void value_unmap(const unsigned char *bytes, uint64_t size)
{
	void *address;

	if (!bytes)
		return;
	/* munmap does not write; its parameter has no const. */
	memcpy(&address, &bytes, sizeof(address));
	munmap(address, size);
}
