/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call: from a message, over the table of methods, to its answers. A call outlives its
 * connection while somebody holds a reference; then its answers go nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "server/connection.h"
#include "server/methods.h"

#define INTERFACE "io.coffer.operator"
#define NAME_FULL_MAX 300 /* interface and method; varlink.h allows 255 bytes */

struct call {
	unsigned int refs;
	struct broker *b;
	struct connection *connection; /* NULL: gone */
	struct varlink_call message;
	const struct method *method; /* NULL: org.varlink.service */
	const char *name;            /* for people; borrowed */
	int *fds;                    /* owned */
	size_t nfds;
	uid_t uid;
	pid_t pid;
	bool answered;
	char about[NAME_FULL_MAX];
	void (*gone)(void *arg);
	void *gone_arg;
	void (*drained)(void *arg);
	void *drained_arg;
};

struct call *call_ref(struct call *c)
{
	c->refs++;
	return c;
}

void call_unref(struct call *c)
{
	if (!c || --c->refs > 0)
		return;
	varlink_call_clear(&c->message);
	for (size_t i = 0; i < c->nfds; i++)
		fd_close(c->fds[i]);
	free(c->fds);
	free(c);
}

bool call_gone(const struct call *c)
{
	return c->connection == NULL;
}

bool call_wants_more(const struct call *c)
{
	return c->message.more && c->method && c->method->stream;
}

void call_on_gone(struct call *c, void (*gone)(void *arg), void *arg)
{
	c->gone = gone;
	c->gone_arg = arg;
}

void call_on_hangup(struct call *c, void (*hangup)(void *arg), void *arg)
{
	if (c->connection)
		connection_on_hangup(c->connection, hangup, arg);
	else
		hangup(arg);
}

void call_on_drained(struct call *c, void (*drained)(void *arg), void *arg)
{
	c->drained = drained;
	c->drained_arg = arg;
}

size_t call_backlog(const struct call *c)
{
	return c->connection ? c->connection->out_len : 0;
}

void call_describe(const struct call *c, json_t *fields)
{
	json_object_set_new(fields, "uid", json_integer(c->uid));
	json_object_set_new(fields, "pid", json_integer(c->pid));
	json_object_set_new(fields, "by", json_string(c->name));
}

uid_t call_uid(const struct call *c)
{
	return c->uid;
}

void call_about(struct call *c, const char *what)
{
	name_escape(what, strlen(what), c->about, sizeof(c->about));
}

int call_fd(const struct call *c, int64_t index)
{
	return index >= 0 && (uint64_t)index < c->nfds ? c->fds[index] : -1;
}

/* The last answer is out, or nobody waits for one. */
static void finish(struct call *c)
{
	struct connection *connection = c->connection;

	c->answered = true;
	c->gone = NULL;
	c->drained = NULL;
	if (!connection)
		return;
	c->connection = NULL;
	connection->call = NULL;
	connection_idle(connection);
	call_unref(c);
}

/* Takes the text and fds over. */
static int answer(struct call *c, char *text, int *fds, size_t nfds, bool last)
{
	int r = 0;

	/* Sending may end the connection, and with it the reference that it holds. */
	call_ref(c);
	if (c->answered || !c->connection || c->message.oneway) {
		r = c->answered ? -EALREADY : 0;
		json_text_free(text);
		for (size_t i = 0; i < nfds; i++)
			fd_close(fds[i]);
		free(fds);
	} else {
		r = connection_send(c->connection, text, fds, nfds);
	}
	if (last && !c->answered)
		finish(c);
	call_unref(c);
	return r;
}

int call_reply(struct call *c, json_t *parameters)
{
	char *text = varlink_reply_text(parameters, false);

	json_decref(parameters);
	return answer(c, text, NULL, 0, true);
}

int call_reply_more(struct call *c, json_t *parameters)
{
	char *text = varlink_reply_text(parameters, true);

	json_decref(parameters);
	return answer(c, text, NULL, 0, false);
}

int call_reply_fds(struct call *c, json_t *parameters, const int *fds, size_t nfds)
{
	char *text = varlink_reply_text(parameters, false);
	int *copies = calloc(nfds + 1, sizeof(*copies));
	size_t n = 0;

	json_decref(parameters);
	while (copies && n < nfds && (copies[n] = fcntl(fds[n], F_DUPFD_CLOEXEC, 3)) >= 0)
		n++;
	if (n < nfds || !copies) {
		struct err why;

		err_set(&why, -EMFILE, "the broker is out of descriptors; try again");
		while (n > 0)
			fd_close(copies[--n]);
		free(copies);
		json_text_free(text);
		return call_fail(c, -EBUSY, &why);
	}
	return answer(c, text, copies, nfds, true);
}

int call_error(struct call *c, const char *error, json_t *parameters)
{
	char full[NAME_FULL_MAX], *text;

	snprintf(full, sizeof(full), "%s%s", strchr(error, '.') ? "" : INTERFACE ".", error);
	text = varlink_error_text(full, parameters);
	json_decref(parameters);
	return answer(c, text, NULL, 0, true);
}

int call_fail(struct call *c, int code, const struct err *e)
{
	const char *name = errors_name(code, vault_state(c->b->vault));
	const char *message = e && e->text[0] ? e->text : strerror(-code);

	return call_error(c, name, errors_parameters(name, c->about, message));
}

void call_abandon(struct call *c)
{
	void (*gone)(void *arg) = c->gone;

	c->connection = NULL;
	c->gone = NULL;
	c->drained = NULL;
	if (gone)
		gone(c->gone_arg);
	call_unref(c);
}

void call_output_drained(struct call *c)
{
	if (c->drained)
		c->drained(c->drained_arg);
}

/* A refusal of ours leaves a record, and a sentence that says what to do. */
static int refuse(struct call *c, const char *why)
{
	json_t *fields = json_object();
	struct err e;

	call_describe(c, fields);
	json_object_set_new(fields, "reason", json_string(why));
	(void)audit_add(c->b->audit, "denied", fields);
	err_set(&e, -EPERM, "%s: %s", c->name, why);
	return call_fail(c, -EPERM, &e);
}

static int check_parameters(struct call *c, struct err *e)
{
	const char *key;
	json_t *value;

	if (json_only_keys(c->message.parameters, c->method->parameters, e) == 0)
		return 0;
	json_object_foreach (c->message.parameters, key, value) {
		const char *const *known = c->method->parameters;

		while (*known && strcmp(*known, key) != 0)
			known++;
		if (!*known) {
			call_about(c, key);
			break;
		}
	}
	return -EINVAL;
}

static void call_method(struct call *c)
{
	struct err e = { 0 };
	int r;

	if (!peer_alive(&c->connection->peer)) {
		/* Whoever holds the socket now is not the one that was looked at. */
		refuse(c, "the process that connected has ended");
		return;
	}
	if (c->method->who == WHO_ROOT && !c->connection->root) {
		refuse(c, "only root may ask for this");
		return;
	}
	r = check_parameters(c, &e);
	if (r == 0)
		r = c->method->handler(c->b, c, c->message.parameters, &e);
	if (r < 0 && !c->answered)
		call_fail(c, r, &e);
	/* Nobody kept the call, so nobody can answer it any more. */
	if (!c->answered && c->connection && c->refs == 2) {
		log_error("%s ended without an answer", c->name);
		err_set(&e, -EIO, "the broker has no answer to %s", c->name);
		call_fail(c, -EIO, &e);
	}
}

static void route(struct call *c)
{
	const char *dot = strrchr(c->message.method, '.');
	size_t len = (size_t)(dot - c->message.method);

	c->name = dot + 1;
	if (len == strlen(VARLINK_SERVICE) &&
	    strncmp(c->message.method, VARLINK_SERVICE, len) == 0) {
		service_call(c, c->name, c->message.parameters);
		return;
	}
	if (len != strlen(INTERFACE) || strncmp(c->message.method, INTERFACE, len) != 0) {
		call_error(c, VARLINK_SERVICE ".InterfaceNotFound",
		           json_pack("{s:s%}", "interface", c->message.method, len));
		return;
	}
	for (const struct method *m = operator_methods; m->name; m++) {
		if (strcmp(m->name, c->name) != 0)
			continue;
		c->method = m;
		call_method(c);
		return;
	}
	call_error(c, VARLINK_SERVICE ".MethodNotFound",
	           json_pack("{s:s}", "method", c->message.method));
}

/* The descriptors that came with the message are the call's from now on. */
static int take_fds(struct call *c, struct connection *from)
{
	if (from->nfds == 0)
		return 0;
	c->fds = calloc(from->nfds, sizeof(*c->fds));
	if (!c->fds)
		return -ENOMEM;
	memcpy(c->fds, from->fds, from->nfds * sizeof(*c->fds));
	c->nfds = from->nfds;
	from->server->fds_total -= from->nfds;
	from->nfds = 0;
	return 0;
}

void call_dispatch(struct connection *connection, const char *text, size_t len)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	int r = c ? take_fds(c, connection) : -ENOMEM;

	if (r == 0)
		r = varlink_parse_call(text, len, &c->message, &e);
	if (r < 0) {
		connection_give_up(connection, r == -EINVAL ? "Invalid" : "Busy",
		                   e.text[0] ? e.text : "the broker is out of memory");
		if (c)
			c->refs = 1;
		call_unref(c);
		return;
	}
	c->refs = 2; /* the connection's and ours */
	c->b = connection->server->b;
	c->connection = connection;
	c->uid = connection->peer.uid;
	c->pid = connection->peer.pid;
	connection->call = c;
	route(c);
	call_unref(c);
}
