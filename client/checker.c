/* SPDX-License-Identifier: Apache-2.0 */
#include "checker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/version.h"
#include "input.h"

#define PROGRAM "coffer-verify"
#define ANSWER_MAX 4096
#define TICK_MS 200
#define FD_LEAST 10 /* above those that the program is given */

int checker_key_take(const struct options *o, struct checker_key *ret, struct err *e)
{
	const char *keyfile = options_text(o, "keyfile", 0);
	const char *passphrase = options_text(o, "passphrase-file", 0);

	if (keyfile && passphrase)
		return err_set(e, CLIENT_USAGE,
		               "--keyfile and --passphrase-file exclude each other");
	ret->kind = keyfile ? "keyfile" : passphrase ? "passphrase" : "none";
	if (keyfile)
		return input_keyfile(keyfile, &ret->content, e);
	return passphrase ? input_passphrase(passphrase, false, &ret->content, e) : 0;
}

void checker_key_clear(struct checker_key *key)
{
	secret_free(key->content);
	key->content = NULL;
}

/* Beside ourselves, as built or as installed below any prefix; else where it was to be installed. */
static void find_program(char path[4096])
{
	static const char *const beside[] = { "../broker/" PROGRAM, "../libexec/coffer/" PROGRAM };
	char self[3900];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < ARRAY_LEN(beside); i++) {
		slash[1] = '\0';
		snprintf(path, 4096, "%s%s", self, beside[i]);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, 4096, "%s", COFFER_LIBEXEC "/" PROGRAM);
}

struct child {
	pid_t pid;
	int out; /* what it prints */
};

static int start(const struct checker_job *job, int key, struct child *ret, struct err *e)
{
	char path[4096], offset[24], size[24], name[] = PROGRAM, kind[16];
	char *argv[] = { name, kind, offset, size, NULL }, *environment[] = { NULL };
	SCOPED_FD int file = fcntl(job->fd, F_DUPFD_CLOEXEC, FD_LEAST);
	SCOPED_FD int key_high = key >= 0 ? fcntl(key, F_DUPFD_CLOEXEC, FD_LEAST) : -1;
	posix_spawn_file_actions_t actions;
	int out[2], r;

	if (file < 0 || (key >= 0 && key_high < 0) || pipe2(out, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot start the check of the store");
	find_program(path);
	snprintf(kind, sizeof(kind), "%s", job->key->kind);
	snprintf(offset, sizeof(offset), "%" PRIu64, job->offset);
	snprintf(size, sizeof(size), "%" PRIu64, job->size);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, file, 3);
	if (key_high >= 0)
		posix_spawn_file_actions_adddup2(&actions, key_high, 4);
	r = posix_spawn(&ret->pid, path, &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	if (r != 0) {
		close(out[0]);
		return err_errno(e, -r, "cannot start %s, which checks the store", path);
	}
	ret->out = out[0];
	return 0;
}

/* All that it prints, up to its end. */
static int collect(int out, struct progress *p, char text[ANSWER_MAX], size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = { .fd = out, .events = POLLIN };
		ssize_t n;

		if (poll(&pfd, 1, TICK_MS) == 0) {
			progress_tick(p);
			continue;
		}
		n = read(out, text + len, ANSWER_MAX - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret_len = len;
	return 0;
}

static int take_answer(const char *text, size_t len, int status, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *answer = NULL;
	const char *sentence = NULL;
	int64_t code = 0;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
		return err_set(e, -EBADMSG, "the backup became shorter while it was read");
	if (json_parse(text, len, &answer, NULL) < 0 || !json_is_object(answer))
		return err_set(e, -EIO, PROGRAM " ended without an answer (status %d)", status);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		if (json_get_string(answer, "error", true, &sentence, e) < 0 ||
		    json_get_int(answer, "code", true, -4095, -1, &code, e) < 0)
			return -EIO;
		return err_set(e, (int)code, "%s", sentence);
	}
	*ret = TAKE_PTR(answer);
	return 0;
}

int checker_run(const struct checker_job *job, json_t **ret, struct err *e)
{
	SCOPED_FD int key = job->key->content ? secret_to_memfd(job->key->content) : -1;
	struct child child = { 0 };
	char text[ANSWER_MAX];
	size_t len = 0;
	int status = 0, r, waited;

	if (job->key->content && key < 0)
		return err_errno(e, key, "cannot pass the key on");
	r = start(job, key, &child, e);
	if (r < 0)
		return r;
	r = collect(child.out, job->progress, text, &len);
	close(child.out);
	do
		waited = waitpid(child.pid, &status, 0);
	while (waited < 0 && errno == EINTR);
	if (r < 0)
		return err_errno(e, r, "cannot read what " PROGRAM " found");
	return take_answer(text, len, status, ret, e);
}
