/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys.h - the system calls of mounting that the C library has no name for on every system we build
 * on, as thin wrappers: a descriptor or 0, or -errno. Descriptors are close-on-exec. See the manual
 * pages of the calls' names.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int sys_openat2(int dirfd, const char *path, int flags, uint64_t resolve);
int sys_fsopen(const char *type);
int sys_fsconfig(int fs, unsigned int command, const char *key, const char *value);
int sys_fsmount(int fs, unsigned int attributes);

/* Clone the mount of `dirfd` itself, detached, with everything mounted below it if `recursive`. */
int sys_clone_tree(int dirfd, bool recursive);

/* Put the mount `from` is the top of onto what `dirfd` and `path` ("": dirfd itself) name. Follows
 * no link. */
int sys_move_mount(int from, int dirfd, const char *path);
int sys_mount_read_only(int mount);

/* Where a descriptor leads, without asking a FUSE server for anything. */
struct sys_place {
	dev_t dev;
	uint64_t ino, mount;
	mode_t mode;
	uid_t uid;
};
int sys_place_of(int fd, struct sys_place *ret);
bool sys_same_place(const struct sys_place *a, const struct sys_place *b);
