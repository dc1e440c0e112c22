/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/kern.h"
#include "coffer/secret.h"
#include "coffer/times.h"

/* Landlock as in Linux' include/uapi/linux/landlock.h: each version adds rights to these. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define LANDLOCK_VERSION 1U
#define LANDLOCK_FS_1 0x1fffULL    /* execute, read, write, make, remove */
#define LANDLOCK_FS_2 (1ULL << 13) /* refer */
#define LANDLOCK_FS_3 (1ULL << 14) /* truncate */
#define LANDLOCK_FS_5 (1ULL << 15) /* ioctl on devices opened from here on */
#define LANDLOCK_NET_4 0x3ULL      /* bind, connect TCP */
#define LANDLOCK_SCOPE_6 0x3ULL    /* abstract sockets, signals */

struct landlock_attr {
	uint64_t fs, net, scope;
};

/* What libraries read from files once, while they still can: the time zone; jansson's seed. */
static void warm_up(void)
{
	char text[TIMES_TEXT_MAX];

	times_format(times_now(), text);
	json_use_secret_memory();
}

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	/*
	 * The bounding set wants CAP_SETPCAP. Without it there is nothing to gain either: no new
	 * privileges.
	 */
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return err_errno(e, -errno, "cannot drop capability %d", cap);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot clear the ambient capabilities");
	if (syscall(SYS_capset, &head, none) < 0)
		return err_errno(e, -errno, "cannot drop the capabilities");
	return 0;
}

static int enter_landlock(struct err *e)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	struct landlock_attr attr = { .fs = LANDLOCK_FS_1 };
	size_t size = sizeof(attr.fs);
	SCOPED_FD int ruleset = -1;

	if (version < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP
		               ? 0
		               : err_errno(e, -errno, "cannot ask for the version of landlock");
	if (version >= 2)
		attr.fs |= LANDLOCK_FS_2;
	if (version >= 3)
		attr.fs |= LANDLOCK_FS_3;
	if (version >= 4) {
		attr.net = LANDLOCK_NET_4;
		size = sizeof(attr.fs) + sizeof(attr.net);
	}
	if (version >= 5)
		attr.fs |= LANDLOCK_FS_5;
	if (version >= 6) {
		attr.scope = LANDLOCK_SCOPE_6;
		size = sizeof(attr);
	}
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return err_errno(e, -errno, "cannot make a landlock ruleset");
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_errno(e, -errno, "cannot enter landlock");
	return 0;
}

#ifndef COFFER_SANITIZE
static int enter_seccomp(struct err *e)
{
	/* Made by filter/make_filter.c while the program is built: see there. */
	static const struct sock_filter code[] = {
#include "worker_filter.inc"
	};
	/* As struct sock_fprog, whose pointer has no const. */
	const struct {
		unsigned short len;
		const struct sock_filter *filter;
	} program = { ARRAY_LEN(code), code };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return err_errno(e, -errno, "cannot load the system call filter");
	return 0;
}
#else
/* The sanitizers' runtime makes calls of its own choice. */
static int enter_seccomp(struct err *e)
{
	return 0;
}
#endif

int sandbox_enter(int channel, struct err *e)
{
	int r = secret_process_init(e);

	if (r < 0)
		return r;
	warm_up();
	r = channel > 3 ? kern_close_range(3, (unsigned int)channel - 1, 0) : 0;
	if (r == 0)
		r = kern_close_range((unsigned int)channel + 1, ~0U, 0);
	if (r < 0)
		return err_errno(e, r, "cannot close inherited descriptors");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot give up new privileges");
	r = drop_capabilities(e);
	if (r == 0)
		r = enter_landlock(e);
	if (r == 0)
		r = enter_seccomp(e);
	return r;
}
