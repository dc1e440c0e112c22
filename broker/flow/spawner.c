/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/spawner.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach/attach.h"
#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "coffer/log.h"
#include "coffer/record.h"
#include "flow/spawner_door.h"
#include "server/config.h"

/*
 * Requests that the spawner has at one time. Few enough that neither side's socket ever fills: the
 * broker must not wait for the spawner, which may be waiting for the broker to take an answer.
 */
#define ASKED_MAX 16

struct request {
	struct request *next;
	uint64_t serial;
	uint16_t what;
	int sock;          /* of one that waits for its turn; -1 once it is with the spawner */
	spawner_done done; /* NULL: forgotten */
	void *arg;
};

struct spawner {
	struct broker *b;
	int sock;
	uint64_t serial;
	struct request *requests, **last; /* in the order of asking */
	size_t asked;                     /* are with the spawner */
	sd_event_source *source;
	sd_event_source
		*turn; /* asks what waits in the loop's next turn, when the asker has returned */
};

static struct attach_config plain_config(const struct config *config)
{
	struct attach_config plain = {
		.mount_folder = config->mount_folder,
		.worker_path = config->worker_path,
		.enter_path = config->enter_path,
		.enter_fd = -1,
		.worker_uid = config->worker_uid,
		.worker_gid = config->worker_gid,
	};

	for (size_t i = 0; i < ARRAY_LEN(plain.runc_roots) && config->runc_roots[i]; i++)
		plain.runc_roots[i] = config->runc_roots[i];
	for (size_t i = 0; i < ARRAY_LEN(plain.engine_roots) && config->engine_roots[i]; i++)
		plain.engine_roots[i] = config->engine_roots[i];
	return plain;
}

/* Returns our end of its socket. */
static int fork_spawner(const struct attach_config *config, struct err *e)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make the spawner's socket");
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		_exit(spawner_main(pair[1], config) < 0 ? 1 : 0);
	}
	if (pid < 0) {
		int error = -errno;

		close(pair[0]);
		close(pair[1]);
		return err_errno(e, error, "cannot fork the spawner");
	}
	close(pair[1]);
	return pair[0];
}

int spawner_start(struct broker *b, struct err *e)
{
	struct attach_config config = plain_config(b->config);
	int sock = spawner_door_connect(b->runtime_fd, &config, e);
	struct spawner *s;

	if (sock == -ENOENT)
		sock = fork_spawner(&config, e);
	if (sock < 0)
		return sock;
	s = calloc(1, sizeof(*s));
	if (!s) {
		close(sock);
		return err_set(e, -ENOMEM, "out of memory");
	}
	s->b = b;
	s->last = &s->requests;
	s->sock = sock;
	b->spawner = s;
	return 0;
}

static struct request *take_request(struct spawner *s, uint64_t serial)
{
	for (struct request **at = &s->requests; *at; at = &(*at)->next)
		if ((*at)->serial == serial && (*at)->sock < 0) {
			struct request *found = *at;

			*at = found->next;
			if (s->last == &found->next)
				s->last = at;
			return found;
		}
	return NULL;
}

static void fail_request(struct request *q, int error)
{
	struct spawned result = { .pidfd = -1, .error = error };

	err_errno(&result.why, error, "cannot ask the spawner for a process");
	if (q->done)
		q->done(q->arg, &result);
}

static void ask_in_next_turn(struct spawner *s)
{
	if (sd_event_source_set_enabled(s->turn, SD_EVENT_ONESHOT) < 0)
		log_error("the spawner cannot be asked for what waits");
}

static struct request *first_waiting(struct spawner *s)
{
	struct request *q = s->requests;

	while (q && q->sock < 0)
		q = q->next;
	return q;
}

/* As many of those that wait as the spawner may have. */
static void send_waiting(struct spawner *s)
{
	struct request *q;

	while (s->asked < ASKED_MAX && (q = first_waiting(s))) {
		int result =
			record_send(s->sock, q->what, q->serial, NULL, 0, NULL, 0, &q->sock, 1);

		q->sock = fd_close(q->sock);
		if (result < 0) {
			take_request(s, q->serial);
			fail_request(q, result); /* may ask and forget others */
			free(q);
			ask_in_next_turn(s);
			return;
		}
		s->asked++;
	}
}

static void answer(struct request *q, struct record *r)
{
	struct spawned result = { .pidfd = -1 };
	size_t at = sizeof(struct ar_failed);

	if (r->type == AR_SPAWNED && r->len == sizeof(struct ar_spawned) && r->nfds == 1) {
		result.pid = ((struct ar_spawned *)r->payload)->pid;
		result.pidfd = TAKE_FD(r->fds[0]);
	} else {
		result.error = -EIO;
		err_set(&result.why, -EIO, "the spawner gave an answer that makes no sense");
		if (r->type == AR_FAILED && r->len >= sizeof(struct ar_failed)) {
			result.error = ((struct ar_failed *)r->payload)->error;
			record_get_text(r, &at, result.why.text, sizeof(result.why.text));
		}
	}
	if (q->done) {
		q->done(q->arg, &result);
	} else if (result.pidfd >= 0) {
		kern_pidfd_send_signal(result.pidfd, SIGKILL);
		close(result.pidfd);
	}
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct spawner *s = arg;
	SCOPED(free_ptr) struct record *r = malloc(sizeof(*r));
	int result = r ? record_recv(fd, r) : -ENOMEM;

	if (result == -EAGAIN || result == -EINTR || result == -ENOMEM)
		return 0;
	if (result <= 0) {
		log_error("the spawner has ended; nothing can be attached without it, so the "
		          "broker ends "
		          "too and wants to be started again");
		return sd_event_exit(sd_event_source_get_event(source), 1);
	}
	struct request *q = take_request(s, r->serial);

	if (q) {
		s->asked--;
		answer(q, r);
	}
	free(q);
	record_close_fds(r);
	send_waiting(s);
	return 0;
}

static int on_turn(sd_event_source *source, void *arg)
{
	send_waiting(arg);
	return 0;
}

int spawner_watch(struct broker *b, struct err *e)
{
	struct spawner *s = b->spawner;
	int result = sd_event_add_io(b->event, &s->source, s->sock, EPOLLIN, on_readable, s);

	if (result >= 0)
		result = sd_event_add_defer(b->event, &s->turn, on_turn, s);
	if (result >= 0)
		result = sd_event_source_set_enabled(s->turn, SD_EVENT_OFF);
	return result < 0 ? err_errno(e, result, "cannot watch the spawner") : 0;
}

void spawner_free(struct spawner *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->source);
	sd_event_source_disable_unref(s->turn);
	fd_close(s->sock);
	while (s->requests) {
		struct request *next = s->requests->next;

		fd_close(s->requests->sock);
		free(s->requests);
		s->requests = next;
	}
	free(s);
}

/* A worker goes before the attachers that wait: one that runs already waits for it. */
static void enqueue(struct spawner *s, struct request *q)
{
	struct request **at = s->last;

	if (q->what == AR_SPAWN_WORKER)
		for (at = &s->requests; *at && ((*at)->sock < 0 || (*at)->what == AR_SPAWN_WORKER);
		     at = &(*at)->next)
			;
	q->next = *at;
	*at = q;
	if (!q->next)
		s->last = &q->next;
}

int64_t spawner_ask(struct spawner *s, uint16_t what, int sock, spawner_done done, void *arg)
{
	struct request *q = malloc(sizeof(*q));
	int64_t serial = (int64_t)++s->serial;

	if (!q)
		return -ENOMEM;
	*q = (struct request){
		.serial = (uint64_t)serial,
		.what = what,
		.done = done,
		.arg = arg,
		.sock = fcntl(sock, F_DUPFD_CLOEXEC, 3),
	};
	if (q->sock < 0) {
		int error = -errno;

		free(q);
		return error;
	}
	enqueue(s, q);
	if (s->asked < ASKED_MAX)
		ask_in_next_turn(s);
	return serial;
}

void spawner_forget(struct spawner *s, int64_t serial)
{
	for (struct request **at = &s->requests; *at; at = &(*at)->next) {
		struct request *q = *at;

		if ((int64_t)q->serial != serial)
			continue;
		q->done = NULL;
		if (q->sock < 0)
			return; /* it is with the spawner: its answer is dropped */
		*at = q->next;
		if (s->last == &q->next)
			s->last = at;
		fd_close(q->sock);
		free(q);
		return;
	}
}
