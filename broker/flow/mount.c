/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount.c - a mount comes into a container, is watched, and goes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "flow/container.h"
#include "flow/fdstore.h"
#include "flow/report.h"
#include "flow/watch.h"

/* MOUNT, FOLDER, UNMOUNT and CHECK are asked alike. */
static int ask(struct container *c, uint16_t type, operation_handler handler,
               struct operation **ret)
{
	const struct facts *f = &c->facts;
	const int fds[] = { f->pidfd, f->mnt_fd, f->pid_fd, f->user_fd };
	struct ar_mount fixed = { .pid = f->fixed.pid, .dev = c->dev };
	unsigned char texts[3 * (ATTACH_TEXT_MAX + 2)];
	size_t len = 0;
	struct operation_request request = {
		.type = type,
		.payload = &fixed,
		.len = sizeof(fixed),
		.tail = texts,
		.fds = fds,
		.nfds = ARRAY_LEN(fds),
		.limit_s = CONTAINER_ATTACH_S,
	};

	if (record_put_text(texts, sizeof(texts), &len,
	                    type == AR_MOUNT || type == AR_FOLDER ? f->root : "") < 0 ||
	    record_put_text(texts, sizeof(texts), &len, c->folder) < 0 ||
	    record_put_text(texts, sizeof(texts), &len, f->label ? f->label : "") < 0)
		return -EMSGSIZE;
	request.tail_len = len;
	return operation_start(c->set->b, &request, handler, c, ret);
}

void mount_drop(struct container *c)
{
	c->mounts_source = sd_event_source_disable_unref(c->mounts_source);
	c->mounts_fd = fd_close(c->mounts_fd);
	if (c->clone_fd >= 0 && !c->set->leaving)
		fdstore_drop(c->set, c->instance_text);
	c->fuse_fd = fd_close(c->fuse_fd);
	c->clone_fd = fd_close(c->clone_fd);
	c->dev = 0;
}

/* Whatever was under way, there is no mount; connections lose their worker too and come again. */
static void give_up(struct container *c, enum mount_state state)
{
	/* One that fails while it is up, or may have come up, is still in its place, dead, and has to
	 * be taken off first. */
	bool shown = c->mount == MOUNT_UP || c->flow == FLOW_SETTING;
	uint64_t dead = state == MOUNT_FAILED && shown ? c->dev : 0;

	operation_cancel(c->op);
	c->op = NULL;
	c->op_is_update = false;
	c->withdrawing = MOUNT_NONE;
	c->failing = false;
	update_abandon(c);
	serving_stop(c);
	mount_drop(c);
	c->dev = dead;
	c->mount = state;
}

void mount_gone(struct container *c)
{
	enum mount_state state = c->withdrawing;

	c->withdrawing = MOUNT_NONE;
	give_up(c, state);
	registry_save(c);
	report_container(c, c->withdraw_event, c->reason.text);
	container_tell_waiters(c, state == MOUNT_DETACHED ? 0 : -ENOENT, c->reason.text);
	container_flow_done(c);
}

void mount_withdraw(struct container *c, enum mount_state state, const char *event)
{
	if (c->op_is_update || !c->op)
		update_abandon(c);
	c->withdrawing = state;
	c->withdraw_event = event;
	if (!c->worker_ready || c->op || update_withdraw_all(c) < 0)
		mount_gone(c);
}

void mount_failed(struct container *c, const char *why)
{
	bool halfway = c->mount == MOUNT_MAKING;
	char label[256];

	err_set(&c->reason, -EIO, "%s", why);
	c->failing = c->op && c->flow == FLOW_SETTING;
	if (c->failing) { /* what it does in the container has to be over before it is undone */
		operation_stop(c->op);
		return;
	}
	give_up(c, MOUNT_FAILED);
	report_container(c, "attach.failed", why);
	log_warn("%s: not attached: %s", container_label(c, label, sizeof(label)), why);
	container_tell_waiters(c, -EIO, c->reason.text);
	if (halfway && c->dev) {                 /* nobody has seen it work: it is undone at once */
		c->settled = c->set->generation; /* not made again before the next change */
		mount_clear_old(c);
		return;
	}
	container_flow_done(c);
}

/* What the folder holds already keeps its place: one placeholder each, in the worker's tree from
 * the start. */
static int take_existing(struct container *c, const struct record *r)
{
	const struct ar_existing *head = (const struct ar_existing *)r->payload;
	size_t at = sizeof(*head);

	if (r->len < sizeof(*head) || head->count > ATTACH_EXISTING_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < head->count; i++) {
		char name[WORKER_NAME_MAX + 1], target[ATTACH_TEXT_MAX + 1];
		struct node like = { .linked = true, .parent = WORKER_ROOT_NODE };

		if (at + sizeof(like.kind) > r->len)
			return -EBADMSG;
		memcpy(&like.kind, r->payload + at, sizeof(like.kind));
		at += sizeof(like.kind);
		if (record_get_text(r, &at, name, sizeof(name)) < 0 ||
		    record_get_text(r, &at, target, sizeof(target)) < 0 || !name[0] ||
		    strchr(name, '/') || like.kind < NODE_PLACEHOLDER_DIR ||
		    like.kind > NODE_SYMLINK)
			return -EBADMSG;
		like.mode = like.kind == NODE_PLACEHOLDER_DIR ? 0755
		            : like.kind == NODE_SYMLINK       ? 0777
		                                              : 0644;
		if (!tree_add(&c->tree, &like, name, like.kind == NODE_SYMLINK ? target : NULL))
			return -ENOSPC;
	}
	return 0;
}

/* The linked node at `path` or below it with the longest path: what has to go first. */
static struct node *deepest_at(struct tree *t, size_t count, const char *path)
{
	size_t len = strlen(path);
	struct node *deepest = NULL;

	for (size_t i = 0; i < count; i++) {
		struct node *n = &t->node[i];

		if (n->linked && strncmp(n->path, path, len) == 0 &&
		    (!n->path[len] || n->path[len] == '/') &&
		    (!deepest || strlen(n->path) > strlen(deepest->path)))
			deepest = n;
	}
	return deepest;
}

/*
 * A worker that serves connections only has a tree already. What of it clashes with the folder's
 * own entries goes, and the placeholders come: the channel is ordered, so the answers need not be
 * waited for.
 */
static int tell_running_worker(struct container *c, size_t before)
{
	struct wr_prepare prepare = { { 0 } };
	bool staged = false;
	int result = 0;

	for (size_t i = before; i < c->tree.count && result >= 0; i++) {
		struct node *gone;

		while (result >= 0 && (gone = deepest_at(&c->tree, before, c->tree.node[i].path))) {
			struct wr_stage stage = {
				.kind = gone->kind == NODE_DIR ? STAGE_RMDIR : STAGE_UNLINK,
			};

			result = serving_send_node(c, WR_STAGE, gone, &stage);
			gone->linked = false;
			staged = true;
			container_note_clash(c, gone->path);
		}
	}
	if (result >= 0 && staged)
		result = worker_send(c->worker, WR_PREPARE, &prepare, sizeof(prepare), NULL, 0,
		                     NULL, 0);
	if (result >= 0 && staged)
		result = worker_send(c->worker, WR_FINISH, NULL, 0, NULL, 0, NULL, 0);
	for (size_t i = before; i < c->tree.count && result >= 0; i++)
		result = serving_send_node(c, WR_NODE, &c->tree.node[i], NULL);
	if (result >= 0)
		result = serving_send_mount(c, RESUME_NOT);
	c->flow = FLOW_MOUNTING;
	return result;
}

static void on_existing(struct container *c, struct record *r)
{
	size_t before = c->tree.count;
	struct err why = { "" };
	int result;

	if (r->nfds != 1 || r->len < sizeof(struct ar_existing)) {
		mount_failed(c, "the attacher gave no file system");
		return;
	}
	c->fuse_fd = TAKE_FD(r->fds[0]);
	c->dev = ((const struct ar_existing *)r->payload)->dev;
	if (c->worker) {
		result = take_existing(c, r);
		if (result >= 0)
			result = tell_running_worker(c, before);
		registry_save(c); /* the next broker must know what to take off */
	} else {
		tree_clear(&c->tree);
		result = serving_new_tree(c);
		if (result >= 0)
			result = take_existing(c, r);
		if (result >= 0)
			result = serving_start(c, &why);
	}
	if (result < 0)
		mount_failed(c, why.text[0] ? why.text
		                            : "what the folder holds could not be taken over");
}

static void on_mounted(struct container *c, struct record *r)
{
	char label[256];

	if (r->nfds != 1 || r->len < sizeof(struct ar_mounted)) {
		mount_failed(c, "the attacher gave no mount");
		return;
	}
	c->clone_fd = TAKE_FD(r->fds[0]);
	c->dev = ((const struct ar_mounted *)r->payload)->dev;
	c->mount = MOUNT_UP;
	c->holds_up = false;
	c->reason.text[0] = '\0';
	serving_keep(c);
	fdstore_keep(c);
	registry_save(c);
	report_container(c, "attach", NULL);
	log_info("%s: attached at %s", container_label(c, label, sizeof(label)), c->folder);
	mount_watch(c, false);
	container_tell_waiters(c, 0, c->folder);
	container_flow_done(c);
}

static void on_mount_news(void *arg, struct operation_news *news)
{
	struct container *c = arg;
	struct err why = c->failing ? c->reason : news->why;

	if (news->event == OPERATION_SLOW) {
		c->holds_up = true; /* a change is answered without it from now on */
		container_tell_waiters(c, news->error, HOLDS_UP_REASON);
		settle_check(c->set);
		return;
	}
	if (news->event == OPERATION_FAILED || c->failing) {
		c->op = NULL;
		mount_failed(c, why.text);
		return;
	}
	if (news->record->type == AR_EXISTING && c->flow == FLOW_EXISTING) {
		on_existing(c, news->record);
		return;
	}
	c->op = NULL; /* the last word: the operation frees itself */
	if (news->record->type == AR_MOUNTED && c->flow == FLOW_SETTING)
		on_mounted(c, news->record);
	else
		mount_failed(c, "the attacher answered out of turn");
}

int mount_begin(struct container *c, struct err *e)
{
	int result;

	if (c->facts.subject.host_mounts)
		return err_set(e, -EOPNOTSUPP, HOST_MOUNTS_REASON);
	result = ask(c, AR_MOUNT, on_mount_news, &c->op);
	if (result < 0)
		return err_errno(e, result, "cannot start an attacher");
	c->mount = MOUNT_MAKING;
	c->flow = FLOW_EXISTING;
	return 0;
}

/* Its answer to MOUNT: requests are being served, so the attacher may walk the mount. */
void mount_on_worker(struct container *c, const struct record *r)
{
	const struct wr_result *result = (const struct wr_result *)r->payload;

	if (result->result < 0 && c->mount != MOUNT_UP) {
		mount_failed(c, "the worker could not take up the file system");
		return;
	}
	if (c->flow != FLOW_MOUNTING)
		return; /* a successor has taken over */
	c->flow = FLOW_SETTING;
	if (!c->op || operation_send(c->op, AR_GO) < 0)
		mount_failed(c, "the attacher ended while the mount was being made");
}

static void on_folder_news(void *arg, struct operation_news *news)
{
	struct container *c = arg;
	char label[256];

	if (news->event == OPERATION_SLOW)
		return;
	if (news->event == OPERATION_FAILED)
		log_info("%s: no empty folder could be made, so nothing can be mounted while it "
		         "runs: %s",
		         container_label(c, label, sizeof(label)), news->why.text);
	c->op = NULL;
	if (!c->must_wait && !c->explicit) /* who asked for a mount hears of the mount */
		container_tell_waiters(c, 0, "");
	container_flow_done(c);
}

int mount_folder(struct container *c)
{
	int result = ask(c, AR_FOLDER, on_folder_news, &c->op);

	if (result >= 0)
		c->flow = FLOW_FOLDER;
	return result;
}

static void on_detach_news(void *arg, struct operation_news *news)
{
	struct container *c = arg;

	if (news->event == OPERATION_SLOW) { /* the rest is not worth waiting for */
		container_tell_waiters(c, news->error, HOLDS_UP_REASON);
		return;
	}
	c->op = NULL;
	if (news->event == OPERATION_FAILED && news->error != -ENOENT) {
		report_container(c, "detach.failed", news->why.text);
		container_tell_waiters(c, news->error, news->why.text);
		container_flow_done(c);
		return;
	}
	c->reason.text[0] = '\0';
	mount_withdraw(c, MOUNT_DETACHED, "detach");
}

int mount_detach(struct container *c)
{
	int result;

	if (c->mount != MOUNT_UP && !c->dev) { /* nor a dead one in its place */
		give_up(c, MOUNT_DETACHED);
		registry_save(c);
		container_tell_waiters(c, 0, "");
		return 0;
	}
	result = ask(c, AR_UNMOUNT, on_detach_news, &c->op);
	if (result >= 0)
		c->flow = FLOW_DETACHING;
	return result;
}

/* A new one would come to lie over it: that waits for the next change, which tries again. */
static void old_stays(struct container *c, int error, const char *why)
{
	err_set(&c->reason, error, "a dead mount could not be taken off: %s", why);
	report_container(c, "attach.failed", c->reason.text);
	c->mount = MOUNT_FAILED;
	c->settled = c->set->generation;
	container_tell_waiters(c, error, c->reason.text);
	container_flow_done(c);
}

static void on_old_gone(void *arg, struct operation_news *news)
{
	struct container *c = arg;

	if (news->event == OPERATION_SLOW)
		return;
	c->op = NULL;
	if (news->event == OPERATION_FAILED && news->error != -ENOENT) {
		old_stays(c, news->error, news->why.text);
		return;
	}
	c->dev = 0; /* gone, or not there any more: either way a new one may come */
	c->flow = FLOW_IDLE;
	container_step(c);
}

void mount_clear_old(struct container *c)
{
	int result;

	c->flow = FLOW_CLEARING;
	result = ask(c, AR_UNMOUNT, on_old_gone, &c->op);
	if (result < 0)
		old_stays(c, result, "no attacher could be started");
}

static int on_mounts_changed(sd_event_source *source, int fd, uint32_t events, void *arg);

static void on_check_news(void *arg, struct operation_news *news)
{
	struct container *c = arg;
	const struct ar_done *done;
	int found;

	if (news->event == OPERATION_SLOW)
		return;
	c->check = NULL;
	c->check_repeated =
		news->event == OPERATION_FAILED && news->error == -EPIPE && !c->check_repeated;
	if (news->event == OPERATION_FAILED)
		found = news->error;
	else {
		done = (const struct ar_done *)news->record->payload;
		found = news->record->len < sizeof(*done) ? -EBADMSG : done->result;
	}
	if (found == 0) { /* seen at its place by the container's own root: it runs */
		c->lost_watch = true;
	} else if (found == -ENOENT && c->lost_watch && c->mount == MOUNT_UP &&
	           c->flow != FLOW_DETACHING && !c->withdrawing) {
		err_set(&c->reason, -ENOENT,
		        "unmounted from inside the container; `coffer attach` mounts again");
		mount_withdraw(c, MOUNT_LOST, "mount.lost");
	}
	if (c->check_again || c->check_repeated)
		on_mounts_changed(NULL, -1, 0, c);
}

/* The kernel says that something was mounted or unmounted there: have an attacher look whether ours
 * is in place. */
static int on_mounts_changed(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct container *c = arg;
	c->check_again = c->check != NULL;
	if (c->mount != MOUNT_UP || c->check)
		return 0;
	if (ask(c, AR_CHECK, on_check_news, &c->check) < 0)
		log_warn("cannot start an attacher to look after a mount");
	return 0;
}

void mount_watch(struct container *c, bool taken_over)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", c->facts.fixed.pid);
	c->mounts_fd = open(path, O_RDONLY | O_CLOEXEC);
	watch_arm(c->set);
	if (taken_over && !c->facts.root[0]) /* it runs: the mount was at its place */
		c->lost_watch = true;
	if (c->mounts_fd < 0 || sd_event_add_io(c->set->b->event, &c->mounts_source, c->mounts_fd,
	                                        EPOLLPRI, on_mounts_changed, c) < 0)
		log_warn("cannot watch the mounts of process %d; an unmount from inside goes "
		         "unnoticed",
		         c->facts.fixed.pid);
	on_mounts_changed(NULL, -1, 0, c);
}
