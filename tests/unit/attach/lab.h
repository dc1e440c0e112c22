/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab.h - for tests with real containers: a spawner, operations on it, and runc bundles in a fresh
 * folder.
 *
 * Everything aborts the test when it fails. Containers and folders are taken away by lab_close, and
 * what a failed test left behind by lab_main.
 */
#pragma once

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/attach.h"
#include "attach/found.h"
#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/kern.h"
#include "coffer/record.h"

#define LAB __attribute__((unused)) static
#define LAB_PATH 256
#define LAB_FOLDER "ATTACH_LAB_FOLDER" /* environment: where all labs of a program lie */

struct lab {
	char dir[LAB_PATH];    /* everything of this test */
	char root[LAB_PATH];   /* runc's --root */
	char bundle[LAB_PATH]; /* DIR/bundle */
	char rootfs[LAB_PATH];
	char id[64];
	char enter[LAB_PATH]; /* coffer-enter of this build */
	struct attach_config config;
	int sock; /* to the spawner */
	pid_t spawner;
	uint64_t serial;
};

/* Run a shell command; its exit status. */
LAB int lab_sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
LAB int lab_sh(const char *format, ...)
{
	char command[4096];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* Its standard output, without the last newline. */
LAB const char *lab_out(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
LAB const char *lab_out(char *buffer, size_t size, const char *format, ...)
{
	char command[4096];
	va_list args;
	FILE *pipe;
	size_t n;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	n = fread(buffer, 1, size - 1, pipe);
	buffer[n] = '\0';
	if (n > 0 && buffer[n - 1] == '\n')
		buffer[n - 1] = '\0';
	pclose(pipe);
	return buffer;
}

LAB void lab_start_spawner(struct lab *l)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	l->sock = pair[0];
	l->spawner = fork();
	ck_assert_int_ge(l->spawner, 0);
	if (l->spawner == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		_exit(spawner_main(pair[1], &l->config) < 0);
	}
	close(pair[1]);
}

/* From build/tests to build/broker. */
LAB void lab_find_enter(struct lab *l)
{
	char self[LAB_PATH] = "";

	ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	*strrchr(self, '/') = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(l->enter, sizeof(l->enter), "%.200s/broker/coffer-enter", self);
}

LAB void lab_open(struct lab *l)
{
	const char *all = getenv(LAB_FOLDER);

	memset(l, 0, sizeof(*l));
	snprintf(l->dir, sizeof(l->dir), "%.100s/XXXXXX", all ? all : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(l->dir));
	snprintf(l->root, sizeof(l->root), "%.100s/runc", l->dir);
	snprintf(l->bundle, sizeof(l->bundle), "%.100s/bundle", l->dir);
	snprintf(l->rootfs, sizeof(l->rootfs), "%.100s/bundle/rootfs", l->dir);
	snprintf(l->id, sizeof(l->id), "attach-%s", strrchr(l->dir, '/') + 1);
	ck_assert_int_eq(chmod(l->dir, 0755), 0);
	ck_assert_int_eq(mkdir(l->bundle, 0755), 0);
	ck_assert_int_eq(lab_sh("mkdir -p %s/bin %s/proc %s/run %s/etc %s/dev %s/sys && "
	                        "cp /bin/busybox %s/bin/ && for a in sh cat ls sleep readlink "
	                        "touch id mount; do "
	                        "ln -s busybox %s/bin/$a; done",
	                        l->rootfs, l->rootfs, l->rootfs, l->rootfs, l->rootfs, l->rootfs,
	                        l->rootfs, l->rootfs),
	                 0);
	lab_find_enter(l);
	l->config = (struct attach_config){
		.enter_path = l->enter,
		.enter_fd = -1,
		.runc_roots = { l->root },
		.mount_folder = "/run/secrets",
		.worker_path = "/nonexistent/cofferfs",
		.worker_uid = 65534,
		.worker_gid = 65534,
	};
	lab_start_spawner(l);
}

LAB void lab_stop_spawner(struct lab *l)
{
	int status;

	l->sock = fd_close(l->sock);
	ck_assert_int_eq(waitpid(l->spawner, &status, 0), l->spawner);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the spawner ended with %d",
	              status);
}

LAB void lab_close(struct lab *l)
{
	lab_stop_spawner(l);
	lab_sh("runc --root %s delete -f %s >/dev/null 2>&1", l->root, l->id);
	ck_assert_int_eq(lab_sh("rm -rf --one-file-system %s", l->dir), 0);
}

/* A bundle's config.json with `more` (members of the top object, each with a comma behind) and
 * namespaces beside mount. */
LAB void lab_bundle(struct lab *l, const char *namespaces, const char *linux_more, const char *more)
{
	char path[LAB_PATH + 32];
	FILE *file;

	snprintf(path, sizeof(path), "%s/config.json", l->bundle);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file,
	        "{\"ociVersion\":\"1.0.2\",%s\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
	        "\"args\":[\"/bin/sleep\",\"1000\"],\"cwd\":\"/\",\"env\":[\"PATH=/bin\"]},"
	        "\"root\":{\"path\":\"rootfs\"},\"mounts\":[{\"destination\":\"/"
	        "proc\",\"type\":\"proc\","
	        "\"source\":\"proc\"}],\"linux\":{%s\"namespaces\":[{\"type\":\"mount\"}%s]}}",
	        more, linux_more, namespaces);
	ck_assert_int_eq(fclose(file), 0);
}

#define LAB_PIDNS ",{\"type\":\"pid\"}"

LAB pid_t lab_pid(struct lab *l)
{
	char text[4096];

	lab_out(text, sizeof(text), "runc --root %s state %s | grep '\"pid\"' | tr -dc 0-9",
	        l->root, l->id);
	ck_assert_int_gt(atoi(text), 1);
	return atoi(text);
}

LAB pid_t lab_run(struct lab *l)
{
	ck_assert_int_eq(
		lab_sh("runc --root %s run -d --bundle %s %s </dev/null >/dev/null 2>%s/log || "
	               "{ cat %s/log >&2; exit 1; }",
	               l->root, l->bundle, l->id, l->dir, l->dir),
		0);
	return lab_pid(l);
}

/* Output of a command inside. */
LAB const char *lab_exec(struct lab *l, char *buffer, size_t size, const char *command)
{
	return lab_out(buffer, size, "runc --root %s exec %s /bin/sh -c '%s' 2>&1", l->root, l->id,
	               command);
}

/* An attacher; returns the socket to talk with it. */
LAB int lab_attacher(struct lab *l)
{
	static struct record r;
	int pair[2];
	uint64_t serial = ++l->serial;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(
		record_send(l->sock, AR_SPAWN_ATTACHER, serial, NULL, 0, NULL, 0, &pair[1], 1), 0);
	close(pair[1]);
	ck_assert_int_eq(record_recv(l->sock, &r), 1);
	ck_assert_int_eq(r.type, AR_SPAWNED);
	ck_assert_int_eq((int)r.serial, (int)serial);
	ck_assert_int_eq((int)r.nfds, 1);
	record_close_fds(&r);
	return pair[0];
}

LAB void lab_expect(int sock, uint16_t type, struct record *r)
{
	ck_assert_int_eq(record_recv(sock, r), 1);
	if (r->type == AR_FAILED && type != AR_FAILED) {
		char why[ERR_TEXT_MAX] = "";
		size_t at = sizeof(struct ar_failed);

		record_get_text(r, &at, why, sizeof(why));
		ck_abort_msg("failed: %s", why);
	}
	ck_assert_int_eq(r->type, type);
}

LAB void lab_send_inspect(int sock, uint32_t how, pid_t pid, const char *id, const char *bundle)
{
	struct ar_inspect fixed = { .how = how, .pid = pid };
	static unsigned char texts[16384];
	size_t at = 0;

	ck_assert_int_eq(record_put_text(texts, sizeof(texts), &at, id), 0);
	ck_assert_int_eq(record_put_text(texts, sizeof(texts), &at, bundle), 0);
	ck_assert_int_eq(
		record_send(sock, AR_INSPECT, 7, &fixed, sizeof(fixed), texts, at, NULL, 0), 0);
}

struct lab_facts {
	struct ar_facts n;
	int fds[FOUND_FDS];
	char runtime[64], name[1100], id[1100], unit[300], bundle[4200], root[4200];
	char image[1100], digest[700], trouble[ERR_TEXT_MAX];
	char key[8][256], value[8][256], flag[8][4];
};

LAB void lab_take_facts(int sock, struct lab_facts *f)
{
	static struct record r;
	static char drop[4200];
	size_t at = sizeof(f->n);
	struct {
		char *text;
		size_t size;
	} texts[] = { { f->runtime, sizeof(f->runtime) },
		      { f->name, sizeof(f->name) },
		      { f->id, sizeof(f->id) },
		      { f->image, sizeof(f->image) },
		      { f->digest, sizeof(f->digest) },
		      { f->unit, sizeof(f->unit) },
		      { f->bundle, sizeof(f->bundle) },
		      { f->root, sizeof(f->root) },
		      { drop, sizeof(drop) },
		      { f->trouble, sizeof(f->trouble) } };

	lab_expect(sock, AR_FACTS, &r);
	ck_assert_int_eq((int)r.nfds, FOUND_FDS);
	memcpy(&f->n, r.payload, sizeof(f->n));
	for (size_t i = 0; i < FOUND_FDS; i++)
		f->fds[i] = TAKE_FD(r.fds[i]);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_int_eq(record_get_text(&r, &at, texts[i].text, texts[i].size), 0);
	for (uint32_t i = 0; i < f->n.attributes && i < ARRAY_LEN(f->key); i++) {
		ck_assert_int_eq(record_get_text(&r, &at, f->flag[i], sizeof(f->flag[i])), 0);
		ck_assert_int_eq(record_get_text(&r, &at, f->key[i], sizeof(f->key[i])), 0);
		ck_assert_int_eq(record_get_text(&r, &at, f->value[i], sizeof(f->value[i])), 0);
	}
}

LAB void lab_facts_close(struct lab_facts *f)
{
	for (size_t i = 0; i < FOUND_FDS; i++)
		f->fds[i] = fd_close(f->fds[i]);
}

LAB void lab_inspect(struct lab *l, uint32_t how, pid_t pid, const char *id, const char *bundle,
                     struct lab_facts *ret)
{
	SCOPED_FD int sock = lab_attacher(l);

	lab_send_inspect(sock, how, pid, id, bundle);
	lab_take_facts(sock, ret);
}

/* Expect FAILED; its error, and its sentence in `why` (ERR_TEXT_MAX). */
LAB int lab_failed(int sock, char *why)
{
	static struct record r;
	size_t at = sizeof(struct ar_failed);

	lab_expect(sock, AR_FAILED, &r);
	ck_assert_int_eq(record_get_text(&r, &at, why, ERR_TEXT_MAX), 0);
	ck_assert_msg(why[0], "a refusal without a sentence");
	return ((struct ar_failed *)r.payload)->error;
}

/* MOUNT, FOLDER, UNMOUNT, CHECK. */
LAB void lab_send_mount(int sock, uint16_t type, const struct lab_facts *f, const char *folder,
                        uint64_t dev)
{
	struct ar_mount fixed = { .pid = f->n.pid, .dev = dev };
	const int fds[] = { f->fds[FOUND_PIDFD], f->fds[FOUND_MNT], f->fds[FOUND_PID],
		            f->fds[FOUND_USER] };
	unsigned char texts[9000];
	size_t at = 0;

	ck_assert_int_eq(record_put_text(texts, sizeof(texts), &at, f->root), 0);
	ck_assert_int_eq(record_put_text(texts, sizeof(texts), &at, folder), 0);
	ck_assert_int_eq(record_put_text(texts, sizeof(texts), &at, ""), 0);
	ck_assert_int_eq(record_send(sock, type, 9, &fixed, sizeof(fixed), texts, at, fds, 4), 0);
}

LAB int lab_done(int sock, uint32_t *ret_steps)
{
	static struct record r;
	struct ar_done done;

	lab_expect(sock, AR_DONE, &r);
	ck_assert_int_eq((int)r.len, (int)sizeof(done));
	memcpy(&done, r.payload, sizeof(done));
	if (ret_steps)
		*ret_steps = done.steps;
	return done.result;
}

LAB int lab_small(struct lab *l, uint16_t type, const struct lab_facts *f, uint64_t dev)
{
	SCOPED_FD int sock = lab_attacher(l);

	lab_send_mount(sock, type, f, "/run/secrets", dev);
	return lab_done(sock, NULL);
}

LAB int lab_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	char all[] = "/tmp/attach-lab-XXXXXX";
	int failed;

	if (geteuid() != 0) {
		fprintf(stderr, "SKIPPED LOUDLY: these tests need root\n");
		return 77;
	}
	if (!mkdtemp(all) || chmod(all, 0755) < 0) {
		perror("cannot make a folder below /tmp");
		return 1;
	}
	setenv(LAB_FOLDER, all, 1);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	lab_sh("for d in %s/*/runc/*; do [ -d $d ] && runc --root ${d%%/*} delete -f ${d##*/}; "
	       "done; "
	       "rm -rf --one-file-system %s",
	       all, all);
	srunner_free(runner);
	return failed != 0;
}
