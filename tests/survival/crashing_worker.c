/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crashing-worker - a worker as it is, but for one defect: while the first byte of the file `crash`
 * beside it is '1', it crashes whenever it is about to answer a request. It reads that byte from a
 * mapping made before the sandbox is entered.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "worker.h"

static const volatile char *defect;

/* In place of the library's: what answers go through. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (defect && *defect == '1')
		__builtin_trap();
	return syscall(SYS_writev, fd, parts, count);
}

static const volatile char *map_defect(void)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 16);
	void *at;
	int fd;

	if (len <= 0)
		return NULL;
	path[len] = '\0';
	memcpy(strrchr(path, '/') + 1, "crash", sizeof("crash"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	at = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

int main(void)
{
	defect = map_defect();
	return defect ? worker_main(WORKER_CHANNEL_FD) : 2;
}
