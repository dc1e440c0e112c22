/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_client.h - run `coffer` in a child of a test, in a folder of its own that is its runtime
 * folder too, and look at what it printed.
 */
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include "client.h"
#include "fake_broker.h"

#define WORDS_MAX 12
#define TEXT_MAX 65536

static char dir[64];
static char out[TEXT_MAX], errors[TEXT_MAX]; /* of the last command */

static inline void setup(void)
{
	strcpy(dir, "/tmp/coffer-client-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(setenv("COFFER_RUNTIME_DIR", dir, 1), 0);
}

static inline void teardown(void)
{
	DIR *d = opendir(dir);

	for (struct dirent *entry; (entry = readdir(d));)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static inline void read_back(const char *path, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = io_read_all(fd, text, TEXT_MAX - 1);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(fd);
}

/* Run `coffer WORDS…` in a child, with `input` to read. Returns its exit status. */
static inline int run_with(const char *input, const char *const words[WORDS_MAX])
{
	char program[] = "coffer", *argv[WORDS_MAX + 2] = { program };
	int argc = 1, status = 0;
	pid_t pid = 0;

	for (; argc <= WORDS_MAX && words[argc - 1]; argc++)
		argv[argc] = strdup(words[argc - 1]);
	ck_assert_int_eq(io_write_file_atomic(AT_FDCWD, "stdin", input, strlen(input), 0600), 0);
	pid = fork();
	if (pid == 0) {
		if (!freopen("stdin", "r", stdin) || !freopen("stdout", "w", stdout) ||
		    !freopen("stderr", "w", stderr))
			_exit(99);
		status = client_run(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "killed by %d", WTERMSIG(status));
	read_back("stdout", out);
	read_back("stderr", errors);
	while (--argc > 0)
		free(argv[argc]);
	return WEXITSTATUS(status);
}

#define run(...) run_with("", (const char *const[WORDS_MAX]){ __VA_ARGS__ })

static inline size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}
