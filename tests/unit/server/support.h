/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support.h - a real broker (store, audit log, operator socket) in a process of its own, and a
 * client to talk to it.
 *
 * Only what touches containers (flow/) is a fake: support_fakes.h, which a test program includes
 * once. `shared` is memory of both processes, by which a test tells the fakes what to answer and
 * sees what they were asked.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/kern.h"
#include "coffer/varlink.h"
#include "flow/containers.h"
#include "server/audit_pump.h"
#include "server/config.h"
#include "server/feed.h"
#include "server/folders.h"
#include "server/lifecycle.h"
#include "server/methods.h"
#include "server/sockets.h"

#define WAIT_MS 20000     /* for what must come; a failure, not a pause */
#define OPERATORS "games" /* a group of every Debian that nobody is in */
#define KEY_BASE64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* bytes 0 to 31 */
#define OTHER_KEY_BASE64 "//////////////////////////////////////////8="

struct shared {
	_Atomic uint64_t container_cgroup; /* containers_hold says yes to this */
	_Atomic bool all_cgroups;          /* … or to all */
	_Atomic unsigned int refreshes, drains, stops, pending;
	_Atomic bool lagging;                  /* containers_refresh reports one container */
	_Atomic bool unadopted, never_adopted; /* waiting for readers: ends with one, or never */
	_Atomic unsigned int forgotten;        /* waits that were given up */
};

struct host {
	char dir[80];
	struct config config;
	struct shared *shared;
	pid_t pid;
	char *state, *runtime;
};

extern struct shared *support_shared; /* what the fakes look at */
extern char support_folder[64];       /* of this program; removed at its end, whatever failed */

static inline void broker_process(struct host *h)
{
	struct broker b = { .config = &h->config };
	struct sockets sockets = { -1, -1 };
	struct store *store = NULL;
	struct err e = { 0 };
	int r;

	/* A test that fails ends without its teardown. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	json_use_secret_memory();
	b.state_fd = folders_open(h->state, 0700, &e);
	b.runtime_fd = folders_open(h->runtime, 0755, &e);
	r = b.state_fd < 0 || b.runtime_fd < 0 ? -EIO : 0;
	if (r == 0)
		r = folders_make_runtime(b.runtime_fd, h->runtime, &e);
	if (r == 0)
		r = sd_event_new(&b.event) < 0 ? -EIO : 0;
	if (r == 0)
		r = audit_open(b.state_fd, &b.audit, &e);
	if (r == 0)
		r = audit_pump_new(&b, &b.audit_pump, &e);
	if (r == 0)
		r = store_sqlite_open(b.state_fd, h->state, &store, &e);
	if (r == 0)
		r = vault_open(store, &b.vault, &e);
	b.policy = policy_new();
	if (r == 0)
		r = feed_new(&b, &b.feed, &e);
	if (r == 0)
		r = sockets_open(&b, &sockets, &e);
	/* Whoever may not come in is to be kept out by the broker, not by the file's mode. */
	if (r == 0)
		r = fchmodat(b.runtime_fd, "operator.sock", 0666, 0);
	if (r == 0)
		r = server_new(&b, TAKE_FD(sockets.operator_fd), &b.server, &e);
	if (r == 0 && h->config.keyfile)
		(void)lifecycle_unseal_keyfile(&b, h->config.keyfile, NULL);
	if (r == 0)
		r = sd_event_loop(b.event);
	fprintf(stderr, "broker under test: %d %s\n", r, e.text);
	_exit(1);
}

/* Connect; the broker may still be starting. */
static inline int client_connect(const struct host *h)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/operator.sock", h->runtime);
	for (int tries = 0; tries < WAIT_MS / 10; tries++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_ge(fd, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		close(fd);
		poll(NULL, 0, 10);
	}
	ck_abort_msg("the broker does not listen: %s", strerror(errno));
	return -1;
}

static inline void host_start(struct host *h)
{
	support_shared = h->shared;
	h->pid = fork();
	ck_assert_int_ge(h->pid, 0);
	if (h->pid == 0)
		broker_process(h);
	close(client_connect(h));
}

static inline struct host *host_new(void)
{
	struct host *h = calloc(1, sizeof(*h));

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(geteuid(), 0); /* this suite is root's: it tests who may come in */
	snprintf(h->dir, sizeof(h->dir), "%s/XXXXXX", support_folder);
	ck_assert_ptr_nonnull(mkdtemp(h->dir));
	ck_assert_int_eq(chmod(h->dir, 0755), 0);
	ck_assert_int_gt(asprintf(&h->state, "%s/state", h->dir), 0);
	ck_assert_int_gt(asprintf(&h->runtime, "%s/run", h->dir), 0);
	h->config.state_dir = h->state;
	h->config.runtime_dir = h->runtime;
	h->config.operator_group = strdup(OPERATORS);
	h->shared = mmap(NULL, sizeof(*h->shared), PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(h->shared, MAP_FAILED);
	return h;
}

static inline void host_kill(struct host *h)
{
	if (h->pid <= 0)
		return;
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	h->pid = 0;
}

static inline void remove_folder(char *path)
{
	char *argv[] = { (char *)(uintptr_t) "rm", (char *)(uintptr_t) "-rf", path, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execv("/bin/rm", argv);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static inline void host_free(struct host *h)
{
	host_kill(h);
	remove_folder(h->dir);
	munmap(h->shared, sizeof(*h->shared));
	free(h->config.operator_group);
	free(h->state);
	free(h->runtime);
	free(h);
}

/* A broker that has closed already is not noticed here: the answer is what tells. */
static inline void client_send_raw(int fd, const void *bytes, size_t len)
{
	int r = io_write_all(fd, bytes, len);

	ck_assert(r == 0 || r == -EPIPE || r == -ECONNRESET);
}

/* `parameters` are JSON text, or NULL. */
static inline void client_send(int fd, const char *method, const char *parameters, const char *flag)
{
	char *text;
	int len = asprintf(&text, "{\"method\":\"%s%s\",\"parameters\":%s%s%s%s}",
	                   strchr(method, '.') ? "" : "io.coffer.operator.", method,
	                   parameters ? parameters : "{}", flag ? ",\"" : "", flag ? flag : "",
	                   flag ? "\":true" : "");

	ck_assert_int_gt(len, 0);
	client_send_raw(fd, text, (size_t)len + 1);
	free(text);
}

/* The next message, or NULL at the end of the connection. A descriptor beside it goes to *ret_fd.
 */
static inline json_t *client_receive(int fd, int *ret_fd)
{
	static char buffer[6 * 1024 * 1024];
	size_t len = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int got[4];
		size_t nfds = ARRAY_LEN(got);
		ssize_t n;
		json_t *message;

		ck_assert_msg(poll(&p, 1, WAIT_MS) == 1, "no answer came");
		/* One byte at a time would be slow, and more than one message must not be taken. */
		n = recv(fd, buffer + len, sizeof(buffer) - len, MSG_PEEK);
		if (n <= 0)
			return NULL;
		for (ssize_t i = 0; i < n; i++)
			if (buffer[len + (size_t)i] == '\0') {
				n = i + 1;
				break;
			}
		n = io_recv(fd, buffer + len, (size_t)n, got, &nfds, 0);
		ck_assert_int_gt(n, 0);
		for (size_t i = 0; i < nfds; i++) {
			if (ret_fd && i == 0)
				*ret_fd = got[0];
			else
				close(got[i]);
		}
		len += (size_t)n;
		if (buffer[len - 1] != '\0')
			continue;
		message = json_loads(buffer, 0, NULL);
		ck_assert_ptr_nonnull(message);
		return message;
	}
}

/* The parameters of the only answer; fails on an error. */
static inline json_t *client_ok(int fd, const char *method, const char *parameters)
{
	json_t *message, *reply;

	client_send(fd, method, parameters, NULL);
	message = client_receive(fd, NULL);
	ck_assert_msg(message != NULL, "%s: the connection ended", method);
	ck_assert_msg(!json_object_get(message, "error"), "%s: %s", method,
	              json_dumps(message, JSON_COMPACT));
	reply = json_incref(json_object_get(message, "parameters"));
	json_decref(message);
	return reply;
}

static inline void client_expect_error(int fd, const char *method, const char *parameters,
                                       const char *error)
{
	const char *name;
	json_t *message;

	parameters = parameters ? parameters : "{}";
	client_send(fd, method, parameters, NULL);
	message = client_receive(fd, NULL);
	ck_assert_msg(message != NULL, "%s %s: the connection ended", method, parameters);
	name = json_string_value(json_object_get(message, "error"));
	ck_assert_msg(name != NULL, "%s %s: expected %s, it was done", method, parameters, error);
	if (!strchr(error, '.'))
		name = strrchr(name, '.') + 1;
	ck_assert_msg(strcmp(name, error) == 0, "%s %s: expected %s: %s", method, parameters, error,
	              json_dumps(message, JSON_COMPACT));
	json_decref(message);
}

static inline void host_init_store(struct host *h)
{
	int fd = client_connect(h);

	json_decref(client_ok(fd, "Init", "{\"kind\":\"keyfile\",\"key\":\"" KEY_BASE64 "\"}"));
	close(fd);
}

/* How many lines of the log have this event (and contain `text`, if given). */
static inline size_t host_audit_count(const struct host *h, const char *event, const char *text)
{
	int fd = client_connect(h);
	json_t *reply = client_ok(fd, "Audit", NULL), *line;
	size_t count = 0, i;

	json_array_foreach (json_object_get(reply, "lines"), i, line) {
		json_t *object = json_loads(json_string_value(line), 0, NULL);
		const char *name = json_string_value(json_object_get(object, "event"));

		ck_assert_ptr_nonnull(name);
		count += strcmp(name, event) == 0 &&
		         (!text || strstr(json_string_value(line), text));
		json_decref(object);
	}
	json_decref(reply);
	close(fd);
	return count;
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	strcpy(support_folder, "/tmp/coffer-unit-XXXXXX");
	if (!mkdtemp(support_folder) || chmod(support_folder, 0755) < 0)
		return EXIT_FAILURE;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_folder(support_folder);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
