/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/create_filter.h"

#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/bpf.h"
#include "coffer/cleanup.h"

/* The call, whatever its arguments. */
#define ALLOW(call) BPF_UNLESS_SKIP(call, 1), BPF_ANSWER(SECCOMP_RET_ALLOW)

/* The call, if this argument is that; else the process ends. */
#define ALLOW_IF(call, argument, value)                                                    \
	BPF_UNLESS_SKIP(call, 4), BPF_LOAD(BPF_DATA(argument)), BPF_UNLESS_SKIP(value, 1), \
		BPF_ANSWER(SECCOMP_RET_ALLOW), BPF_ANSWER(SECCOMP_RET_KILL_PROCESS)

int create_filter_install(void)
{
	struct sock_filter code[] = {
		BPF_LOAD(BPF_DATA(arch)),
		/* the same number is another call on another machine (i386 programs run here too)
		 */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_OWN_ARCH, 1, 0),
		BPF_ANSWER(SECCOMP_RET_KILL_PROCESS),
		BPF_LOAD(BPF_DATA(nr)),
		ALLOW(SYS_exit_group),
		ALLOW(SYS_exit),
		ALLOW(SYS_rt_sigreturn),
		ALLOW(SYS_restart_syscall),
		ALLOW_IF(SYS_fsconfig, args[1], FSCONFIG_CMD_CREATE),
		ALLOW_IF(SYS_clone, args[0], CREATE_FORK_FLAGS),
		ALLOW_IF(SYS_prctl, args[0], PR_SET_PDEATHSIG),
		BPF_ANSWER(SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}
