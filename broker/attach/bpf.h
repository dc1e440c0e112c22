/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf.h - words for the few system call filters that are written by hand: where a filter of libseccomp
 * would be too large for the process that carries it.
 */
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#if defined(__x86_64__)
#define BPF_OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define BPF_OWN_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define BPF_OWN_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BPF_OWN_ARCH AUDIT_ARCH_PPC64LE
#else
#error "say here what AUDIT_ARCH_ this machine has"
#endif

/* An argument's low half on little-endian machines, which all of the above are. */
#define BPF_DATA(field) (unsigned int)offsetof(struct seccomp_data, field)
#define BPF_LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define BPF_ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)
#define BPF_UNLESS_SKIP(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
