/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_serve: any sequence of records. Each is handled, or ends the worker; answers carry the
 * question's serial; the tree stays a tree; nothing is left open.
 *
 * Input: a byte (1: HELLO and the root folder are sent first), then steps:
 *	type u8 | descriptors u8 | len u16 | payload
 * with a kind of descriptor in each half of the second byte (0: none); or, in place of the kernel,
 *	'R' | node u64      looked up once more
 *	'F' | node u64 | count u8      forgotten
 *	'E' | seconds u8               so much later
 */
#include <errno.h>

#include "broker_side.h"
#include "coffer/times.h"
#include "versions.h"

#define SERIAL 4711
#define KINDS 7

static struct broker_side broker;
static int64_t now_ns;

/* The lowest descriptor that is free. */
static int lowest_free(void)
{
	int fd = fcntl(broker.wake, F_DUPFD_CLOEXEC, 0);

	MUST(fd >= 0);
	fd_close(fd);
	return fd;
}

static int sealed(const char *text)
{
	struct secret *s = secret_copy(text, strlen(text));
	int fd = s ? secret_to_memfd(s) : -1;

	MUST(fd >= 0);
	secret_free(s);
	return fd;
}

static int connected(void)
{
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	fd_close(pair[0]);
	return pair[1];
}

static int descriptor(unsigned int kind)
{
	int fd = -1;

	switch (kind % KINDS) {
	case 1:
		return fcntl(broker.shared_fd, F_DUPFD_CLOEXEC, 0);
	case 2:
		return fcntl(broker.wake, F_DUPFD_CLOEXEC, 0);
	case 3:
		return sealed("value");
	case 4:
		return sealed("");
	case 5:
		return connected();
	case 6:
		fd = memfd_create("not sealed", MFD_CLOEXEC);
		MUST(fd >= 0 && ftruncate(fd, 5) == 0);
	}
	return fd;
}

static void answers_are_to_the_question(void)
{
	static struct record r;
	int result;

	while ((result = record_recv(broker.channel, &r)) == 1) {
		const bool unasked = r.type == WR_RELEASED || r.type == WR_ATTACH;

		MUST(r.nfds == 0 && r.len <= CHANNEL_PAYLOAD_MAX);
		MUST(r.serial == (unasked ? 0 : SERIAL) || r.type == WR_READY);
		MUST(r.type == WR_READY || r.type == WR_MOUNTED || r.type == WR_PREPARED ||
		     r.type == WR_FINISHED || r.type == WR_DENIED || r.type == WR_PONG || unasked);
	}
	MUST(result == -EAGAIN);
}

/* Every linked node is found by its path, under the one folder that it is in. */
static void tree_is_a_tree(struct tree *t)
{
	const struct tree_node *n = tree_root(t);
	uint64_t bytes = 0;
	size_t linked = n ? 1 : 0;
	char path[65536];

	while (n && (n = tree_next(t, n))) {
		MUST(n->linked && n->parent && n->parent->linked && n->parent->kind == NODE_DIR);
		MUST(*n->name && !strchr(n->name, '/') && strcmp(n->name, "..") != 0);
		MUST(tree_find(t, n->id) == n && tree_lookup(n->parent, n->name) == n);
		if (tree_path(n, path, sizeof(path)) == 0)
			MUST(tree_walk(t, path) == n);
		if (n->kind == NODE_FILE) {
			MUST(n->size == 0 || n->bytes);
			bytes += n->size;
		}
		linked++;
	}
	MUST(linked <= tree_count(t) && tree_count(t) <= WORKER_NODES_MAX);
	MUST(bytes == tree_bytes(t));
}

/* Versions of one name know of each other, in their order; what is retired is on the list. */
static void versions_are_in_order(struct tree *t)
{
	const struct tree_node *last = NULL;

	for (uint64_t id = 0; id < 256; id++) {
		const struct tree_node *n = tree_find(t, id);

		if (!n || (!n->older && !n->newer))
			continue;
		MUST(n->set && (n->linked || n->staged || n->retired || n->remembered));
		MUST(!n->newer || (n->newer->older == n && n->newer->since > n->since));
		MUST(!n->older || (n->older->newer == n && n->older->set == n->set));
	}
	for (const struct tree_node *n = tree_retired(t)->first; n; n = n->retired_next) {
		MUST(n->retired && tree_find(t, n->id) == n);
		last = n;
	}
	MUST(tree_retired(t)->last == last);
}

/* What is to come is there until it has come; what nobody awaits is not kept for it. */
static void staged_is_awaited(const struct worker *w)
{
	for (size_t i = 0; i < w->change.count; i++) {
		const struct change_step *s = &w->change.step[i];

		if (s->kind == STAGE_PUT || s->kind == STAGE_MKDIR)
			MUST(tree_find(w->tree, s->node) && tree_find(w->tree, s->node)->staged);
	}
	for (uint64_t id = 0; w->change.state == CHANGE_NONE && id < 256; id++)
		MUST(!tree_find(w->tree, id) || !tree_find(w->tree, id)->staged);
}

static void start_with_root(void)
{
	static const struct wr_node root = { .node = WORKER_ROOT_NODE, .kind = NODE_DIR };

	broker_side_hello(&broker);
	broker_side_node(&broker, &root, "", NULL);
}

static void play_kernel(uint8_t what, struct fuzz_input *in)
{
	struct tree_node *n;
	uint64_t id;

	if (what == 'E') {
		now_ns += (int64_t)fuzz_number(in, 1) * NS_PER_S;
		versions_expire(broker.worker->tree, now_ns);
		return;
	}
	id = fuzz_number(in, 8);
	n = tree_find(broker.worker->tree, id);
	if (what == 'F')
		tree_forget(broker.worker->tree, id, fuzz_number(in, 1));
	else if (n && n->remembered < 1000)
		tree_remember(n);
}

/* One record; false: it ends the worker. */
static bool play_broker(uint8_t type, struct fuzz_input *in)
{
	uint8_t kinds = (uint8_t)fuzz_number(in, 1);
	size_t len = (size_t)fuzz_number(in, 2), nfds = 0;
	const uint8_t *payload =
		fuzz_take(in, len < RECORD_PAYLOAD_MAX ? len : RECORD_PAYLOAD_MAX, &len);
	int fds[2], r;

	for (unsigned int both = kinds; both; both >>= 4)
		if ((fds[nfds] = descriptor(both & 15)) >= 0)
			nfds++;
	r = broker_side_send(&broker, type, SERIAL, payload, len, fds, nfds);
	while (nfds > 0)
		fd_close(fds[--nfds]);
	MUST(r == 1 || r < 0);
	return r == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	bool alive = true;
	int lowest;

	if (!broker.shared)
		broker_side_init(&broker);
	lowest = lowest_free();
	broker_side_start(&broker);
	now_ns = NS_PER_S;
	if (fuzz_number(&in, 1) == 1)
		start_with_root();
	while (alive && in.left > 0) {
		uint8_t type = (uint8_t)fuzz_number(&in, 1);

		if (type == 'R' || type == 'F' || type == 'E')
			play_kernel(type, &in);
		else
			alive = play_broker(type, &in);
		answers_are_to_the_question();
		tree_is_a_tree(broker.worker->tree);
		versions_are_in_order(broker.worker->tree);
		staged_is_awaited(broker.worker);
	}
	broker_side_stop(&broker);
	MUST(lowest_free() == lowest);
	return 0;
}
