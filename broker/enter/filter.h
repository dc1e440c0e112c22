/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - the system calls that a program run for a reaction does not have.
 *
 * A container's own filter cannot be taken over from its processes. This one stands in for it in
 * what matters to a process without capabilities: it cannot get some in a user namespace of its own,
 * and it does not reach keyrings, bpf, perf, userfaultfd and io_uring, which engines' usual filters
 * keep from containers too. They fail with EPERM (clone3 with ENOSYS, so that C libraries fall back
 * to clone, whose flags can be seen); so does every call of another machine's numbering.
 */
#pragma once

/* Wants no_new_privs. 0 or -errno. */
int filter_install(void);
