/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/adopt.h"

#include <fcntl.h>
#include <signal.h>
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
#include "coffer/kern.h"
#include "coffer/log.h"
#include "flow/farewell.h"
#include "flow/fdstore.h"
#include "flow/registry_json.h"
#include "flow/report.h"
#include "flow/update.h"
#include "flow/workload.h"
#include "server/folders.h"

#define ADOPT_USEC 2000000 /* for a worker to answer; one that hangs is replaced */
/* Such times in all for a mount that nobody else keeps: it ends with its worker. */
#define ADOPT_TURNS 5
/*
 * There is one broker; but on a busy host several may have come, called and been killed before the
 * worker comes to run, and one that cannot be called counts as lost.
 */
#define SOCKET_BACKLOG 128

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
	snprintf(file, sizeof(file), "%.32s", name); /* `name` may be that of its registration */
	fdstore_drop(set, file);
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
	shared_drop(c);
	tree_clear(&c->tree);
	fdstore_drop(c->set, c->instance_text);
	c->flow = FLOW_IDLE;
}

/* The descriptors are what they are said to be: an attacher will rename through the clone. */
static bool are_of_mount(const struct container *c, int fuse_fd, int clone_fd)
{
	struct statx fuse, clone;

	/* DONT_SYNC: either may be of a file system that is served by the very process that we ask. */
	return statx(fuse_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &fuse) == 0 &&
	       S_ISCHR(fuse.stx_mode) &&
	       makedev(fuse.stx_rdev_major, fuse.stx_rdev_minor) == makedev(10, 229) &&
	       statx(clone_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &clone) == 0 &&
	       makedev(clone.stx_dev_major, clone.stx_dev_minor) == c->dev;
}

/* Its worker died with the broker, but the service manager kept the mount: a successor takes it up. */
static int revive(struct container *c)
{
	struct fdstore_mount mount;
	struct err why = { "" };
	char label[256];
	int result = fdstore_take(c->set->fdstore, c, &mount);

	if (result < 0)
		return result;
	c->fuse_fd = mount.fuse;
	c->clone_fd = mount.clone;
	result = shared_take(c, mount.shared, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (result >= 0 && !are_of_mount(c, c->fuse_fd, c->clone_fd))
		result = -EBADMSG;
	if (result >= 0) {
		c->mount = MOUNT_UP;
		result = shared_renew(c, &why);
	}
	if (result < 0) {
		uint64_t dev = c->dev; /* in its place, dead: it is taken off first */

		c->mount = MOUNT_NONE;
		mount_drop(c);
		c->dev = dev;
		return result;
	}
	ring_recover(c->ring);
	report_container(c, "revive", "broker and worker had ended");
	log_info("%s: its mount goes on", container_label(c, label, sizeof(label)));
	mount_watch(c, true);
	/* While sealed its values are not had: its requests wait in the kernel until the unseal. */
	if (serving_start(c, &why) == -ENOKEY)
		return 0;
	if (!c->worker)
		mount_failed(c, why.text);
	return 0;
}

/* Of one that has ended: its records, from the manager. */
static void take_kept_records(struct container *c)
{
	struct fdstore_mount mount;

	if (fdstore_take(c->set->fdstore, c, &mount) < 0)
		return;
	fd_close(mount.fuse);
	fd_close(mount.clone);
	(void)shared_take(c, mount.shared, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* It is dead, or was never there. */
static void without_worker(struct container *c, bool restored)
{
	c->flow = FLOW_IDLE;
	if (c->gone) {
		if (restored)
			take_kept_records(c);
		farewell_end(c);
		return;
	}
	if (!restored || revive(c) < 0)
		start_afresh(c);
}

static void go_on(struct container *c)
{
	container_step(c);
	registry_note_loaded(c->set);
}

void adopt_worker_ended(struct container *c)
{
	bool gone = c->gone;

	c->adopt_timer = sd_event_source_disable_unref(c->adopt_timer);
	without_worker(c, true);
	if (!gone)
		go_on(c);
}

/* It may have answered, and it is we who were busy; or it is all that holds the mount. */
static bool may_take_longer(struct container *c)
{
	if (c->shared || !c->worker || ++c->adopt_turns >= ADOPT_TURNS)
		return false;
	return worker_has_news(c->worker) || !fdstore_has(c->set->fdstore, c);
}

/* When it is dead a successor comes; until then nobody else waits for it. */
static int on_late(sd_event_source *source, uint64_t usec, void *arg)
{
	struct container *c = arg;

	if (c->flow == FLOW_ADOPTING && may_take_longer(c) &&
	    sd_event_source_set_time_relative(c->adopt_timer, ADOPT_USEC) >= 0 &&
	    sd_event_source_set_enabled(c->adopt_timer, SD_EVENT_ONESHOT) >= 0)
		return 0;
	c->adopt_timer = sd_event_source_disable_unref(c->adopt_timer);
	if (c->flow != FLOW_ADOPTING)
		return 0; /* that is settled */
	if (!c->shared)
		report_container(c, "worker.hung", "it did not answer a new broker");
	if (c->worker)
		worker_kill(c->worker);
	registry_note_loaded(c->set);
	return 0;
}

static int on_left_end(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct container *c = arg;

	c->left_source = sd_event_source_disable_unref(c->left_source);
	adopt_worker_ended(c);
	return 0;
}

/*
 * One that lives but cannot be reached makes room for a successor: two must not serve one mount.
 * False: it has ended, or its end is not to be watched.
 */
static bool end_left(struct container *c, bool watch)
{
	SCOPED_FD int pidfd = c->left_worker ? kern_pidfd_open(c->left_worker, 0) : -1;
	uint64_t started = 0;

	if (pidfd < 0 || kern_start_time(c->left_worker, &started) < 0 ||
	    started != c->left_worker_start || !kern_pidfd_alive(pidfd))
		return false;
	kern_pidfd_send_signal(pidfd, SIGKILL);
	if (!watch)
		return false;
	if (sd_event_add_io(c->set->b->event, &c->left_source, pidfd, EPOLLIN, on_left_end, c) < 0)
		return false;
	sd_event_source_set_io_fd_own(c->left_source, true);
	TAKE_FD(pidfd);
	return true;
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
	if (result < 0) {
		worker_stop(c->worker);
		c->worker = NULL;
	}
	if (result >= 0 || end_left(c, restored))
		c->flow = FLOW_ADOPTING;
	else
		without_worker(c, restored);
}

/* Its steps may have been made, of some predecessor of this worker. */
static bool was_prepared(const struct container *c)
{
	const uint8_t *token = c->shared->made.token;

	return sodium_memcmp(token, c->update->token, sizeof(c->update->token)) == 0;
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
	if (sodium_memcmp(escrow->prepared, c->update->token, sizeof(c->update->token)) != 0) {
		int result = update_resume(c); /* it dropped what it had heard of it */

		if (result == -ENOKEY && !was_prepared(c))
			result = update_resume_without(c);
		return result;
	}
	if (c->mount == MOUNT_UP)
		update_run(c);
	else
		update_finish(c);
	return 0;
}

static bool makes_sense(const struct container *c, const struct record *r)
{
	const struct wr_escrow *escrow = (const struct wr_escrow *)r->payload;

	if (c->shared || r->nfds != (escrow->mounted ? 4 : 2))
		return false; /* a second time, or not all that it says */
	if (!shared_looks_right(r->fds[0], r->fds[1]))
		return false;
	return !escrow->mounted || are_of_mount(c, r->fds[2], r->fds[3]);
}

/*
 * One of another build, older or newer: nothing but ADOPT and ESCROW is understood by both, so it
 * makes room for one of ours, which is told the tree, and the change under way from its beginning.
 * So does one that was told to refuse everything.
 */
static int replace_left(struct container *c, const struct wr_escrow *escrow)
{
	char label[256];

	log_info("%s: its worker %s and is replaced", container_label(c, label, sizeof(label)),
	         escrow->mounted == ESCROW_REFUSES ? "refuses everything"
	                                           : "is of another version");
	if (c->update &&
	    sodium_memcmp(escrow->finished, c->update->token, sizeof(c->update->token)) == 0)
		update_commit(c);
	c->flow = FLOW_ADOPTING; /* until it is dead: on_worker_end of serving.c */
	serving_replace(c);
	return 0;
}

void adopt_replaced(struct container *c)
{
	if (c->flow != FLOW_ADOPTING)
		return;
	c->adopt_timer = sd_event_source_disable_unref(c->adopt_timer);
	c->flow = FLOW_IDLE;
	registry_note_loaded(c->set);
}

static void greet(struct container *c)
{
	char label[256];

	log_info("%s: its worker serves on", container_label(c, label, sizeof(label)));
	workload_serve_waiting(c);
	if (c->flow == FLOW_IDLE)
		container_flow_done(c);
}

int adopt_on_worker(struct container *c, struct record *r)
{
	const struct wr_escrow *escrow = (const struct wr_escrow *)r->payload;
	bool ours = escrow->proto == WORKER_PROTO;
	int result;

	if (!makes_sense(c, r))
		return -EBADMSG;
	result = shared_take(c, TAKE_FD(r->fds[0]), TAKE_FD(r->fds[1]));
	if (c->gone) {
		farewell_end(c);
		return 0;
	}
	if (escrow->mounted) {
		c->fuse_fd = TAKE_FD(r->fds[2]);
		c->clone_fd = TAKE_FD(r->fds[3]);
		c->mount = MOUNT_UP;
		mount_watch(c, true);
		fdstore_keep(c); /* a manager that was told to stop us has forgotten it */
	}
	if (result >= 0 && ours && !c->ring)
		result = -EBADMSG; /* it speaks as we do, but its memory is not ours */
	if (result >= 0)
		report_container(c, "adopt", NULL);
	if (result >= 0 && (!ours || escrow->mounted == ESCROW_REFUSES))
		return replace_left(c, escrow);
	c->adopt_timer = sd_event_source_disable_unref(c->adopt_timer);
	c->worker_ready = true;
	c->flow = FLOW_IDLE;
	if (result >= 0)
		update_released_before(c);
	/* If the change cannot be told now, a successor hears of it when its bytes are to be had. */
	if (result >= 0 && go_on_with_update(c, escrow) < 0)
		serving_replace(c);
	else if (result < 0)
		mount_failed(c, "its worker could not be taken over from an earlier broker");
	else
		greet(c);
	registry_note_loaded(c->set);
	return 0;
}
