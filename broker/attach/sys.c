/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int answer(long result)
{
	return result < 0 ? -errno : (int)result;
}

int sys_openat2(int dirfd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve };

	return answer(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
}

int sys_fsopen(const char *type)
{
	return answer(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

int sys_fsconfig(int fs, unsigned int command, const char *key, const char *value)
{
	return answer(syscall(SYS_fsconfig, fs, command, key, value, 0));
}

int sys_fsmount(int fs, unsigned int attributes)
{
	return answer(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes));
}

int sys_clone_tree(int dirfd, bool recursive)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;

	return answer(syscall(SYS_open_tree, dirfd, "", flags | (recursive ? AT_RECURSIVE : 0)));
}

int sys_move_mount(int from, int dirfd, const char *path)
{
	unsigned int flags = MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH);

	return answer(syscall(SYS_move_mount, from, "", dirfd, path, flags));
}

int sys_mount_read_only(int mount)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	return answer(syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
}

int sys_place_of(int fd, struct sys_place *ret)
{
	struct statx x;
	unsigned int mask = STATX_TYPE | STATX_MODE | STATX_INO | STATX_UID | STATX_MNT_ID;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, &x) < 0)
		return -errno;
	if (!(x.stx_mask & STATX_MNT_ID))
		return -ENOSYS; /* before 5.8 */
	*ret = (struct sys_place){
		.dev = makedev(x.stx_dev_major, x.stx_dev_minor),
		.ino = x.stx_ino,
		.mount = x.stx_mnt_id,
		.mode = x.stx_mode,
		.uid = x.stx_uid,
	};
	return 0;
}

bool sys_same_place(const struct sys_place *a, const struct sys_place *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->mount == b->mount;
}
