/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload API of a worker, at the socket that a container's process holds. Whatever it sends:
 * it gets whole, well-formed replies, at most one for each message; a value only under its own
 * path, and only after its audit record.
 *
 * Input: how many bytes are sent at once (a byte, in units of 16), then the stream.
 */
#include "api.h"

#include <errno.h>
#include <poll.h>

#include "broker_side.h"
#include "coffer/json.h"

#define REPLIES_MAX (1024 * 1024) /* bytes; ours have a few KiB */

static const struct file {
	uint64_t id, parent;
	const char *name, *path, *value, *base64;
} files[] = {
	{ 2, 1, "db", "db", "secret\n", "c2VjcmV0Cg==" },
	{ 4, 3, "key", "tls/key", "", "" },
};

static struct broker_side broker;

struct peer {
	int sock;
	char text[REPLIES_MAX];
	size_t len;
	size_t messages, replies, values;
	bool half; /* of a message has been sent */
};

static void start(void)
{
	static struct record ready;
	struct wr_node node = { .node = WORKER_ROOT_NODE, .kind = NODE_DIR };

	broker_side_init(&broker);
	broker_side_start(&broker);
	broker_side_hello(&broker);
	broker_side_node(&broker, &node, "", NULL);
	node = (struct wr_node){ .node = 3, .parent = 1, .kind = NODE_DIR };
	broker_side_node(&broker, &node, "tls", NULL);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		node = (struct wr_node){ .node = files[i].id,
			                 .parent = files[i].parent,
			                 .kind = NODE_FILE,
			                 .size = strlen(files[i].value) };
		broker_side_node(&broker, &node, files[i].name, files[i].value);
	}
	MUST(record_recv(broker.channel, &ready) == 1 && ready.type == WR_READY);
}

static void value_is_its_paths(const char *path, const char *base64)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (strcmp(files[i].path, path) == 0) {
			MUST(strcmp(files[i].base64, base64) == 0);
			return;
		}
	}
	MUST(!"a value of no path that is there");
}

static void reply(struct peer *p, const char *text, size_t len)
{
	json_t *message = NULL, *parameters, *value;
	const char *error;

	MUST(json_parse(text, len, &message, NULL) == 0);
	parameters = json_object_get(message, "parameters");
	MUST(json_is_object(parameters));
	error = json_string_value(json_object_get(message, "error"));
	MUST(!error || strncmp(error, "io.coffer.workload.", 19) == 0 ||
	     strncmp(error, "org.varlink.service.", 20) == 0);
	value = json_object_get(parameters, "value");
	if (value && !error) {
		value_is_its_paths(json_string_value(json_object_get(parameters, "path")),
		                   json_string_value(value));
		p->values++;
	}
	p->replies++;
	json_decref(message);
}

/* All that the worker has sent by now. False: it has closed the connection. */
static bool hear(struct peer *p)
{
	bool open = true;

	for (;;) {
		ssize_t n = recv(p->sock, p->text + p->len, REPLIES_MAX - p->len, MSG_DONTWAIT);
		char *end;

		if (n <= 0) {
			open = n < 0 && errno == EAGAIN;
			break;
		}
		p->len += (size_t)n;
		while ((end = memchr(p->text, '\0', p->len))) {
			size_t whole = (size_t)(end - p->text) + 1;

			reply(p, p->text, whole - 1);
			memmove(p->text, p->text + whole, p->len - whole);
			p->len -= whole;
		}
	}
	/* Closed in the middle of a reply: only where input was left unread (ECONNRESET). */
	return open;
}

/* The broker's word on each ATTACH: the folder, or by turns a refusal. */
static bool answer_attach(struct peer *p)
{
	static struct record r;
	struct wr_attach ask;

	if (record_recv(broker.channel, &r) != 1)
		return false;
	MUST(r.type == WR_ATTACH && r.len == sizeof(ask));
	memcpy(&ask, r.payload, sizeof(ask));
	MUST(api_attach_result(broker.worker->api, ask.id, p->replies % 2 ? -EACCES : 0,
	                       "/run/secrets") == 0);
	return true;
}

/* Serve until the worker has nothing more to do. */
static bool settle(struct peer *p)
{
	struct pollfd fds[API_CONNECTIONS_MAX];
	bool open;

	do {
		int timeout_ms = -1;
		size_t count = api_poll(broker.worker->api, fds, &timeout_ms);

		if (poll(fds, count, 0) > 0)
			api_serve(broker.worker->api, fds, count);
		open = hear(p);
	} while (answer_attach(p) ||
	         (open && poll(fds, api_poll(broker.worker->api, fds, &(int){ -1 }), 0) > 0));
	return hear(p);
}

/* The worker waits without end for the next call, but not for the rest of one. */
static void patience_is_for_halves(const struct peer *p)
{
	struct pollfd fds[API_CONNECTIONS_MAX];
	int timeout_ms = -1;

	MUST(api_poll(broker.worker->api, fds, &timeout_ms) == 1);
	if (p->half)
		MUST(timeout_ms >= 0 && timeout_ms <= API_STALL_S * 1000 + 1);
	else
		MUST(timeout_ms == -1);
}

static struct peer *connect_peer(void)
{
	const struct wr_connection connection = { .id = 9, .uid = 1000, .gid = 1000, .pid = 42 };
	static struct peer p;
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(api_add(broker.worker->api, &connection, pair[1], -1) == 0);
	p.sock = pair[0];
	p.len = p.messages = p.replies = p.values = 0;
	p.half = false;
	return &p;
}

static size_t granted_gets(void)
{
	struct ring_record record;
	bool corrupt = false;
	size_t count = 0;

	while (ring_take(broker.ring, &record, &corrupt) == 1)
		if (record.event == RING_API_GET && record.result == 0)
			count += record.count;
	ring_release(broker.ring);
	MUST(!corrupt);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t step = (size_t)fuzz_number(&in, 1) * 16 + 1, len;
	struct peer *p;
	bool open = true;

	if (!broker.worker)
		start();
	p = connect_peer();
	while (open && in.left > 0) {
		const uint8_t *bytes = fuzz_take(&in, step, &len);
		const ssize_t n = send(p->sock, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		MUST(n == (ssize_t)len || (n < 0 && errno == EPIPE));
		for (size_t i = 0; i < len; i++)
			p->messages += bytes[i] == '\0';
		p->half = bytes[len - 1] != '\0';
		open = settle(p);
		if (open)
			patience_is_for_halves(p);
	}
	MUST(shutdown(p->sock, SHUT_WR) == 0 || errno == ENOTCONN);
	settle(p);
	MUST(!open || p->len == 0);
	/* One more than there are messages: "too long" to what was none yet. */
	MUST(p->replies <= p->messages + 1);
	/* Not equal: a oneway call gets no reply. */
	MUST(p->values <= granted_gets());
	fd_close(p->sock);
	settle(p);
	return 0;
}
