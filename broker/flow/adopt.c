/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/adopt.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "flow/fdstore.h"
#include "flow/registry_json.h"
#include "flow/report.h"
#include "flow/update.h"
#include "server/folders.h"

#define ADOPT_USEC 2000000 /* for a worker to answer; one that hangs is replaced */
#define SOCKET_BACKLOG 1   /* there is one broker */

/*
 * The socket's address by way of an open folder: sun_path has 108 bytes, a runtime folder may have
 * more. The folder's descriptor must stay open while the address is used.
 */
static int address(const struct containers *set, const char *instance, struct sockaddr_un *ret)
{
	int dir = openat(set->b->runtime_fd, FOLDER_WORKERS,
	                 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return -errno;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s.sock", dir, instance);
	return dir;
}

static int make_socket(void)
{
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return sock < 0 ? -errno : sock;
}

int adopt_listen(struct container *c)
{
	SCOPED_FD int sock = make_socket();
	struct sockaddr_un at;
	SCOPED_FD int dir = address(c->set, c->instance_text, &at);

	if (sock < 0 || dir < 0)
		return sock < 0 ? sock : dir;
	unlink(at.sun_path);
	if (bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(sock, SOCKET_BACKLOG) < 0)
		return -errno;
	return TAKE_FD(sock);
}

void adopt_forget(struct containers *set, const char *name)
{
	SCOPED_FD int dir =
		openat(set->b->runtime_fd, FOLDER_WORKERS, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char file[64];

	snprintf(file, sizeof(file), "%.32s.sock", name);
	if (dir >= 0)
		unlinkat(dir, file, 0);
	fdstore_drop(name);
}

static int reach(struct container *c)
{
	static const struct wr_adopt hello = { .proto = WORKER_PROTO };
	SCOPED_FD int sock = make_socket();
	struct sockaddr_un at;
	SCOPED_FD int dir = address(c->set, c->instance_text, &at);
	int result;

	if (sock < 0 || dir < 0)
		return sock < 0 ? sock : dir;
	if (connect(sock, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	result = serving_adopt(c, sock);
	if (result < 0)
		return result;
	TAKE_FD(sock);
	return worker_send(c->worker, WR_ADOPT, &hello, sizeof(hello), NULL, 0, NULL, 0);
}

/* There is nothing to take up: what is left of it goes, and a new mount may come. */
static void start_afresh(struct container *c)
{
	update_abandon(c);
	tree_clear(&c->tree);
	c->flow = FLOW_IDLE;
}

/* Its worker died with the broker, but the service manager kept the mount: a successor takes it up. */
static int revive(struct container *c)
{
	struct fdstore_mount mount;
	struct err why = { "" };
	char label[256];
	int result = fdstore_take(c->instance_text, &mount);

	if (result < 0)
		return result;
	c->fuse_fd = mount.fuse;
	c->clone_fd = mount.clone;
	result = serving_take_shared(c, mount.shared, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (result < 0) {
		mount_drop(c);
		return result;
	}
	ring_recover(c->ring);
	c->mount = MOUNT_UP;
	report_container(c, "revive", "broker and worker had ended");
	log_info("%s: its mount goes on", container_label(c, label, sizeof(label)));
	mount_watch(c);
	/* While sealed its values are not had: its requests wait in the kernel until the unseal. */
	if (serving_start(c, &why) == -ENOKEY)
		return 0;
	if (!c->worker)
		mount_failed(c, why.text);
	return 0;
}

static void without_worker(struct container *c, bool restored)
{
	worker_stop(c->worker);
	c->worker = NULL;
	c->flow = FLOW_IDLE;
	if (!restored || revive(c) < 0)
		start_afresh(c);
}

void adopt_lost(struct container *c)
{
	c->adopt_timer = sd_event_source_disable_unref(c->adopt_timer);
	without_worker(c, true);
	container_step(c);
	registry_note_loaded(c->set);
}

static int on_late(sd_event_source *source, uint64_t usec, void *arg)
{
	struct container *c = arg;

	report_container(c, "worker.hung", "it did not answer a new broker");
	adopt_lost(c);
	return 0;
}

void adopt_begin(struct container *c, const json_t *saved)
{
	struct err why = { "" };
	int result = registry_restore(c, saved, &why);
	bool restored = result >= 0;

	if (!restored)
		log_warn("the mount of an earlier broker cannot be taken over: %s", why.text);
	else if (!c->left_worker)
		result = -ENOENT; /* it had none */
	else
		result = reach(c);
	if (result >= 0)
		result = sd_event_add_time_relative(c->set->b->event, &c->adopt_timer,
		                                    CLOCK_BOOTTIME, ADOPT_USEC, 0, on_late, c);
	if (result >= 0)
		c->flow = FLOW_ADOPTING;
	else
		without_worker(c, restored);
}

/* How far the change under way has come, by the worker's word; the registration knows its steps. */
static int go_on_with_update(struct container *c, const struct wr_escrow *escrow)
{
	if (!c->update)
		return 0;
	if (sodium_memcmp(escrow->finished, c->update->token, sizeof(c->update->token)) == 0) {
		update_commit(c);
		return 0;
	}
	if (sodium_memcmp(escrow->prepared, c->update->token, sizeof(c->update->token)) != 0)
		return update_resume(c); /* it dropped what it had heard of it */
	if (c->mount == MOUNT_UP)
		update_run(c);
	else
		update_finish(c);
	return 0;
}

/* The descriptors are what they are said to be: an attacher will rename through them. */
static bool makes_sense(const struct container *c, const struct record *r)
{
	const struct wr_escrow *escrow = (const struct wr_escrow *)r->payload;
	struct stat fuse;
	struct statx clone;

	if (r->nfds != (escrow->mounted ? 4 : 2))
		return false;
	if (!escrow->mounted)
		return true;
	/* DONT_SYNC: the file system is served by the very process that we ask. */
	return fstat(r->fds[2], &fuse) == 0 && S_ISCHR(fuse.st_mode) &&
	       fuse.st_rdev == makedev(10, 229) &&
	       statx(r->fds[3], "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &clone) == 0 &&
	       makedev(clone.stx_dev_major, clone.stx_dev_minor) == c->dev;
}

static void greet(struct container *c, const struct wr_escrow *escrow)
{
	char label[256];

	report_container(c, "adopt", NULL);
	log_info("%s: its worker serves on", container_label(c, label, sizeof(label)));
	if (c->mount == MOUNT_UP)
		mount_watch(c);
	if (escrow->proto != WORKER_PROTO)
		serving_replace(c);
	if (c->flow == FLOW_IDLE)
		container_flow_done(c);
}

int adopt_on_worker(struct container *c, struct record *r)
{
	const struct wr_escrow *escrow = (const struct wr_escrow *)r->payload;
	int result;

	if (!makes_sense(c, r))
		return -EBADMSG;
	c->adopt_timer = sd_event_source_disable_unref(c->adopt_timer);
	result = serving_take_shared(c, TAKE_FD(r->fds[0]), TAKE_FD(r->fds[1]));
	if (escrow->mounted) {
		c->fuse_fd = TAKE_FD(r->fds[2]);
		c->clone_fd = TAKE_FD(r->fds[3]);
		c->mount = MOUNT_UP;
	}
	c->worker_ready = true;
	c->flow = FLOW_IDLE;
	if (result >= 0)
		result = go_on_with_update(c, escrow);
	if (result < 0)
		mount_failed(c, "its worker could not be taken over from an earlier broker");
	else
		greet(c, escrow);
	registry_note_loaded(c->set);
	return 0;
}
