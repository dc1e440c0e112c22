/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's mount is read-only, so most of this is reached only by who has made itself a
 * writable mount of it.
 */
#include <errno.h>
#include <linux/fuse.h>

#include "serve.h"

#ifndef FUSE_TMPFILE
#define FUSE_TMPFILE 51 /* 6.1 */
#endif

void serve_refuse_write(fuse_req_t req, fuse_ino_t ino, const char *what)
{
	struct serve_caller caller = serve_caller_of(req);

	serve_audit(&caller, RING_WRITE, -EROFS, tree_find(caller.w->tree, ino), what);
	fuse_reply_err(req, EROFS);
}

int serve_unknown(void *worker, uint32_t opcode, uint64_t node, uint32_t uid, uint32_t pid)
{
	struct serve_caller caller = { .w = worker, .uid = uid, .pid = pid };

	if (opcode != FUSE_TMPFILE)
		return 0;
	serve_audit(&caller, RING_WRITE, -EROFS, tree_find(caller.w->tree, node), "tmpfile");
	return -EROFS;
}

void serve_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
                   struct fuse_file_info *fi)
{
	serve_refuse_write(req, ino, "setattr");
}

void serve_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	serve_refuse_write(req, parent, "mknod");
}

/* A step of the prepared change, or refused. `r` is what change.h says to the step. */
static bool is_step(fuse_req_t req, int r, fuse_ino_t parent, const char *what)
{
	if (r == 0)
		return true;
	if (r == -EROFS)
		serve_refuse_write(req, parent, what);
	else
		fuse_reply_err(req, -r);
	return false;
}

void serve_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct serve_caller caller = serve_caller_of(req);
	struct worker *w = caller.w;
	struct tree_node *n;
	int r = caller.inside ? -EROFS : change_mkdir(&w->change, w->tree, parent, name, &n);

	if (is_step(req, r, parent, "mkdir"))
		serve_reply_entry(req, n);
}

static void remove_name(fuse_req_t req, enum worker_stage_kind kind, fuse_ino_t parent,
                        const char *name)
{
	struct serve_caller caller = serve_caller_of(req);
	struct worker *w = caller.w;
	int r = caller.inside ? -EROFS : change_remove(&w->change, w->tree, kind, parent, name);

	if (is_step(req, r, parent, kind == STAGE_UNLINK ? "unlink" : "rmdir"))
		fuse_reply_err(req, 0);
}

void serve_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, STAGE_UNLINK, parent, name);
}

void serve_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, STAGE_RMDIR, parent, name);
}

void serve_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	serve_refuse_write(req, parent, "symlink");
}

void serve_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                  const char *new_name, unsigned int flags)
{
	struct serve_caller caller = serve_caller_of(req);
	struct worker *w = caller.w;
	int r = -EROFS;

	if (!caller.inside && flags == 0 && w->change.state == CHANGE_PREPARED &&
	    parent == w->change.folder)
		r = change_rename(&w->change, w->tree, name, new_parent, new_name);
	if (is_step(req, r, new_parent, "rename"))
		fuse_reply_err(req, 0);
}

void serve_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	serve_refuse_write(req, ino, "link");
}

void serve_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                 struct fuse_file_info *fi)
{
	serve_refuse_write(req, ino, "write");
}

void serve_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi)
{
	serve_refuse_write(req, parent, "create");
}

void serve_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags)
{
	serve_refuse_write(req, ino, "setxattr");
}

void serve_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	serve_refuse_write(req, ino, "removexattr");
}

void serve_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                     struct fuse_file_info *fi)
{
	serve_refuse_write(req, ino, "fallocate");
}

void serve_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset,
                           struct fuse_file_info *from_fi, fuse_ino_t to, off_t to_offset,
                           struct fuse_file_info *to_fi, size_t size, int flags)
{
	serve_refuse_write(req, to, "copy_file_range");
}

/*
 * Not a write: programs ask any descriptor whether it is a terminal. No record, or it would drown
 * in them.
 */
void serve_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *argument,
                 struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_size,
                 size_t out_size)
{
	fuse_reply_err(req, ENOTTY);
}
