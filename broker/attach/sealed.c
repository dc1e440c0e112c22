/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U /* 6.3; before that, all can be executed */
#endif
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define FIRST_FD 3
#define PROGRAM_MAX (64 * 1024 * 1024)

static int make_memory(void)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("coffer-enter", flags | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("coffer-enter", flags);
	return fd < 0 ? -errno : fd;
}

static int copy(int from, int to, off_t size)
{
	while (size > 0) {
		ssize_t n = sendfile(to, from, NULL, (size_t)size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		size -= n;
	}
	return 0;
}

int sealed_program(const char *path, struct err *e)
{
	SCOPED_FD int file = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	SCOPED_FD int memory = -1;
	struct stat st;
	int r;

	if (!path)
		return err_set(e, -ENOENT, "nobody has said where coffer-enter lies");
	if (file < 0 || fstat(file, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > PROGRAM_MAX)
		return err_set(e, -ENOEXEC, "%s is no program", path);
	memory = make_memory();
	if (memory < 0)
		return err_errno(e, memory, "cannot make memory for a copy of %s", path);
	r = copy(file, memory, st.st_size);
	if (r == 0 && (fchmod(memory, 0500) < 0 || fcntl(memory, F_ADD_SEALS, SEALS) < 0))
		r = -errno;
	if (r < 0)
		return err_errno(e, r, "cannot keep a copy of %s in memory", path);
	return TAKE_FD(memory);
}

/* First all out of the way: each may be where another has to go. */
int sealed_arrange(int program, const int *fds, size_t count)
{
	int high[SEALED_FDS_MAX];
	int end = FIRST_FD + (int)count + 1;

	if (count >= SEALED_FDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i <= count; i++) {
		int fd = i < count ? fds[i] : program;

		high[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, end);
		if (fd >= 0 && high[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i <= count; i++) {
		int to = FIRST_FD + (int)i;

		if (high[i] < 0)
			close(to);
		else if (dup3(high[i], to, i == count ? O_CLOEXEC : 0) < 0)
			return -errno;
	}
	return kern_close_range((unsigned int)end, ~0U, 0);
}

int sealed_exec(size_t count, char *const argv[])
{
	char *const environment[] = { NULL };

	execveat(FIRST_FD + (int)count, "", argv, environment, AT_EMPTY_PATH);
	return -errno;
}
