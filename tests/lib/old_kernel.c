/* SPDX-License-Identifier: Apache-2.0 */
/*
 * old-kernel COMMAND...: runs COMMAND, and what it starts, on a kernel that seems to know less.
 *
 * A seccomp filter gives the answers of Linux 6.1 (Debian 12's) where ours knows more: what a
 * program does without these interfaces can so be tried on any kernel. It wants CAP_SYS_ADMIN,
 * since it does not set no_new_privs, which would be a difference of its own. Exit status 125 and a
 * sentence if it fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_OURS 125 /* as env(1), timeout(1) and the like */

/* Numbers are Linux', include/uapi: asm-generic/socket.h, linux/pidfd.h, linux/nsfs.h. */
#define PASSPIDFD 76       /* SO_PASSPIDFD, 6.5 */
#define PEERPIDFD 77       /* SO_PEERPIDFD, 6.5 */
#define THREAD_FLAG O_EXCL /* PIDFD_THREAD, 6.9 */
#define PIDFD_TYPE 0xffU   /* of every ioctl of pidfds; the first came with 6.11 */
#define NSFS_TYPE 0xb7U    /* of ioctls of namespaces */
#define NSFS_OLD 4U        /* NS_GET_OWNER_UID; those that speak of pids came with 6.11 */
#define NSFS_NEWEST 16U    /* beyond what any kernel has */

/* Of an ioctl's number: without direction, and without the size, which newer kernels let grow. */
#define TYPE_MASK ((scmp_datum_t)_IOC_TYPEMASK << _IOC_TYPESHIFT)
#define KIND_MASK (TYPE_MASK | (scmp_datum_t)_IOC_NRMASK << _IOC_NRSHIFT)
#define KIND(type, nr) ((scmp_datum_t)(type) << _IOC_TYPESHIFT | (scmp_datum_t)(nr) << _IOC_NRSHIFT)

#define UNDER SCMP_CMP_MASKED_EQ /* a mask and the value that is left under it */

/* A call that the older kernel answers with `error` if all conditions on its arguments hold. */
struct missing {
	const char *name;
	int call, error;
	unsigned int conditions;
	struct scmp_arg_cmp condition[2];
};

static const struct missing missing[] = {
	{ .name = "SO_PEERPIDFD",
	  .call = SCMP_SYS(getsockopt),
	  .error = ENOPROTOOPT,
	  .conditions = 2,
	  .condition = { { 1, UNDER, UINT32_MAX, SOL_SOCKET },
	                 { 2, UNDER, UINT32_MAX, PEERPIDFD } } },
	{ .name = "SO_PASSPIDFD",
	  .call = SCMP_SYS(setsockopt),
	  .error = ENOPROTOOPT,
	  .conditions = 2,
	  .condition = { { 1, UNDER, UINT32_MAX, SOL_SOCKET },
	                 { 2, UNDER, UINT32_MAX, PASSPIDFD } } },
	{ .name = "PIDFD_THREAD",
	  .call = SCMP_SYS(pidfd_open),
	  .error = EINVAL,
	  .conditions = 1,
	  .condition = { { 1, UNDER, THREAD_FLAG, THREAD_FLAG } } },
	{ .name = "PIDFD_GET_INFO",
	  .call = SCMP_SYS(ioctl),
	  .error = ENOTTY,
	  .conditions = 1,
	  .condition = { { 1, UNDER, TYPE_MASK, KIND(PIDFD_TYPE, 0) } } },
};

static int refuse(scmp_filter_ctx filter, const struct missing *m)
{
	int r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((unsigned int)m->error), m->call,
	                               m->conditions, m->condition);

	if (r < 0)
		fprintf(stderr, "old-kernel: cannot take %s away: %s\n", m->name, strerror(-r));
	return r;
}

static int refuse_all(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]) && r == 0; i++)
		r = refuse(filter, &missing[i]);
	for (scmp_datum_t nr = NSFS_OLD + 1; nr <= NSFS_NEWEST && r == 0; nr++) {
		const struct missing m = {
			.name = "NS_GET_PID_FROM_PIDNS and its like",
			.call = SCMP_SYS(ioctl),
			.error = ENOTTY,
			.conditions = 1,
			.condition = { { 1, UNDER, KIND_MASK, KIND(NSFS_TYPE, nr) } },
		};

		r = refuse(filter, &m);
	}
	return r;
}

static int forget(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r = filter ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0) : -ENOMEM;

	if (r == 0)
		r = refuse_all(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int main(int argc, char **argv)
{
	int r;

	if (argc < 2) {
		fputs("usage: old-kernel COMMAND [ARGUMENT]...\n", stderr);
		return EXIT_OURS;
	}
	r = forget();
	if (r < 0) {
		fprintf(stderr, "old-kernel: cannot install the filter: %s\n", strerror(-r));
		return EXIT_OURS;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "old-kernel: cannot run %s: %s\n", argv[1], strerror(errno));
	return EXIT_OURS;
}
