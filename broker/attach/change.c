/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHANGE: real renames and removals through our clone of a mount, and pages dropped.
 *
 * The worker that answers for the mount serves a container and may have been taken over by it: its
 * folders are walked without following links or leaving the mount, so that the worst it can do is
 * fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/attacher.h"
#include "attach/paths.h"
#include "attach/sys.h"
#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"

struct step {
	uint32_t kind;
	uint64_t node;
	char from[ATTACH_TEXT_MAX], to[ATTACH_TEXT_MAX];
};

struct change {
	int clone, fuse;
};

/* The folder that `path` lies in; *ret_name points at its last component. */
static int open_parent(const struct change *c, const char *path, const char **ret_name)
{
	char folder[ATTACH_TEXT_MAX];

	*ret_name = paths_split(path, folder);
	return sys_openat2(c->clone, folder, O_PATH | O_DIRECTORY,
	                   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
	                           RESOLVE_NO_XDEV);
}

static int do_rename(const struct change *c, const struct step *s)
{
	const char *from_name, *to_name;
	SCOPED_FD int from = open_parent(c, s->from, &from_name);
	SCOPED_FD int to = open_parent(c, s->to, &to_name);

	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	return renameat(from, from_name, to, to_name) < 0 ? -errno : 0;
}

/* `other`: how the kernel says that it is a folder instead of a file, or the other way round. Then
 * this step was made before, and so was one behind it. */
static int remove_entry(const struct change *c, const struct step *s, int flags, int other)
{
	const char *name;
	SCOPED_FD int folder = open_parent(c, s->from, &name);

	if (folder < 0)
		return folder == -ENOENT || folder == -ENOTDIR ? 0 : folder;
	if (unlinkat(folder, name, flags) == 0 || errno == ENOENT || errno == other)
		return 0;
	return -errno;
}

static int do_unlink(const struct change *c, const struct step *s)
{
	return remove_entry(c, s, 0, EISDIR);
}

static int do_rmdir(const struct change *c, const struct step *s)
{
	return remove_entry(c, s, AT_REMOVEDIR, ENOTDIR);
}

static int do_mkdir(const struct change *c, const struct step *s)
{
	const char *name;
	SCOPED_FD int folder = open_parent(c, s->from, &name);

	if (folder < 0)
		return folder;
	return mkdirat(folder, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* A notice to the kernel is written to /dev/fuse like an answer, with `unique` 0 and its kind as
 * the error. */
static int do_drop_pages(const struct change *c, const struct step *s)
{
	struct {
		struct fuse_out_header header;
		struct fuse_notify_inval_inode_out body;
	} notice = {
		.header = { .len = sizeof(notice), .error = FUSE_NOTIFY_INVAL_INODE },
		.body = { .ino = s->node, .off = 0, .len = 0 }, /* all of it */
	};

	return write(c->fuse, &notice, sizeof(notice)) < 0 && errno != ENOENT ? -errno : 0;
}

static const struct {
	uint32_t kind;
	bool from, to, node; /* what the step must have */
	int (*run)(const struct change *c, const struct step *s);
} kinds[] = {
	{ CHANGE_RENAME, true, true, false, do_rename },
	{ CHANGE_UNLINK, true, false, false, do_unlink },
	{ CHANGE_MKDIR, true, false, false, do_mkdir },
	{ CHANGE_RMDIR, true, false, false, do_rmdir },
	{ CHANGE_DROP_PAGES, false, false, true, do_drop_pages },
};

static int take_step(const struct record *r, size_t *at, struct step *s)
{
	uint32_t numbers[2];

	if (*at > r->len || r->len - *at < sizeof(numbers) + sizeof(s->node))
		return -EBADMSG;
	memcpy(numbers, r->payload + *at, sizeof(numbers));
	memcpy(&s->node, r->payload + *at + sizeof(numbers), sizeof(s->node));
	*at += sizeof(numbers) + sizeof(s->node);
	s->kind = numbers[0];
	if (record_get_text(r, at, s->from, sizeof(s->from)) < 0 ||
	    record_get_text(r, at, s->to, sizeof(s->to)) < 0)
		return -EBADMSG;
	return 0;
}

static int run_step(const struct change *c, const struct step *s)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].kind != s->kind)
			continue;
		if ((kinds[i].from && !paths_below_ok(s->from)) ||
		    (kinds[i].to && !paths_below_ok(s->to)) || (kinds[i].node && !s->node))
			return -EBADMSG;
		return kinds[i].run(c, s);
	}
	return -EBADMSG;
}

int change_run(struct operation_call *call, struct err *e)
{
	struct record *r = call->request;
	struct change c = { .clone = r->fds[0], .fuse = r->fds[1] };
	struct ar_change fixed;
	size_t at = sizeof(fixed);
	uint32_t made = 0;
	int result = 0;

	memcpy(&fixed, r->payload, sizeof(fixed));
	if (fixed.steps > ATTACH_STEPS_MAX)
		return err_set(e, -EBADMSG, "the change has more than %d steps", ATTACH_STEPS_MAX);
	for (; made < fixed.steps; made++) {
		struct step step;

		result = take_step(r, &at, &step);
		if (result == 0)
			result = run_step(&c, &step);
		if (result < 0)
			break;
	}
	if (result == 0 && at != r->len)
		return err_set(e, -EBADMSG, "the change is malformed");
	return attacher_done(call->sock, r->serial, result, made);
}
