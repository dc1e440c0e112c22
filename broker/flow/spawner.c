/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/spawner.h"

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
#include "server/config.h"

struct request {
	struct request *next;
	uint64_t serial;
	spawner_done done; /* NULL: forgotten */
	void *arg;
};

struct spawner {
	struct broker *b;
	int sock;
	pid_t pid;
	uint64_t serial;
	struct request *requests; /* what waits for an answer; a handful */
	sd_event_source *source;
};

static void become_spawner(int sock, const struct config *config)
{
	struct attach_config plain = {
		.mount_folder = config->mount_folder,
		.worker_path = config->worker_path,
		.worker_uid = config->worker_uid,
		.worker_gid = config->worker_gid,
	};

	for (size_t i = 0; i < ARRAY_LEN(plain.runc_roots) && config->runc_roots[i]; i++)
		plain.runc_roots[i] = config->runc_roots[i];
	_exit(spawner_main(sock, &plain) < 0 ? 1 : 0);
}

int spawner_start(struct broker *b, struct err *e)
{
	struct spawner *s = calloc(1, sizeof(*s));
	int pair[2];

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(s);
		return err_errno(e, -errno, "cannot make the spawner's socket");
	}
	s->b = b;
	s->sock = pair[0];
	s->pid = fork();
	if (s->pid == 0) {
		close(pair[0]);
		become_spawner(pair[1], b->config);
	}
	close(pair[1]);
	if (s->pid < 0) {
		int error = -errno;

		spawner_free(s);
		return err_errno(e, error, "cannot fork the spawner");
	}
	b->spawner = s;
	return 0;
}

static struct request *take_request(struct spawner *s, uint64_t serial)
{
	for (struct request **at = &s->requests; *at; at = &(*at)->next)
		if ((*at)->serial == serial) {
			struct request *found = *at;

			*at = found->next;
			return found;
		}
	return NULL;
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

	if (q)
		answer(q, r);
	free(q);
	record_close_fds(r);
	return 0;
}

int spawner_watch(struct broker *b, struct err *e)
{
	struct spawner *s = b->spawner;
	int result = sd_event_add_io(b->event, &s->source, s->sock, EPOLLIN, on_readable, s);

	return result < 0 ? err_errno(e, result, "cannot watch the spawner") : 0;
}

void spawner_free(struct spawner *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->source);
	fd_close(s->sock);
	while (s->requests) {
		struct request *next = s->requests->next;

		free(s->requests);
		s->requests = next;
	}
	free(s);
}

int64_t spawner_ask(struct spawner *s, uint16_t what, int sock, spawner_done done, void *arg)
{
	struct request *q = malloc(sizeof(*q));
	int result;

	if (!q)
		return -ENOMEM;
	*q = (struct request){
		.next = s->requests, .serial = ++s->serial, .done = done, .arg = arg
	};
	result = record_send(s->sock, what, q->serial, NULL, 0, NULL, 0, &sock, 1);
	if (result < 0) {
		free(q);
		return result;
	}
	s->requests = q;
	return (int64_t)q->serial;
}

void spawner_forget(struct spawner *s, int64_t serial)
{
	for (struct request *q = s->requests; q; q = q->next)
		if ((int64_t)q->serial == serial)
			q->done = NULL;
}
