/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOUNT, FOLDER, UNMOUNT, CHECK.
 *
 * MOUNT puts the whole together where nobody sees it (a mount namespace of our own) and shows it
 * with one move_mount: there is no moment with bare placeholders. Until that call everything hangs
 * on descriptors, so that a kill leaves at most an empty folder.
 *
 * No sub-mounts are in the clone that stays with us: it is for renames, and must not keep the
 * container's volumes busy after it has ended.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "attach/existing.h"
#include "attach/superblock.h"
#include "attach/target.h"
#include "coffer/cleanup.h"

/* Any folder that every system has: it is covered in a mount namespace that only we are in. */
#define SCRATCH "/proc"

static void target_ptr(struct target *t)
{
	target_clear(t);
}

/* What mount_run holds. */
struct mounting {
	struct target target;
	struct superblock super;
	struct existing *existing;
	int folder;             /* in the container */
	struct sys_place place; /* of the folder */
	int shown, kept;        /* the clones: read-only for the container, read-write for us */
};

static void mounting_clear(struct mounting *m)
{
	fd_close(m->kept);
	fd_close(m->shown);
	fd_close(m->folder);
	if (m->existing)
		existing_clear(m->existing);
	free(m->existing);
	fd_close(m->super.mount);
	fd_close(m->super.fuse);
	target_clear(&m->target);
}

static void mounting_ptr(struct mounting *m)
{
	mounting_clear(m);
}

/* In the container: the folder, what it holds, whether it may be mounted on. */
static int survey(struct mounting *m, struct err *e)
{
	int r = target_enter(&m->target, e);

	if (r < 0 || (r = target_open_or_make(&m->target, &m->folder, e)) < 0)
		return r;
	r = sys_place_of(m->folder, &m->place);
	if (r < 0)
		return err_errno(e, r, "cannot look at the mount folder");
	r = target_refuse_shared(&m->target, &m->place, e);
	if (r < 0)
		return r;
	m->existing = calloc(1, sizeof(*m->existing));
	if (!m->existing)
		return err_set(e, -ENOMEM, "out of memory");
	r = existing_take(m->folder, m->existing, e);
	return r < 0 ? r : target_leave(&m->target, e);
}

/* 1: go on; 0: the broker has thought better of it. */
static int wait_for_go(struct operation_call *call, struct err *e)
{
	struct record *r = call->request; /* its descriptors stay ours: the target points at them */
	SCOPED(free_ptr) struct record *go = malloc(sizeof(*go));
	int result;

	if (!go)
		return err_set(e, -ENOMEM, "out of memory");
	do
		result = record_recv(call->sock, go);
	while (result == -EINTR);
	if (result == 0)
		return 0;
	if (result > 0 && (go->type != AR_GO || go->len || go->nfds || go->serial != r->serial)) {
		record_close_fds(go);
		result = -EBADMSG;
	}
	return result < 0 ? err_errno(e, result, "no word to go on") : 1;
}

/* In a mount namespace of our own. */
static int assemble(struct mounting *m, struct err *e)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, -errno, "cannot make a mount namespace to work in");
	r = sys_move_mount(m->super.mount, AT_FDCWD, SCRATCH);
	if (r < 0)
		return err_errno(e, r, "cannot attach the mount to work on it");
	r = existing_put(m->existing, m->super.mount, e);
	if (r < 0)
		return r;
	if ((r = m->shown = sys_clone_tree(m->super.mount, true)) < 0 ||
	    (r = m->kept = sys_clone_tree(m->super.mount, false)) < 0 ||
	    (r = sys_mount_read_only(m->shown)) < 0)
		return err_errno(e, r, "cannot clone the mount");
	return 0;
}

static int folder_is_still(const struct mounting *m, const struct sys_place *expected,
                           struct err *e)
{
	SCOPED_FD int now = -1;
	struct sys_place place;
	int r = target_open(&m->target, &now, e);

	if (r == 0 && (r = sys_place_of(now, &place)) < 0)
		r = err_errno(e, r, "cannot look at the mount folder");
	if (r == 0 && !sys_same_place(&place, expected))
		r = err_set(e, -ESTALE,
		            "the mount folder %.200s was changed from inside the container "
		            "while it was attached; try again",
		            m->target.folder);
	return r;
}

/* Into the container once more, and onto the very folder that was surveyed, still at its place. */
static int show(struct mounting *m, dev_t *ret_dev, struct err *e)
{
	struct sys_place ours;
	int r = target_enter(&m->target, e);

	if (r < 0 || (r = folder_is_still(m, &m->place, e)) < 0)
		return r;
	r = sys_move_mount(m->shown, m->folder, "");
	if (r == 0)
		r = sys_place_of(m->shown, &ours);
	if (r < 0)
		return err_errno(e, r, "cannot mount on %.200s in the container", m->target.folder);
	/* A folder renamed meanwhile took the mount along: nobody would find it there. */
	r = folder_is_still(m, &ours, e);
	if (r < 0) {
		if (fchdir(m->shown) < 0 || umount2(".", MNT_DETACH) < 0)
			return err_prefix(e, r, "a mount was left behind");
		return r;
	}
	*ret_dev = ours.dev;
	return 0;
}

int mount_run(struct operation_call *call, struct err *e)
{
	SCOPED(mounting_ptr)
	struct mounting m = {
		.target = TARGET_EMPTY, .super = { -1, -1 }, .folder = -1, .shown = -1, .kept = -1
	};
	uint64_t serial = call->request->serial;
	struct ar_mounted mounted = { 0 };
	dev_t dev;
	int r;

	if ((r = target_prepare(call, &m.target, e)) < 0 ||
	    (r = superblock_make(call->config->enter_fd, m.target.fds[TARGET_PID], m.target.label,
	                         &m.super, e)) < 0 ||
	    (r = survey(&m, e)) < 0 ||
	    (r = existing_send(m.existing, call->sock, serial, &m.super, e)) < 0)
		return r;
	r = wait_for_go(call, e);
	if (r <= 0)
		return r;
	if ((r = assemble(&m, e)) < 0 || (r = show(&m, &dev, e)) < 0)
		return r;
	mounted.dev = dev;
	r = record_send(call->sock, AR_MOUNTED, serial, &mounted, sizeof(mounted), NULL, 0, &m.kept,
	                1);
	if (r < 0) {
		(void)target_unmount(&m.target, dev, NULL);
		return err_errno(e, r, "the broker is gone");
	}
	return 0;
}

int folder_run(struct operation_call *call, struct err *e)
{
	SCOPED(target_ptr) struct target t = TARGET_EMPTY;
	SCOPED_FD int folder = -1;
	int r;

	if ((r = target_prepare(call, &t, e)) < 0 || (r = target_enter(&t, e)) < 0 ||
	    (r = target_open_or_make(&t, &folder, e)) < 0)
		return r;
	return attacher_done(call->sock, call->request->serial, 0, 0);
}

int unmount_run(struct operation_call *call, struct err *e)
{
	SCOPED(target_ptr) struct target t = TARGET_EMPTY;
	int r;

	if ((r = target_prepare(call, &t, e)) < 0 || (r = target_enter(&t, e)) < 0)
		return r;
	r = target_unmount(&t, t.dev, e);
	if (r < 0 && r != -ENOENT)
		return r;
	return attacher_done(call->sock, call->request->serial, r, 0);
}

int check_run(struct operation_call *call, struct err *e)
{
	SCOPED(target_ptr) struct target t = TARGET_EMPTY;
	SCOPED_FD int folder = -1;
	struct sys_place place = { 0 };
	int r;

	if ((r = target_prepare(call, &t, e)) < 0 || (r = target_enter(&t, e)) < 0)
		return r;
	r = target_open(&t, &folder, e);
	if (r == 0 && (r = sys_place_of(folder, &place)) < 0)
		return err_errno(e, r, "cannot look at the mount folder");
	/* a folder that is gone, or a link by now, is no mount of ours either */
	if (r == -ENOENT || r == -ELOOP || r == -ENOTDIR || (r == 0 && place.dev != t.dev))
		r = -ENOENT;
	if (r < 0 && r != -ENOENT)
		return r;
	return attacher_done(call->sock, call->request->serial, r, 0);
}
