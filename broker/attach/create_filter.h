/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_filter.h - a seccomp filter that leaves a process nothing but what making a FUSE
 * superblock takes.
 *
 * The process that makes it is, for a moment, inside the container's pid namespace, and a container
 * with CAP_SYS_PTRACE may then drive it. The filter is in force before that process exists (it is
 * inherited over fork), and a tracer cannot lift it: the kernel applies it to what the tracer made
 * of the call.
 *
 * Allowed: fsconfig(FSCONFIG_CMD_CREATE), clone with no sharing and the same parent,
 * prctl(PR_SET_PDEATHSIG), exit and return from a signal. Everything else ends the process
 * (SIGSYS). Written as the few instructions it is (seccomp(2)): libseccomp frees memory after it
 * has loaded a filter, and this one forbids even what free may call.
 */
#pragma once

#include <sched.h>
#include <signal.h>

/* The one clone there is. Whatever comes of it is a child of the process that waits outside. */
#define CREATE_FORK_FLAGS (CLONE_PARENT | SIGCHLD)

/* Install it on the calling process (sets no_new_privs). 0 or -errno. */
int create_filter_install(void);
