/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/times.h"
#include "sets.h"
#include "versions.h"

/*
 * An inode is one version of one file and never changes: names and attributes may be kept for ever
 * (30 years).
 */
#define FOREVER_S 1e9

/*
 * Largest READ that one request brings: 32 KiB, so that a value of 1 MiB takes 32 round trips. recv
 * holds no more.
 */
#define REQUEST_MAX (32 * 1024)

#define LISTING_MAX 4096 /* bytes of one READDIR answer; the kernel asks for a page */
#define BLOCK_SIZE 4096

#define XATTR_VERSION "user.coffer.version"
#define XATTR_EXPIRES "user.coffer.expires"

static struct worker *worker_of(fuse_req_t req)
{
	return device_owner(fuse_req_userdata(req));
}

struct serve_caller serve_caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct worker *w = worker_of(req);

	return (struct serve_caller){
		.w = w,
		.uid = ctx->uid,
		.pid = (uint32_t)ctx->pid,
		.inside = caller_is_inside(&w->callers, ctx->pid),
	};
}

int serve_audit(const struct serve_caller *caller, enum ring_event event, int result,
                const struct tree_node *n, const char *text)
{
	const struct audit_event e = {
		.event = event,
		.result = result,
		.node = n ? n->id : 0,
		.version = n ? n->version : 0,
		.uid = caller->uid,
		.pid = caller->pid,
		.text = text,
		.request = device_request(caller->w->device),
	};

	return audit_put(&caller->w->audit, &e);
}

/* EACCES, and a record of who asked for what. */
static void refuse(fuse_req_t req, const struct serve_caller *caller, enum ring_event event,
                   const struct tree_node *n, const char *text)
{
	serve_audit(caller, event, -EACCES, n, text ? text : n ? n->name : NULL);
	fuse_reply_err(req, EACCES);
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want = conn->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
	                              FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_CACHE_SYMLINKS);
	/* Also sets the most pages that one READ may ask for. */
	conn->max_write = REQUEST_MAX;
}

static mode_t mode_of(const struct tree_node *n)
{
	switch (n->kind) {
	case NODE_DIR:
	case NODE_PLACEHOLDER_DIR:
		return S_IFDIR | n->mode;
	case NODE_SYMLINK:
		return S_IFLNK | 0777;
	default:
		return S_IFREG | n->mode;
	}
}

static void stat_node(const struct tree_node *n, struct stat *st)
{
	*st = (struct stat){
		.st_ino = n->id,
		.st_mode = mode_of(n),
		.st_nlink = S_ISDIR(mode_of(n))      ? 2
		            : n->linked || n->staged ? 1
		                                     : 0,
		.st_uid = n->uid,
		.st_gid = n->gid,
		.st_size = (off_t)n->size,
		.st_blksize = BLOCK_SIZE,
		.st_blocks = (blkcnt_t)((n->size + 511) / 512),
		.st_mtim = { .tv_sec = n->mtime_ns / NS_PER_S, .tv_nsec = n->mtime_ns % NS_PER_S },
	};
	st->st_ctim = st->st_atim = st->st_mtim;
}

void serve_reply_entry(fuse_req_t req, struct tree_node *n)
{
	const bool settled = !n->set || versions_settled(n);
	struct fuse_entry_param e = { .ino = n->id,
		                      .attr_timeout = FOREVER_S,
		                      .entry_timeout = settled ? FOREVER_S : 0 };

	stat_node(n, &e.attr);
	/* Not counted if the caller is gone: then the kernel has dropped the answer. */
	if (fuse_reply_entry(req, &e) == 0)
		tree_remember(n);
}

static void stat_staging(const struct worker *w, struct stat *st)
{
	*st = (struct stat){ .st_ino = w->change.folder, .st_mode = S_IFDIR | 0700, .st_nlink = 2 };
}

static void reply_staging(fuse_req_t req, const struct worker *w)
{
	/* Never kept: once the change is made the folder is gone. */
	struct fuse_entry_param e = { .ino = w->change.folder };

	stat_staging(w, &e.attr);
	fuse_reply_entry(req, &e);
}

static struct sets_call sets_call_of(const struct serve_caller *caller)
{
	const struct worker *w = caller->w;

	return (struct sets_call){
		.passes = worker_passes_of(w->shared),
		.generation = w->generation,
		.process = caller_process(&w->callers, (pid_t)caller->pid),
		.thread = caller->pid,
		.boot_ns = times_boottime(),
		.wall_ns = times_now(),
		.request = device_request(w->device),
	};
}

/* Of a set, each caller finds the version of its own pass. `n` has the name now, NULL: nothing. */
static struct tree_node *look_up_inside(const struct serve_caller *caller, fuse_ino_t parent,
                                        const char *name, struct tree_node *n)
{
	struct sets_call call;

	if (!n)
		return change_coming(&caller->w->change, caller->w->tree, parent, name);
	if (!n->set || versions_settled(n))
		return n;
	call = sets_call_of(caller);
	return sets_look_up(&call, n);
}

static bool open_of_set(const struct serve_caller *caller, struct tree_node *n)
{
	const struct sets_call call = sets_call_of(caller);

	return sets_open(&call, n);
}

/* What the attacher has to look up, be it there or not: never a file that stays as it is. */
static bool may_lookup_outside(const struct worker *w, fuse_ino_t parent, const char *name,
                               const struct tree_node *n)
{
	if (n && (n->kind == NODE_PLACEHOLDER_DIR || n->kind == NODE_PLACEHOLDER_FILE))
		return true;
	return change_announces(&w->change, w->tree, parent, name);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct serve_caller caller = serve_caller_of(req);
	struct worker *w = caller.w;
	struct tree_node *folder = tree_find(w->tree, parent);
	struct tree_node *n = folder ? tree_lookup(folder, name) : NULL;

	if (!caller.inside && change_is_folder(&w->change, parent, name)) {
		reply_staging(req, w);
		return;
	}
	if (caller.inside) {
		n = look_up_inside(&caller, parent, name, n);
	} else if (w->change.state == CHANGE_PREPARED && parent == w->change.folder) {
		n = change_staged(&w->change, w->tree, name);
	} else if (!may_lookup_outside(w, parent, name, n)) {
		refuse(req, &caller, RING_LOOKUP, n, name);
		return;
	}
	if (n)
		serve_reply_entry(req, n);
	else
		fuse_reply_err(req, ENOENT);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	tree_forget(worker_of(req)->tree, ino, count);
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		tree_forget(worker_of(req)->tree, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/*
 * Folders and placeholders, which every path walks through, and what the attacher is about to move.
 */
static bool may_stat_outside(const struct worker *w, const struct tree_node *n)
{
	return (n->kind != NODE_FILE && n->kind != NODE_SYMLINK) || change_touches(&w->change, n);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serve_caller caller = serve_caller_of(req);
	struct worker *w = caller.w;
	struct tree_node *n = tree_find(w->tree, ino);
	struct stat st;

	if (!n && w->change.state == CHANGE_PREPARED && ino == w->change.folder) {
		stat_staging(w, &st);
		fuse_reply_attr(req, &st, 0);
	} else if (!n) {
		fuse_reply_err(req, ESTALE);
	} else if (!caller.inside && !may_stat_outside(w, n)) {
		refuse(req, &caller, RING_LOOKUP, n, NULL);
	} else {
		stat_node(n, &st);
		fuse_reply_attr(req, &st, FOREVER_S);
	}
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct serve_caller caller = serve_caller_of(req);
	const struct tree_node *n = tree_find(caller.w->tree, ino);

	if (!caller.inside)
		refuse(req, &caller, RING_LOOKUP, n, NULL);
	else if (!n || n->kind != NODE_SYMLINK)
		fuse_reply_err(req, n ? EINVAL : ESTALE);
	else
		fuse_reply_readlink(req, n->text);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serve_caller caller = serve_caller_of(req);
	struct tree_node *n = tree_find(caller.w->tree, ino);

	if (!caller.inside) {
		refuse(req, &caller, RING_OPEN, n, NULL);
		return;
	}
	if (!n) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC)) {
		serve_refuse_write(req, ino, "open");
		return;
	}
	if (tree_withheld(n, times_now())) {
		refuse(req, &caller, RING_OPEN, n, NULL);
		return;
	}
	if (n->set && !open_of_set(&caller, n)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (n->kind == NODE_FILE && serve_audit(&caller, RING_OPEN, 0, n, NULL) < 0) {
		fuse_reply_err(req, EIO);
		return;
	}
	fi->keep_cache = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
	struct serve_caller caller = serve_caller_of(req);
	const struct tree_node *n = tree_find(caller.w->tree, ino);
	uint64_t at = (uint64_t)offset, left;

	if (!caller.inside || (n && tree_withheld(n, times_now()))) {
		refuse(req, &caller, RING_READ, n, NULL);
	} else if (!n) {
		fuse_reply_err(req, ESTALE);
	} else if (offset < 0 || at >= n->size || !n->bytes) {
		fuse_reply_buf(req, NULL, 0);
	} else {
		left = n->size - at;
		fuse_reply_buf(req, (const char *)n->bytes + at, left < size ? left : size);
	}
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct serve_caller caller = serve_caller_of(req);
	const struct tree_node *n = tree_find(caller.w->tree, ino);

	if (!caller.inside)
		refuse(req, &caller, RING_OPENDIR, n, NULL);
	else if (!n)
		fuse_reply_err(req, ESTALE);
	else
		fuse_reply_open(req, fi);
}

struct listing {
	fuse_req_t req;
	char bytes[LISTING_MAX];
	size_t size, used;
};

/*
 * One entry; `next` is the place that the kernel asks for when it goes on behind it. False when
 * full.
 */
static bool list(struct listing *l, const char *name, uint64_t id, mode_t mode, uint64_t next)
{
	const struct stat st = { .st_ino = id, .st_mode = mode };
	size_t needs = fuse_add_direntry(l->req, l->bytes + l->used, l->size - l->used, name, &st,
	                                 (off_t)next);

	if (needs > l->size - l->used)
		return false;
	l->used += needs;
	return true;
}

/*
 * A place comes from the name alone: an entry that is rotated between two calls keeps it and is
 * listed exactly once, and a successor goes on where the dead worker stopped. No handle, no copy.
 */
static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
	struct serve_caller caller = serve_caller_of(req);
	const struct tree_node *folder = tree_find(caller.w->tree, ino);
	struct listing l = { .req = req, .size = size < LISTING_MAX ? size : LISTING_MAX };
	uint64_t up;

	if (!caller.inside) {
		refuse(req, &caller, RING_OPENDIR, folder, NULL);
		return;
	}
	if (!folder || offset < 0) {
		fuse_reply_err(req, folder ? EINVAL : ESTALE);
		return;
	}
	up = folder->parent ? folder->parent->id : folder->id;
	if ((offset > 0 || list(&l, ".", folder->id, S_IFDIR, 1)) &&
	    (offset > 1 || list(&l, "..", up, S_IFDIR, TREE_PLACE_MIN)))
		for (const struct tree_node *n = tree_from(folder, (uint64_t)offset);
		     n && list(&l, n->name, n->id, mode_of(n), n->place + 1); n = n->sibling)
			;
	fuse_reply_buf(req, l.bytes, l.used);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct worker *w = worker_of(req);
	uint64_t files = tree_count(w->tree);

	const struct statvfs st = {
		.f_bsize = BLOCK_SIZE,
		.f_frsize = BLOCK_SIZE,
		.f_blocks = (tree_bytes(w->tree) + BLOCK_SIZE - 1) / BLOCK_SIZE,
		.f_files = w->statfs_files > files ? w->statfs_files : files,
		.f_namemax = WORKER_NAME_MAX,
	};

	fuse_reply_statfs(req, &st);
}

static void reply_xattr(fuse_req_t req, const char *bytes, size_t len, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (size < len)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, bytes, len);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct serve_caller caller = serve_caller_of(req);
	const struct tree_node *n = tree_find(caller.w->tree, ino);
	char text[TIMES_TEXT_MAX];

	if (!caller.inside) {
		refuse(req, &caller, RING_LOOKUP, n, NULL);
	} else if (n && n->kind == NODE_FILE && strcmp(name, XATTR_VERSION) == 0) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)n->version);
		reply_xattr(req, text, strlen(text), size);
	} else if (n && n->kind == NODE_FILE && n->expires_ns != 0 &&
	           strcmp(name, XATTR_EXPIRES) == 0) {
		times_format(n->expires_ns, text);
		reply_xattr(req, text, strlen(text), size);
	} else {
		fuse_reply_err(req, ENODATA);
	}
}

static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	static const char names[] = XATTR_VERSION "\0" XATTR_EXPIRES;
	struct serve_caller caller = serve_caller_of(req);
	const struct tree_node *n = tree_find(caller.w->tree, ino);
	size_t len = 0;

	if (n && n->kind == NODE_FILE)
		len = n->expires_ns != 0 ? sizeof(names) : sizeof(XATTR_VERSION);
	if (!caller.inside)
		refuse(req, &caller, RING_LOOKUP, n, NULL);
	else
		reply_xattr(req, names, len, size);
}

/*
 * Left out, with the kernel's own behaviour wanted: access (default_permissions checks), flush
 * (noflush), release (see tree.h), fsync (nothing to write), locks, lseek, poll and bmap.
 */
const struct fuse_lowlevel_ops serve_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.read = on_read,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.statfs = on_statfs,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.setattr = serve_setattr,
	.mknod = serve_mknod,
	.mkdir = serve_mkdir,
	.unlink = serve_unlink,
	.rmdir = serve_rmdir,
	.symlink = serve_symlink,
	.rename = serve_rename,
	.link = serve_link,
	.write = serve_write,
	.create = serve_create,
	.setxattr = serve_setxattr,
	.removexattr = serve_removexattr,
	.fallocate = serve_fallocate,
	.copy_file_range = serve_copy_file_range,
	.ioctl = serve_ioctl,
};
