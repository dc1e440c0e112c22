/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h - the file system's operations. Each works in memory only, answers at once, and may be
 * run twice.
 *
 * serve.c has what reads, serve_write.c what would write: refused, but for the steps of a prepared
 * change when made by a caller from outside the container.
 */
#pragma once

#include "worker.h"

/* The whole table of operations. */
extern const struct fuse_lowlevel_ops serve_ops;

/* See device.h. */
int serve_unknown(void *worker, uint32_t opcode, uint64_t node, uint32_t uid, uint32_t pid);

/* Shared by the files. */
struct serve_caller {
	struct worker *w;
	uint32_t uid, pid;
	bool inside;
};
struct serve_caller serve_caller_of(fuse_req_t req);

/* Record what was granted or refused; 0 or -EIO as audit_put. `n` and `text` may be NULL. */
int serve_audit(const struct serve_caller *caller, enum ring_event event, int result,
                const struct tree_node *n, const char *text);

void serve_reply_entry(fuse_req_t req, struct tree_node *n);

/* serve_write.c */
void serve_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
                   struct fuse_file_info *fi);
void serve_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void serve_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void serve_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void serve_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void serve_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void serve_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                  const char *new_name, unsigned int flags);
void serve_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void serve_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                 struct fuse_file_info *fi);
void serve_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi);
void serve_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags);
void serve_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void serve_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                     struct fuse_file_info *fi);
void serve_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset,
                           struct fuse_file_info *from_fi, fuse_ino_t to, off_t to_offset,
                           struct fuse_file_info *to_fi, size_t size, int flags);
void serve_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *argument,
                 struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_size,
                 size_t out_size);

/* Refuse a write-like call with EROFS and a record that names it. */
void serve_refuse_write(fuse_req_t req, fuse_ino_t ino, const char *what);
