/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_fixture.h - a log in a temporary folder, and the whole verification over it as `coffer audit
 * verify` does it.
 */
#pragma once

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/audit.h"
#include "coffer/chain.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/times.h"

#define FIXTURE_TEXT_MAX (16 * 1024 * 1024)

static char folder[64];
static int state = -1;

static inline void folder_make(void)
{
	/* In memory where it can be had: these tests sync a lot. */
	strcpy(folder, "/dev/shm/coffer-audit-XXXXXX");
	if (!mkdtemp(folder)) {
		strcpy(folder, "/tmp/coffer-audit-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(folder));
	}
	state = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(state, 0);
	ck_assert_int_ge(sodium_init(), 0);
}

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline void folder_remove(void)
{
	state = fd_close(state);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static inline struct audit *log_open(void)
{
	struct audit *a = NULL;
	struct err e = { 0 };

	ck_assert_msg(audit_open(state, &a, &e) == 0, "%s", e.text);
	return a;
}

static inline void log_key(struct audit *a, unsigned char byte)
{
	struct secret *seed = secret_new(32);

	ck_assert_ptr_nonnull(seed);
	memset(seed->bytes, byte, 32);
	ck_assert_int_eq(audit_set_key(a, seed, NULL), 0);
	secret_free(seed);
}

/* `count` lines, numbered in a field, then a flush. */
static inline void log_fill(struct audit *a, int count)
{
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(audit_add(a, "test.line", json_pack("{si}", "i", i)), 0);
	ck_assert_int_eq(audit_flush(a, NULL), 0);
}

/* Not inlined: gcc 12 takes its pointer for one to its own local variable. */
__attribute__((noinline, unused)) static char *file_read(const char *name)
{
	char path[128], *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "audit/%s", name);
	ck_assert_msg(io_read_file(state, path, FIXTURE_TEXT_MAX, &text, &len) == 0, "%s", name);
	for (size_t i = 0; i < len; i++)
		text[i] = text[i] ? text[i] : '?';
	return text;
}

static inline void file_write(const char *name, const char *bytes, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "audit/%s", name);
	fd = openat(state, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_all(fd, bytes, len), 0);
	close(fd);
}

static inline bool file_there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "audit/%s", name);
	return faccessat(state, path, F_OK, 0) == 0;
}

/* Line `n` (from 0) of a text, and the one behind it (NULL at the end). */
static inline char *line_at(char *text, int n)
{
	while (n-- > 0) {
		text = strchr(text, '\n');
		ck_assert_ptr_nonnull(text);
		text++;
	}
	return text;
}

static inline int count_of(const char *text, const char *piece)
{
	int count = 0;

	while ((text = strstr(text, piece))) {
		count++;
		text += strlen(piece);
	}
	return count;
}

struct verdict {
	int result;
	struct err e;
	struct chain_fault fault;
	struct chain_report report;
};

static inline struct verdict log_verify(struct audit *a)
{
	SCOPED(chain_verifier_free_ptr) struct chain_verifier *v = NULL;
	SCOPED(free_ptr) char *head = NULL;
	char names[AUDIT_FILES_MAX + 1][64], key[65];
	int fds[AUDIT_FILES_MAX + 1];
	struct verdict verdict = { 0 };
	int count = audit_files(a, fds, names);

	ck_assert_int_ge(count, 0);
	ck_assert_int_eq(audit_head_text(a, &head, key), 0);
	v = chain_verifier_new(key);
	ck_assert_ptr_nonnull(v);
	chain_verify_head(v, head);
	for (int i = 0; i < count; i++) {
		if (verdict.result == 0)
			verdict.result = chain_verify_file(v, fds[i], names[i], &verdict.e);
		close(fds[i]);
	}
	if (verdict.result == 0)
		verdict.result = chain_verify_finish(v, &verdict.e);
	verdict.fault = *chain_fault(v);
	chain_report(v, &verdict.report);
	return verdict;
}

#define VERIFIES(a)                                                         \
	do {                                                                \
		struct verdict verdict_ = log_verify(a);                    \
		ck_assert_msg(verdict_.result == 0, "%s", verdict_.e.text); \
	} while (0)
