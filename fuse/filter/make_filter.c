/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_filter - prints the worker's system call filter as C: the elements of a struct sock_filter
 * array. Runs while the worker is built, never afterwards.
 *
 * libseccomp compiles the table below. Done by each worker at its start, that would leave pages of
 * scattered heap behind in every one of them, and link a library that nothing calls later.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/cleanup.h"

/* Every system call that serving needs. With `mask`, only where (argument & mask) == value. */
static const struct allowed {
	int call;
	unsigned int argument;
	uint64_t mask, value;
} allowed[] = {
	/* requests, records, connections */
	{ SCMP_SYS(poll) },
	{ SCMP_SYS(ppoll) },
	{ SCMP_SYS(read) },
	{ SCMP_SYS(write) },
	{ SCMP_SYS(writev) },
	{ SCMP_SYS(recvfrom) },
	{ SCMP_SYS(recvmsg) },
	{ SCMP_SYS(sendto) },
	{ SCMP_SYS(sendmsg) },
	{ SCMP_SYS(close) },
	{ SCMP_SYS(restart_syscall) },
	/* a memfd's size and seals; O_NONBLOCK */
	{ SCMP_SYS(fstat) },
	{ SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFL },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFL },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_GET_SEALS },
	/* the next broker at the door */
	{ SCMP_SYS(accept4) },
	{ SCMP_SYS(getsockopt), 2, UINT32_MAX, SO_PEERCRED },
	/* memory, never executable */
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mremap) },
	{ SCMP_SYS(munmap) },
	{ SCMP_SYS(madvise) },
	{ SCMP_SYS(mlock) },
	{ SCMP_SYS(mlock2) },
	{ SCMP_SYS(munlock) },
	{ SCMP_SYS(brk) },
	/* a caller's cgroup: PIDFD_GET_INFO (whatever its size) and NS_GET_PID_FROM_PIDNS */
	{ SCMP_SYS(pidfd_open) },
	{ SCMP_SYS(ioctl), 1, 0xffff, 0xff0b },
	{ SCMP_SYS(ioctl), 1, 0xffff, 0xb706 },
	/* which process it is: NS_GET_TGID_FROM_PIDNS */
	{ SCMP_SYS(ioctl), 1, 0xffff, 0xb707 },
	/* libfuse, once for each session */
	{ SCMP_SYS(getuid) },
	/* the C library's own */
	{ SCMP_SYS(clock_gettime) },
	{ SCMP_SYS(getrandom) },
	{ SCMP_SYS(futex) },
	{ SCMP_SYS(rt_sigprocmask) },
	{ SCMP_SYS(rt_sigreturn) },
	{ SCMP_SYS(exit) },
	{ SCMP_SYS(exit_group) },
};

static int fill(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(allowed); i++) {
		const struct allowed *a = &allowed[i];
		struct scmp_arg_cmp where =
			SCMP_CMP64(a->argument, SCMP_CMP_MASKED_EQ, a->mask, a->value);

		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, a->call, a->mask ? 1 : 0,
		                           &where);
	}
	return r;
}

static int print(int fd)
{
	struct sock_filter step;
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = read(fd, &step, sizeof(step))) == (ssize_t)sizeof(step))
		printf("{ 0x%04x, %u, %u, 0x%08x },\n", step.code, step.jt, step.jf, step.k);
	return n == 0 && fflush(stdout) == 0 ? 0 : -EIO;
}

int main(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	SCOPED_FD int fd = memfd_create("filter", MFD_CLOEXEC);
	int r = filter ? 0 : -ENOMEM;

	if (r == 0 && fd < 0)
		r = -errno;
	if (r == 0)
		r = fill(filter);
	if (r == 0)
		r = seccomp_export_bpf(filter, fd);
	if (r == 0)
		r = print(fd);
	seccomp_release(filter);
	if (r < 0)
		fprintf(stderr, "make_filter: cannot make the worker's system call filter: %s\n",
		        strerror(-r));
	return r == 0 ? 0 : 1;
}
