/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "api.h"
#include "coffer/cleanup.h"
#include "coffer/times.h"
#include "sandbox.h"
#include "value.h"
#include "versions.h"

#define NS_PER_MS (NS_PER_S / 1000)

enum { POLL_DEVICE, POLL_CHANNEL, POLL_CONNECTIONS };

int worker_new(int channel, struct worker **ret)
{
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		fd_close(channel);
		return -ENOMEM;
	}
	w->audit.wake = w->listen_fd = w->shared_fd = w->clone_fd = -1;
	w->callers.pid_ns = -1;
	r = channel_open(&w->channel, channel);
	if (r == 0)
		r = tree_new(value_unmap, &w->tree);
	if (r < 0) {
		worker_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	api_free(w->api);
	device_free(w->device);
	if (w->tree)
		change_drop(&w->change, w->tree);
	tree_free(w->tree);
	channel_close(&w->channel);
	fd_close(w->audit.wake);
	fd_close(w->callers.pid_ns);
	fd_close(w->listen_fd);
	fd_close(w->shared_fd);
	fd_close(w->clone_fd);
	if (w->shared)
		munmap(w->shared, w->shared_size);
	free(w);
}

/*
 * Connections end with the broker, whose word they rest on; the mount does not. A change of which
 * only a part was heard is forgotten: the next broker tells it again.
 */
static void broker_is_gone(struct worker *w)
{
	channel_close(&w->channel);
	if (w->change.state == CHANGE_STAGING)
		change_drop(&w->change, w->tree);
	w->change_error = 0;
	if (w->api)
		api_close_all(w->api);
	channel_send_released(w);
	/* A mount that was still being made nobody could take over from us, nor take off: it goes. */
	if (w->clone_fd < 0)
		device_free(TAKE_PTR(w->device));
}

/* The kernel holds nothing of us any more. The broker notices by itself. */
static void mount_is_gone(struct worker *w)
{
	device_free(TAKE_PTR(w->device));
	tree_forget_all(w->tree);
	channel_send_released(w);
}

static int serve_device(struct worker *w, short events)
{
	int r;

	if (!events)
		return 0;
	r = device_serve(w->device);
	/* Aborted: POLLERR for ever, and nothing to read. */
	if (r == -ENODEV || (r == 0 && !(events & POLLIN))) {
		mount_is_gone(w);
		return 0;
	}
	if (r > 0)
		channel_send_released(w);
	return r < 0 ? r : 0;
}

static int serve_channel(struct worker *w, short events)
{
	int r = 0;

	if (events & POLLOUT)
		r = channel_flush(&w->channel);
	else if (events & (POLLIN | POLLHUP | POLLERR))
		r = channel_serve(w);
	if (r == -EPIPE) {
		broker_is_gone(w);
		return 0;
	}
	if (r == 0 && events & POLLOUT)
		channel_send_released(w);
	return r < 0 ? r : 0;
}

/* The next broker: root, on a socket in a folder that only root can reach. */
static int meet_broker(struct worker *w)
{
	SCOPED_FD int fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0)
		return 0;
	w->adopting = true;
	return channel_open(&w->channel, TAKE_FD(fd));
}

/*
 * While answers wait for the broker, no more is asked of us: so the queue can't overflow, and a
 * broker that does not read is not read either.
 */
static short channel_events(const struct worker *w)
{
	return w->channel.count > 0 ? POLLOUT : POLLIN;
}

/* Wakes up for what is kept for a while only, and only while there is any. */
static int expire_versions(struct worker *w)
{
	int64_t due_ns;

	if (!tree_retired(w->tree)->first)
		return -1;
	due_ns = versions_expire(w->tree, times_boottime());
	channel_send_released(w);
	return due_ns < 0 ? -1 : (int)(due_ns / NS_PER_MS) + 1;
}

int worker_run(struct worker *w)
{
	struct pollfd fds[POLL_CONNECTIONS + API_CONNECTIONS_MAX];

	while (w->channel.fd >= 0 || w->device) {
		size_t connections = 0;
		int timeout_ms = expire_versions(w), r;

		/* poll(2) passes over negative descriptors. */
		fds[POLL_DEVICE] = (struct pollfd){ .fd = w->device ? device_fd(w->device) : -1,
			                            .events = POLLIN };
		fds[POLL_CHANNEL] =
			w->channel.fd < 0 ? (struct pollfd){ .fd = w->listen_fd, .events = POLLIN }
					  : (struct pollfd){ .fd = w->channel.fd,
			                                     .events = channel_events(w) };
		if (w->api)
			connections = api_poll(w->api, fds + POLL_CONNECTIONS, &timeout_ms);
		r = poll(fds, POLL_CONNECTIONS + connections, timeout_ms);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r < 0)
			continue;
		r = serve_device(w, fds[POLL_DEVICE].revents);
		/* Before the channel, whose records add and end connections. */
		if (r == 0 && connections > 0)
			api_serve(w->api, fds + POLL_CONNECTIONS, connections);
		if (r == 0 && w->channel.fd >= 0)
			r = serve_channel(w, fds[POLL_CHANNEL].revents);
		else if (r == 0 && fds[POLL_CHANNEL].revents & POLLIN)
			r = meet_broker(w);
		if (r < 0)
			return r;
	}
	return 0;
}

int worker_main(int channel)
{
	struct worker *w = NULL;
	struct err why;
	int r = sandbox_enter(channel, &why);

	if (r == 0)
		r = worker_new(channel, &w);
	if (r == 0)
		r = worker_run(w);
	worker_free(w);
	return r == 0 ? 0 : 1;
}
