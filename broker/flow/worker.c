/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "coffer/log.h"
#include "flow/spawner.h"
#include "server/bury.h"

/* What a worker may say, and exactly how long it is. */
static const struct {
	uint16_t type;
	size_t len;
	size_t fds_max;
} sayings[] = {
	{ WR_READY, sizeof(struct wr_ready), 0 },
	{ WR_MOUNTED, sizeof(struct wr_result), 0 },
	{ WR_PREPARED, sizeof(struct wr_result), 0 },
	{ WR_FINISHED, sizeof(struct wr_result), 0 },
	{ WR_DENIED, sizeof(struct wr_result), 0 },
	{ WR_ATTACH, sizeof(struct wr_attach), 0 },
	{ WR_RELEASED, sizeof(struct wr_released), 0 },
	{ WR_PONG, 0, 0 },
	{ WR_ESCROW, sizeof(struct wr_escrow), 4 },
};

struct queued {
	struct queued *next;
	uint16_t type;
	size_t len;
	int fds[RECORD_FDS_MAX];
	size_t nfds;
	unsigned char payload[];
};

struct worker {
	struct broker *b;
	worker_handler handler;
	void *arg;
	int sock, pidfd;
	pid_t pid;
	uint64_t start_time;
	int64_t asked; /* of the spawner; 0 once answered */
	struct queued *first, **last;
	size_t waiting;
	sd_event_source *io, *death;
};

static void queue_drop(struct queued *q)
{
	for (size_t i = 0; i < q->nfds; i++)
		fd_close(q->fds[i]);
	free(q);
}

static void worker_free(struct worker *w)
{
	sd_event_source_disable_unref(w->io);
	sd_event_source_disable_unref(w->death);
	if (w->asked > 0)
		spawner_forget(w->b->spawner, w->asked);
	while (w->first) {
		struct queued *next = w->first->next;

		queue_drop(w->first);
		w->first = next;
	}
	fd_close(w->sock);
	fd_close(w->pidfd);
	free(w);
}

static void ended(struct worker *w)
{
	worker_handler handler = w->handler;
	void *arg = w->arg;

	if (w->pidfd >= 0)
		kern_pidfd_send_signal(w->pidfd, SIGKILL);
	worker_free(w);
	handler(arg, NULL);
}

static bool may_say(const struct record *r)
{
	for (size_t i = 0; i < ARRAY_LEN(sayings); i++)
		if (sayings[i].type == r->type)
			return sayings[i].len == r->len && r->nfds <= sayings[i].fds_max;
	return false;
}

/*
 * Closing a file asks its file system, and that may be one that a container serves. Nothing of ours is of
 * that kind: what is stays open, a few for each worker that is ended for it.
 */
static bool close_may_hang(int fd)
{
	char link[64], name[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	if (n <= 0)
		return false;
	name[n] = '\0';
	return name[0] == '/' && strncmp(name, "/memfd:", 7) != 0 &&
	       strcmp(name, "/dev/fuse") != 0 && !(fcntl(fd, F_GETFL) & O_PATH);
}

/* Of what a worker sent, what nobody took. */
static void close_rest(sd_event *event, struct record *r)
{
	for (size_t i = 0; i < r->nfds; i++)
		if (r->fds[i] >= 0 && close_may_hang(r->fds[i])) {
			log_warn("a worker sent a file, which is left alone");
			r->fds[i] = -1;
		}
	bury(event, r->fds, r->nfds);
}

static int flush_queue(struct worker *w)
{
	while (w->first) {
		struct queued *q = w->first;
		int result = record_send(w->sock, q->type, 0, q->payload, q->len, NULL, 0, q->fds,
		                         q->nfds);

		if (result == -EAGAIN)
			return 0;
		if (result < 0)
			return result;
		w->first = q->next;
		if (!w->first)
			w->last = &w->first;
		w->waiting--;
		queue_drop(q);
	}
	sd_event_source_set_io_events(w->io, EPOLLIN);
	return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct worker *w = arg;
	sd_event *event = w->b->event;
	SCOPED(free_ptr) struct record *r = malloc(sizeof(*r));
	int result = 0;

	if (!r)
		return 0;
	if (events & EPOLLOUT)
		result = flush_queue(w);
	if (result == 0 && (events & (EPOLLIN | EPOLLHUP))) {
		result = record_recv(fd, r);
		if (result == -EAGAIN || result == -EINTR)
			return 0;
		if (result == 0)
			result = -EPIPE;
		if (result > 0 && !may_say(r)) {
			log_warn("worker %d sent a record it may not send (type %u) and is ended",
			         w->pid, r->type);
			if (w->pidfd >= 0)
				kern_pidfd_send_signal(w->pidfd, SIGKILL);
			close_rest(event, r);
			result = -EBADMSG;
		}
		if (result > 0) {
			w->handler(w->arg, r); /* may stop the worker: w is not used below */
			close_rest(event, r);
			return 0;
		}
	}
	if (result < 0)
		ended(w);
	return 0;
}

static int on_death(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	ended(arg);
	return 0;
}

/* After what it said last, which is in the socket still. */
static int watch_death(struct worker *w)
{
	int result = sd_event_add_io(w->b->event, &w->death, w->pidfd, EPOLLIN, on_death, w);

	return result < 0 ? result
	                  : sd_event_source_set_priority(w->death, SD_EVENT_PRIORITY_NORMAL + 1);
}

static void on_spawned(void *arg, struct spawned *result)
{
	struct worker *w = arg;

	w->asked = 0;
	if (result->error < 0) {
		log_error("cannot start a worker: %s", result->why.text);
		ended(w);
		return;
	}
	w->pid = result->pid;
	w->pidfd = result->pidfd;
	/* Only now is it heard: whoever hears it may want to know its pid. */
	sd_event_source_set_enabled(w->io, SD_EVENT_ON);
	if (kern_start_time(w->pid, &w->start_time) < 0 || watch_death(w) < 0)
		ended(w);
}

static struct worker *worker_alloc(struct broker *b, int sock, worker_handler handler, void *arg)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct worker){ .b = b, .handler = handler, .arg = arg, .sock = sock, .pidfd = -1 };
	w->last = &w->first;
	return w;
}

static int watch_socket(struct worker *w)
{
	if (fcntl(w->sock, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return sd_event_add_io(w->b->event, &w->io, w->sock, EPOLLIN, on_io, w);
}

int worker_new(struct broker *b, worker_handler handler, void *arg, struct worker **ret)
{
	SCOPED_FD int ours = -1, theirs = -1;
	struct worker *w;
	int pair[2], result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	bury_refuse_descriptors(ours); /* only to a later broker a worker sends any */
	w = worker_alloc(b, ours, handler, arg);
	if (!w)
		return -ENOMEM;
	TAKE_FD(ours);
	result = watch_socket(w);
	if (result >= 0)
		result = sd_event_source_set_enabled(w->io, SD_EVENT_OFF);
	if (result >= 0) {
		w->asked = spawner_ask(b->spawner, AR_SPAWN_WORKER, theirs, on_spawned, w);
		result = w->asked < 0 ? (int)w->asked : 0;
	}
	if (result < 0) {
		worker_free(w);
		return result;
	}
	*ret = w;
	return 0;
}

int worker_adopt(struct broker *b, int sock, pid_t pid, uint64_t start_time, worker_handler handler,
                 void *arg, struct worker **ret)
{
	SCOPED_FD int pidfd = kern_pidfd_open(pid, 0);
	uint64_t started = 0;
	struct worker *w;
	int result;

	if (pidfd < 0 || kern_start_time(pid, &started) < 0 || started != start_time ||
	    !kern_pidfd_alive(pidfd))
		return -ESRCH;
	w = worker_alloc(b, sock, handler, arg);
	if (!w)
		return -ENOMEM;
	w->pid = pid;
	w->start_time = start_time;
	w->pidfd = TAKE_FD(pidfd);
	result = watch_socket(w);
	if (result >= 0)
		result = watch_death(w);
	if (result < 0) {
		w->sock = -1; /* stays the caller's */
		worker_free(w);
		return result;
	}
	*ret = w;
	return 0;
}

static int enqueue(struct worker *w, uint16_t type, const void *payload, size_t len,
                   const void *tail, size_t tail_len, const int *fds, size_t nfds)
{
	struct queued *q;

	if (w->waiting >= WORKER_QUEUE_MAX || nfds > RECORD_FDS_MAX) {
		/* Its end comes through the loop, and a successor is told everything anew. */
		if (w->pidfd >= 0)
			kern_pidfd_send_signal(w->pidfd, SIGKILL);
		return -ENOBUFS;
	}
	q = malloc(sizeof(*q) + len + tail_len);
	if (!q)
		return -ENOMEM;
	*q = (struct queued){ .type = type, .len = len + tail_len };
	if (len)
		memcpy(q->payload, payload, len);
	if (tail_len)
		memcpy(q->payload + len, tail, tail_len);
	for (; q->nfds < nfds; q->nfds++) {
		q->fds[q->nfds] = fcntl(fds[q->nfds], F_DUPFD_CLOEXEC, 3);
		if (q->fds[q->nfds] < 0) {
			int error = -errno;

			queue_drop(q);
			return error;
		}
	}
	*w->last = q;
	w->last = &q->next;
	w->waiting++;
	sd_event_source_set_io_events(w->io, EPOLLIN | EPOLLOUT);
	return 0;
}

int worker_send(struct worker *w, uint16_t type, const void *payload, size_t len, const void *tail,
                size_t tail_len, const int *fds, size_t nfds)
{
	if (!w->first) {
		int result = record_send(w->sock, type, 0, payload, len, tail, tail_len, fds, nfds);

		if (result != -EAGAIN)
			return result;
	}
	return enqueue(w, type, payload, len, tail, tail_len, fds, nfds);
}

pid_t worker_pid(const struct worker *w)
{
	return w ? w->pid : 0;
}

uint64_t worker_start_time(const struct worker *w)
{
	return w ? w->start_time : 0;
}

bool worker_has_news(const struct worker *w)
{
	struct pollfd news = { .fd = w->sock, .events = POLLIN };

	return poll(&news, 1, 0) == 1 && news.revents & POLLIN;
}

void worker_stop(struct worker *w)
{
	if (!w)
		return;
	if (w->pidfd >= 0)
		kern_pidfd_send_signal(w->pidfd, SIGKILL);
	worker_free(w);
}

void worker_kill(struct worker *w)
{
	if (w->pidfd >= 0)
		kern_pidfd_send_signal(w->pidfd, SIGKILL);
}

void worker_release(struct worker *w)
{
	if (w)
		worker_free(w);
}
