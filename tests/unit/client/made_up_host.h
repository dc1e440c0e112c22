/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made_up_host.h - for tests of doctor's checks: a host's files below a root of their own, and what
 * the checks find there. Each program that includes it has one host at a time.
 */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/io.h"
#include "doctor.h"

static char root[64];
static struct client client = { .runtime_dir = "/run/coffer" };
static struct doctor d;

static inline void setup(void)
{
	strcpy(root, "/tmp/coffer-doctor-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	d = (struct doctor){ .client = &client,
		             .root = root,
		             .must_wait = "/etc/coffer/must-wait.json",
		             .findings = json_array() };
}

static inline void teardown(void)
{
	char command[128];

	doctor_clear(&d);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

/* A file below the root, with the folders that it takes. */
static inline void file(const char *path, const char *text)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
	ck_assert_int_eq(io_write_file_quick(AT_FDCWD, full, text, strlen(text), 0644), 0);
}

static inline json_t *parsed(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	ck_assert_msg(value != NULL, "%s", text);
	return value;
}

/* How many findings of that severity the check makes now. */
static inline size_t finds(const char *check, enum severity severity)
{
	json_array_clear(d.findings);
	memset(d.count, 0, sizeof(d.count));
	doctor_run(&d, check);
	return d.count[severity];
}

/* All findings, as text. */
static inline const char *said(void)
{
	static char text[8192];
	size_t len = json_dumpb(d.findings, text, sizeof(text) - 1, 0);

	ck_assert_uint_lt(len, sizeof(text));
	text[len] = '\0';
	return text;
}
