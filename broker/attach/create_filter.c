/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/create_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coffer/cleanup.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OWN_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ARCH AUDIT_ARCH_PPC64LE
#else
#error "say here what AUDIT_ARCH_ this machine has"
#endif

/* An argument's low half on little-endian machines, which all of the above are. */
#define DATA(field) (unsigned int)offsetof(struct seccomp_data, field)
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)
#define UNLESS_SKIP(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)

/* The call, whatever its arguments. */
#define ALLOW(call) UNLESS_SKIP(call, 1), ANSWER(SECCOMP_RET_ALLOW)

/* The call, if this argument is that; else the process ends. */
#define ALLOW_IF(call, argument, value)                                    \
	UNLESS_SKIP(call, 4), LOAD(DATA(argument)), UNLESS_SKIP(value, 1), \
		ANSWER(SECCOMP_RET_ALLOW), ANSWER(SECCOMP_RET_KILL_PROCESS)

int create_filter_install(void)
{
	struct sock_filter code[] = {
		LOAD(DATA(arch)),
		/* the same number is another call on another machine (i386 programs run here too)
		 */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
		ANSWER(SECCOMP_RET_KILL_PROCESS),
		LOAD(DATA(nr)),
		ALLOW(SYS_exit_group),
		ALLOW(SYS_exit),
		ALLOW(SYS_rt_sigreturn),
		ALLOW(SYS_restart_syscall),
		ALLOW_IF(SYS_fsconfig, args[1], FSCONFIG_CMD_CREATE),
		ALLOW_IF(SYS_clone, args[0], CREATE_FORK_FLAGS),
		ALLOW_IF(SYS_prctl, args[0], PR_SET_PDEATHSIG),
		ANSWER(SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}
