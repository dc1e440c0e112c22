/* SPDX-License-Identifier: Apache-2.0 */
#include "server/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"

/* What wants each of them. Files of root's are read as their owner, which takes no capability. */
static const unsigned int kept[] = {
	CAP_IPC_LOCK,        /* lock values in memory beyond RLIMIT_MEMLOCK */
	CAP_SYS_RESOURCE,    /* pass descriptors though others of uid 0 have too many in flight */
	CAP_KILL,            /* end a worker, which runs as another user */
	CAP_SYS_PTRACE,      /* read the namespaces of a caller below /proc */
	CAP_DAC_READ_SEARCH, /* open a cgroup by its handle; a state folder below a user's private
	                        one */
};

void privileges_raise_limits(void)
{
	static const int limits[] = { RLIMIT_NOFILE, RLIMIT_MEMLOCK };

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct rlimit limit;

		if (getrlimit((__rlimit_resource_t)limits[i], &limit) < 0)
			continue;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit((__rlimit_resource_t)limits[i], &limit) < 0)
			log_warn("cannot raise the limit on %s",
			         limits[i] == RLIMIT_NOFILE ? "descriptors" : "locked memory");
	}
}

int privileges_drop(struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint32_t mask[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return err_errno(e, -errno, "cannot read our own capabilities");
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		mask[CAP_TO_INDEX(kept[i])] |= CAP_TO_MASK(kept[i]);
	for (size_t i = 0; i < ARRAY_LEN(data); i++) {
		data[i].permitted &= mask[i];
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot give up the way to new privileges");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot clear the ambient capabilities");
	if (syscall(SYS_capset, &header, data) < 0)
		return err_errno(e, -errno, "cannot drop capabilities");
	return 0;
}
