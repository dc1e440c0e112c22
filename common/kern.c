/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/kern.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define FDINFO_MAX 4096     /* a pidfd's is some 100 bytes */
#define PROC_STAT_MAX 4096  /* 52 numbers and a name of at most 64 bytes */
#define PROC_PATH_MAX 64    /* "/proc/4194304/ns/cgroup" */
#define START_TIME_FIELD 22 /* of /proc/PID/stat, counted from 1 (proc(5)) */
#define STATE_FIELD 3       /* the first one behind the name */

/* struct pidfd_info and its constants as in Linux' include/uapi/linux/pidfd.h, first version
 * (6.13). */
#define INFO_PID (1ULL << 0)
#define INFO_CREDS (1ULL << 1)
#define INFO_CGROUPID (1ULL << 2)
#define INFO_EXIT (1ULL << 3) /* 6.15: what is left of a process that is gone */

struct pidfd_info_v0 {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "the ioctl's number holds this size");
#define GET_INFO _IOWR(0xFF, 11, struct pidfd_info_v0)

int kern_pidfd_open(pid_t pid, unsigned int flags)
{
	long fd = syscall(SYS_pidfd_open, pid, flags);

	return fd < 0 ? -errno : (int)fd;
}

int kern_pidfd_send_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int kern_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return syscall(SYS_close_range, first, last, flags) < 0 ? -errno : 0;
}

/* What is known of a process that was reaped: at most its cgroup. */
static int info_of_dead(int pidfd, struct kern_pid_info *ret)
{
	struct pidfd_info_v0 info = { .mask = INFO_EXIT | INFO_CGROUPID };

	*ret = (struct kern_pid_info){ 0 };
	if (ioctl(pidfd, GET_INFO, &info) == 0 && info.mask & INFO_CGROUPID)
		ret->cgroup_id = info.cgroupid;
	return -ESRCH;
}

int kern_pidfd_info(int pidfd, struct kern_pid_info *ret)
{
	struct pidfd_info_v0 info = { .mask = INFO_PID | INFO_CREDS | INFO_CGROUPID };

	if (ioctl(pidfd, GET_INFO, &info) < 0)
		return errno == ESRCH ? info_of_dead(pidfd, ret) : -errno;
	if (!(info.mask & INFO_PID) || !(info.mask & INFO_CREDS))
		return info_of_dead(pidfd, ret);
	*ret = (struct kern_pid_info){
		.pid = (pid_t)info.pid,
		.tgid = (pid_t)info.tgid,
		.uid = info.euid,
		.gid = info.egid,
		.cgroup_id = info.mask & INFO_CGROUPID ? info.cgroupid : 0,
	};
	return 0;
}

int kern_pidfd_pid(int pidfd, pid_t *ret)
{
	SCOPED(free_ptr) char *text = NULL;
	char path[PROC_PATH_MAX];
	const char *line;
	char *end;
	long pid;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	r = io_read_file(AT_FDCWD, path, FDINFO_MAX, &text, NULL);
	if (r < 0)
		return r;
	line = strstr(text, "\nPid:");
	if (!line)
		return -EBADF;
	errno = 0;
	pid = strtol(line + strlen("\nPid:"), &end, 10);
	if (errno || *end != '\n' || pid > INT32_MAX)
		return -EBADF;
	/* -1: dead. 0: in a pid namespace we can't see, for us as good as dead. */
	if (pid <= 0)
		return -ESRCH;
	*ret = (pid_t)pid;
	return 0;
}

bool kern_pidfd_alive(int pidfd)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };
	int n;

	do
		n = poll(&poller, 1, 0);
	while (n < 0 && errno == EINTR);
	/* Readable means ended; a failure of poll must not make the dead look alive. */
	return n == 0;
}

int kern_start_time(pid_t pid, uint64_t *ret)
{
	SCOPED(free_ptr) char *text = NULL;
	char path[PROC_PATH_MAX];
	unsigned long long value;
	char *at, *end;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	r = io_read_file(AT_FDCWD, path, PROC_STAT_MAX, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* The name is the process's own choice and may hold ')' and blanks: the last ')' ends it.
	 */
	at = strrchr(text, ')');
	for (int field = STATE_FIELD; at && field <= START_TIME_FIELD; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EBADMSG;
	errno = 0;
	value = strtoull(at + 1, &end, 10);
	if (errno || end == at + 1 || *end != ' ')
		return -EBADMSG;
	*ret = value;
	return 0;
}

static int namespace_path(pid_t pid, const char *name, char path[PROC_PATH_MAX])
{
	int n = snprintf(path, PROC_PATH_MAX, "/proc/%d/ns/%s", pid, name);

	return n < 0 || n >= PROC_PATH_MAX ? -EINVAL : 0;
}

int kern_namespace_id(pid_t pid, const char *name, uint64_t *ret)
{
	char path[PROC_PATH_MAX];
	struct stat st;
	int r = namespace_path(pid, name, path);

	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	*ret = st.st_ino;
	return 0;
}

int kern_namespace_open(pid_t pid, const char *name)
{
	char path[PROC_PATH_MAX];
	int r = namespace_path(pid, name, path);
	int fd;

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}
