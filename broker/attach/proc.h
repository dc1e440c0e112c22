/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.h - reading the kernel's own texts. Pure: text in, numbers out.
 *
 * All from the host's /proc, as proc(5) describes it. Names that others choose stand in these texts
 * too (a process's name, a mount's path, a cgroup's); each function says how it keeps them apart
 * from the kernel's fields. -EBADMSG for what is not in the format.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "coffer/attach_proto.h"

/*
 * /proc/PID/uid_map or gid_map: lines of three numbers. At most ATTACH_MAPS_MAX lines are taken
 * over; ids of further lines count as unmapped. *ret: how many were.
 */
int proc_parse_map(const char *text, struct facts_map map[ATTACH_MAPS_MAX], uint32_t *ret);

/* The outside id of inside id 0; -ERANGE if it has none. */
int proc_map_root(const char *text, uint32_t *ret);

/* /proc/PID/stat. The name in it ends at the last ')': it may itself hold ')' and blanks. */
struct proc_stat {
	pid_t parent;
	bool kernel_thread;
};
int proc_parse_stat(const char *text, struct proc_stat *ret);

/*
 * "NSpid:" of /proc/PID/status: one pid for each namespace from the reader's down to its own. The
 * process's name stands in the same text, but with newlines escaped. *ret_last: its pid in its own.
 * Returns how many, or -errno.
 */
int proc_parse_nspid(const char *status, pid_t *ret_last);

/* A mask of signals, "SigCgt" or "SigBlk", of the same text: bit 0 is signal 1. */
int proc_parse_mask(const char *status, const char *key, uint64_t *ret);

/*
 * /proc/PID/limits: a line of columns for each limit, in the order of their numbers. `limits` has
 * `count`; of further lines nothing is taken, and a missing one is malformed.
 */
int proc_parse_limits(const char *text, struct rlimit *limits, size_t count);

/*
 * Whether the mount `id` passes on what is mounted below it ("shared:N" among the optional fields
 * that follow the sixth). Paths in mountinfo have their blanks and newlines escaped. 1, 0, or
 * -ENOENT if there is no such mount.
 */
int proc_mount_is_shared(const char *mountinfo, uint64_t id);

/*
 * The systemd unit of a cgroup path: the first component that is no slice, if every one before it
 * is and it is named as a service or scope; components below it are of the unit's own making.
 * *ret_below: how many there are. -ENOENT where the path has no such form.
 */
#define UNIT_NAME_MAX 255
int proc_unit_of_cgroup(const char *path, char ret_unit[UNIT_NAME_MAX + 1],
                        unsigned int *ret_below);

/* A unit's name in systemd's alphabet, ending in ".service" or ".scope". */
bool proc_unit_ok(const char *name);
