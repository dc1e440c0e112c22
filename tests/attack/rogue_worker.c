/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker that has been taken over. Started as every worker (worker_path of cofferd's
 * configuration), it reads who it is to serve. For a container named rogue-MODE it does what MODE
 * says; for all others it becomes the real worker, which lies beside it as "real".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/record.h"
#include "coffer/ring.h"
#include "coffer/worker_proto.h"

static struct record *record;
static struct worker_shared *shared;
static int wake;

static void say(uint16_t type, const void *payload, size_t len)
{
	(void)record_send(WORKER_CHANNEL_FD, type, 0, payload, len, NULL, 0, NULL, 0);
}

static void ready(void)
{
	const struct wr_ready answer = { .proto = WORKER_PROTO };

	say(WR_READY, &answer, sizeof(answer));
}

static void answer(uint16_t type, int result)
{
	const struct wr_result payload = { .result = result };

	say(type, &payload, sizeof(payload));
}

static void unknown_record(void)
{
	ready();
	say(999, NULL, 0);
}

static void wrong_length(void)
{
	say(WR_READY, "too long for this", 17);
}

static void with_descriptors(void)
{
	const struct wr_ready payload = { .proto = WORKER_PROTO };
	int fds[] = { STDIN_FILENO, STDOUT_FILENO };

	/* From Linux 6.16 on none leave here: then what was refused has to do. */
	if (record_send(WORKER_CHANNEL_FD, WR_READY, 0, &payload, sizeof(payload), NULL, 0, fds,
	                2) < 0)
		unknown_record();
}

static void no_record(void)
{
	(void)!send(WORKER_CHANNEL_FD, "nothing of the kind", 19, MSG_NOSIGNAL);
}

static void other_protocol(void)
{
	const struct wr_ready payload = { .proto = 4711 };

	say(WR_READY, &payload, sizeof(payload));
}

/* Answers to what nobody asked. */
static void out_of_turn(void)
{
	const struct wr_released released = { .node = UINT64_MAX };
	const struct wr_attach attach = { .id = 12345 };

	ready();
	for (int i = 0; i < 100; i++) {
		answer(WR_FINISHED, 0);
		answer(WR_PREPARED, 0);
		answer(WR_DENIED, -5);
		answer(WR_MOUNTED, INT_MIN);
		say(WR_RELEASED, &released, sizeof(released));
		say(WR_ATTACH, &attach, sizeof(attach));
		say(WR_PONG, NULL, 0);
	}
}

/* Noise where the audit ring was; ready all the same, and each question answered with yes. */
static void bad_ring(void)
{
	memset(shared->ring, 0xa5, ring_size());
	ready();
	while (record_recv(WORKER_CHANNEL_FD, record) == 1) {
		uint64_t one = 1;

		record_close_fds(record);
		if (record->type == WR_MOUNT)
			answer(WR_MOUNTED, 0);
		memset(shared->ring, 0xa5, ring_size());
		(void)!write(wake, &one, sizeof(one));
	}
}

/* Records of its own invention: for other nodes, other times, with control bytes. */
static void lies(void)
{
	struct ring *ring = ring_attach(shared->ring);
	bool wanted = false;
	uint64_t one = 1;

	for (uint64_t i = 0; ring && i < 200; i++) {
		struct ring_record r = {
			.time_ns = i % 2 ? INT64_MAX : INT64_MIN,
			.node = i,
			.version = UINT64_MAX,
			.uid = 0,
			.pid = 1,
			.count = UINT32_MAX,
			.event = RING_OPEN,
			.text = "\033[2J\r\nforged",
		};

		(void)ring_put(ring, &r, 0, &wanted);
	}
	(void)!write(wake, &one, sizeof(one));
	ready();
}

static FILE *finds;

static void find(const char *what, bool got)
{
	fprintf(finds, "%s %s\n", what, got ? "SUCCEEDED" : strerrorname_np(errno));
}

/* Without its sandbox: what the user alone may reach. */
static void search(const char *folder)
{
	char path[PATH_MAX];
	static const char *const files[] = { "state/store.db", "state/audit/log.jsonl", "key",
		                             "run/operator.sock" };
	FILE *targets;
	int pid;

	snprintf(path, sizeof(path), "%s/finds", folder);
	finds = fopen(path, "ae");
	if (!finds)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/../%s", folder, files[i]);
		find(files[i], open(path, O_RDONLY | O_CLOEXEC) >= 0);
	}
	snprintf(path, sizeof(path), "%s/targets", folder);
	targets = fopen(path, "re");
	while (targets && fscanf(targets, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		find("mem", open(path, O_RDONLY | O_CLOEXEC) >= 0);
		find("ptrace", ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
		snprintf(path, sizeof(path), "/proc/%d/fd/3", pid);
		find("fd", open(path, O_RDONLY | O_CLOEXEC) >= 0);
	}
	if (targets)
		fclose(targets);
	fprintf(finds, "searched\n");
	fclose(finds);
}

/* Never says a word. */
static void silent(void)
{
	poll(NULL, 0, -1);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
	{ "rogue-unknown-record", unknown_record },
	{ "rogue-wrong-length", wrong_length },
	{ "rogue-descriptors", with_descriptors },
	{ "rogue-no-record", no_record },
	{ "rogue-other-protocol", other_protocol },
	{ "rogue-out-of-turn", out_of_turn },
	{ "rogue-bad-ring", bad_ring },
	{ "rogue-lies", lies },
	{ "rogue-search", NULL },
	{ "rogue-silent", silent },
};

/* The HELLO that is waiting, without taking it. */
static bool peek_name(char *name, size_t size)
{
	static unsigned char bytes[sizeof(struct record_header) + RECORD_PAYLOAD_MAX];
	const size_t at = sizeof(struct record_header) + sizeof(struct wr_hello);
	ssize_t n = recv(WORKER_CHANNEL_FD, bytes, sizeof(bytes), MSG_PEEK);
	uint16_t len;

	if (n < (ssize_t)(at + sizeof(len)))
		return false;
	memcpy(&len, bytes + at, sizeof(len));
	if (len >= size || (size_t)n < at + sizeof(len) + len)
		return false;
	memcpy(name, bytes + at + sizeof(len), len);
	name[len] = '\0';
	return true;
}

/* So that the scenario knows that it was us. */
static void note(const char *folder, const char *name)
{
	char path[PATH_MAX + 8];
	FILE *log;

	snprintf(path, sizeof(path), "%s/ran", folder);
	log = fopen(path, "ae");
	if (!log)
		return;
	fprintf(log, "%s %d\n", name, getpid());
	fclose(log);
}

static int take_hello(void)
{
	record = malloc(sizeof(*record));
	if (!record || record_recv(WORKER_CHANNEL_FD, record) != 1 || record->nfds < 2)
		return -1;
	shared = mmap(NULL, sizeof(*shared) + ring_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
	              record->fds[0], 0);
	wake = record->fds[1];
	record->fds[1] = -1;
	return shared == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	char name[256] = "", folder[PATH_MAX] = "", real[PATH_MAX + 8], *end;
	char word[] = "cofferfs";
	char *const argv[] = { word, NULL }, *const environment[] = { NULL };

	if (readlink("/proc/self/exe", folder, sizeof(folder) - 1) < 0 ||
	    !(end = strrchr(folder, '/')) || !peek_name(name, sizeof(name)))
		return 1;
	*end = '\0';
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, name) == 0) {
			if (take_hello() < 0)
				return 1;
			note(folder, name);
			if (modes[i].run)
				modes[i].run();
			else
				search(folder);
			/* Then it waits to be ended; what has found or told all ends by itself. */
			while (modes[i].run && modes[i].run != lies &&
			       record_recv(WORKER_CHANNEL_FD, record) == 1)
				record_close_fds(record);
			_exit(1); /* with all it holds: no leak to be told of */
		}
	snprintf(real, sizeof(real), "%s/real", folder);
	execve(real, argv, environment);
	return 1;
}
