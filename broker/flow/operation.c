/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/operation.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/kern.h"
#include "flow/spawner.h"

struct operation {
	struct broker *b;
	operation_handler handler; /* NULL: cancelled */
	void *arg;
	int sock, pidfd;
	uint16_t asked; /* AR_INSPECT, … */
	bool halfway;
	int64_t serial; /* of the request to the spawner; 0 once answered */
	bool killed;
	unsigned int limit_s;
	sd_event_source *answers, *death, *limit;
};

static void operation_free(struct operation *op)
{
	sd_event_source_disable_unref(op->answers);
	sd_event_source_disable_unref(op->death);
	sd_event_source_disable_unref(op->limit);
	if (op->serial > 0)
		spawner_forget(op->b->spawner, op->serial);
	fd_close(op->sock);
	fd_close(op->pidfd);
	free(op);
}

static void tell(struct operation *op, struct operation_news *news)
{
	if (op->handler)
		op->handler(op->arg, news);
}

/* The last event: the handler runs, then the operation is gone. */
static void fail(struct operation *op, int error, const char *why)
{
	struct operation_news news = { .event = OPERATION_FAILED, .error = error };

	err_set(&news.why, error, "%s", why);
	tell(op, &news);
	operation_free(op);
}

static void kill_child(struct operation *op)
{
	op->killed = true;
	if (op->pidfd >= 0)
		kern_pidfd_send_signal(op->pidfd, SIGKILL);
}

/* The one answer that ends each operation well; what else comes is a hijacked attacher's. */
static const struct {
	uint16_t asked, last;
} answers[] = {
	{ AR_INSPECT, AR_FACTS }, { AR_MOUNT, AR_MOUNTED }, { AR_FOLDER, AR_DONE },
	{ AR_UNMOUNT, AR_DONE },  { AR_CHECK, AR_DONE },    { AR_CHANGE, AR_DONE },
	{ AR_REACT, AR_DONE },
};

static bool is_last(const struct operation *op, uint16_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (answers[i].asked == op->asked)
			return answers[i].last == type;
	return false;
}

/* EXISTING comes once, in the middle of a mount. */
static bool is_halfway(struct operation *op, uint16_t type)
{
	bool halfway = op->asked == AR_MOUNT && type == AR_EXISTING && !op->halfway;

	op->halfway |= halfway;
	return halfway;
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct operation *op = arg;
	SCOPED(free_ptr) struct record *r = malloc(sizeof(*r));
	int result = r ? record_recv(fd, r) : -ENOMEM;

	if (result == -EAGAIN || result == -EINTR || result == -ENOMEM)
		return 0;
	if (result <= 0) {
		if (op->killed) { /* its death tells the rest */
			op->answers = sd_event_source_disable_unref(op->answers);
			return 0;
		}
		fail(op, -EPIPE,
		     "the attacher ended without an answer (was it killed?); try again");
		return 0;
	}
	if (r->type == AR_FAILED && r->len >= sizeof(struct ar_failed)) {
		size_t at = sizeof(struct ar_failed);
		char why[ERR_TEXT_MAX] = "the attacher failed";
		int error = ((struct ar_failed *)r->payload)->error;

		record_get_text(r, &at, why, sizeof(why));
		record_close_fds(r);
		fail(op, error < 0 ? error : -EIO, why);
		return 0;
	}
	struct operation_news news = { .event = OPERATION_RECORD, .record = r };
	bool last = is_last(op, r->type);

	if (!last && !is_halfway(op, r->type)) {
		record_close_fds(r);
		kill_child(op);
		fail(op, -EBADMSG, "the attacher answered out of turn and was ended");
		return 0;
	}
	tell(op, &news);
	record_close_fds(r);
	if (last)
		operation_free(op);
	return 0;
}

static int on_death(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct operation *op = arg;

	fail(op, -ETIMEDOUT,
	     "the container kept the attacher waiting for too long and it was ended");
	return 0;
}

static int on_limit(sd_event_source *source, uint64_t usec, void *arg)
{
	struct operation *op = arg;
	struct operation_news news = { .event = OPERATION_SLOW, .error = -ETIMEDOUT };

	kill_child(op);
	if (op->pidfd >= 0 &&
	    sd_event_add_io(op->b->event, &op->death, op->pidfd, EPOLLIN, on_death, op) >= 0) {
		tell(op, &news);
		return 0;
	}
	fail(op, -ETIMEDOUT, "no attacher could be started in time");
	return 0;
}

static void on_spawned(void *arg, struct spawned *result)
{
	struct operation *op = arg;

	op->serial = 0;
	if (result->error < 0) {
		fail(op, result->error, result->why.text);
		return;
	}
	op->pidfd = result->pidfd;
	/* From here on: what waited for its turn has not been slow. */
	if (sd_event_add_time_relative(op->b->event, &op->limit, CLOCK_BOOTTIME,
	                               op->limit_s * 1000000ULL, 0, on_limit, op) < 0)
		fail(op, -ENOMEM, "no timer can be had");
}

int operation_start(struct broker *b, const struct operation_request *request,
                    operation_handler handler, void *arg, struct operation **ret)
{
	struct operation *op = calloc(1, sizeof(*op));
	SCOPED_FD int theirs = -1;
	int pair[2], result;

	if (!op)
		return -ENOMEM;
	op->b = b;
	op->handler = handler;
	op->arg = arg;
	op->asked = request->type;
	op->limit_s = request->limit_s;
	op->sock = op->pidfd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(op);
		return -errno;
	}
	op->sock = pair[0];
	theirs = pair[1];
	result = record_send(op->sock, request->type, 1, request->payload, request->len,
	                     request->tail, request->tail_len, request->fds, request->nfds);
	if (result >= 0)
		result = sd_event_add_io(b->event, &op->answers, op->sock, EPOLLIN, on_answer, op);
	if (result >= 0) {
		op->serial = spawner_ask(b->spawner, AR_SPAWN_ATTACHER, theirs, on_spawned, op);
		result = op->serial < 0 ? (int)op->serial : 0;
	}
	if (result < 0) {
		operation_free(op);
		return result;
	}
	*ret = op;
	return 0;
}

int operation_send(struct operation *op, uint16_t type)
{
	return record_send(op->sock, type, 1, NULL, 0, NULL, 0, NULL, 0);
}

void operation_stop(struct operation *op)
{
	if (op->pidfd >= 0)
		kern_pidfd_send_signal(op->pidfd, SIGKILL);
}

void operation_cancel(struct operation *op)
{
	if (!op)
		return;
	kill_child(op);
	op->handler = NULL;
	operation_free(op);
}
