/* SPDX-License-Identifier: Apache-2.0 */
#include "enter/filter.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/bpf.h"
#include "coffer/cleanup.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define NEW_NAMESPACES                                                                             \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP)
#define X32_CALLS 0x40000000U /* x86-64: this bit set is another numbering */

#define REFUSE BPF_ANSWER(SECCOMP_RET_ERRNO | EPERM)
#define REFUSE_CALL(call) BPF_UNLESS_SKIP(call, 1), REFUSE

int filter_install(void)
{
	struct sock_filter code[] = {
		BPF_LOAD(BPF_DATA(arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_OWN_ARCH, 1, 0),
		REFUSE,
		BPF_LOAD(BPF_DATA(nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1),
		REFUSE,
		REFUSE_CALL(SYS_unshare),
		REFUSE_CALL(SYS_setns),
		REFUSE_CALL(SYS_add_key),
		REFUSE_CALL(SYS_request_key),
		REFUSE_CALL(SYS_keyctl),
		REFUSE_CALL(SYS_bpf),
		REFUSE_CALL(SYS_perf_event_open),
		REFUSE_CALL(SYS_userfaultfd),
		REFUSE_CALL(SYS_io_uring_setup),
		REFUSE_CALL(SYS_io_uring_enter),
		REFUSE_CALL(SYS_io_uring_register),
		BPF_UNLESS_SKIP(SYS_clone3, 1),
		BPF_ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
		BPF_UNLESS_SKIP(SYS_clone, 3),
		BPF_LOAD(BPF_DATA(args[0])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1),
		REFUSE,
		BPF_ANSWER(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}
