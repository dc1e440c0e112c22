/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - what a worker gives up before it reads its first byte. Touches the OS.
 *
 * Already given: a user of its own, by who started it. Then, in this order: descriptors above the
 * channel, core files and ptrace, new privileges, capabilities (bounding and ambient sets too),
 * the whole file system and network (landlock, as far as the kernel's version of it goes), and
 * every system call that serving does not need (seccomp; another one ends the process).
 *
 * A kernel without landlock (before 5.13, or switched off) goes without: seccomp has no call that
 * opens anything.
 */
#pragma once

#include "coffer/err.h"

/* Keeps 0, 1, 2 and `channel`. 0, or -errno with a sentence: then don't go on. */
int sandbox_enter(int channel, struct err *e);
