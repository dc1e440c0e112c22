/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - what the tests of the vault share: a store in a fresh folder, opened, closed, opened
 * again, and the file behind it looked at (and meddled with) through SQLite while it is closed.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "vault/vault.h"

#define FIXTURE_FILE "store.db"

struct fixture {
	char dir[64];
	int dirfd;
	struct vault *vault;
	struct secret *key; /* of slot 1 */
	struct err err;
};

#define ck_ok(call)                                                              \
	do {                                                                     \
		int ok_ = (call);                                                \
		ck_assert_msg(ok_ == 0, "%s: %d: %s", #call, ok_, fix.err.text); \
	} while (0)

#define ck_fails(code, call)                                                           \
	do {                                                                           \
		int got_ = (call);                                                     \
		ck_assert_msg(got_ == (code), "%s: %d, not %d: %s", #call, got_, code, \
		              fix.err.text);                                           \
	} while (0)

static struct fixture fix;

static inline void fixture_path(char path[128], const char *dir, const char *name)
{
	snprintf(path, 128, "%s/%s", dir, name);
}

static inline struct store *fixture_store(void)
{
	struct store *store = NULL;

	ck_ok(store_sqlite_open(fix.dirfd, fix.dir, &store, &fix.err));
	return store;
}

static inline void fixture_close(void)
{
	vault_free(fix.vault);
	fix.vault = NULL;
}

/* Closed, and opened again: sealed if it was initialised. */
static inline void fixture_reopen(void)
{
	fixture_close();
	ck_ok(vault_open(fixture_store(), &fix.vault, &fix.err));
}

static inline int fixture_try_unseal(void)
{
	return vault_unseal(fix.vault, 1, fix.key, 0, false, &fix.err);
}

static inline void fixture_restart(void)
{
	fixture_reopen();
	ck_ok(fixture_try_unseal());
}

static inline void fixture_init(void)
{
	struct vault_slot slot = { .kind = VAULT_SLOT_KEYFILE };

	ck_ok(vault_init(fix.vault, &slot, fix.key, &fix.err));
	ck_assert_uint_eq(slot.id, 1);
}

static inline void fixture_empty(void)
{
	fix = (struct fixture){ .dir = "/tmp/coffer-vault-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(fix.dir));
	fix.dirfd = open(fix.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fix.dirfd, 0);
	fix.key = secret_new(VAULT_KEY_LEN);
	ck_assert_ptr_nonnull(fix.key);
	randombytes_buf(fix.key->bytes, fix.key->len);
	fixture_reopen();
}

static inline void fixture_setup(void)
{
	fixture_empty();
	fixture_init();
}

static inline void fixture_teardown(void)
{
	static const char *const files[] = { FIXTURE_FILE, FIXTURE_FILE "-wal", FIXTURE_FILE "-shm",
		                             FIXTURE_FILE "-journal" };

	fixture_close();
	secret_free(fix.key);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlinkat(fix.dirfd, files[i], 0);
	fd_close(fix.dirfd);
	rmdir(fix.dir);
}

static inline int fixture_try_put(const char *name, const void *bytes, size_t len,
                                  uint64_t *version)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy(bytes, len);
	struct vault_item item = { .name = name, .value = value };

	ck_assert_ptr_nonnull(value);
	return vault_put(fix.vault, &item, 1, version, &fix.err);
}

static inline uint64_t fixture_put(const char *name, const char *text)
{
	uint64_t version = 0;

	ck_ok(fixture_try_put(name, text, strlen(text), &version));
	return version;
}

/* The value is that text. */
static inline void fixture_expect(const char *name, uint64_t version, const char *text)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;

	ck_ok(vault_get(fix.vault, name, version, false, &value, NULL, &fix.err));
	ck_assert_uint_eq(value->len, strlen(text));
	ck_assert_mem_eq(value->bytes, text, value->len);
}

static inline int fixture_try_get(const char *name, uint64_t version)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	int r = vault_get(fix.vault, name, version, false, &value, NULL, &fix.err);

	ck_assert_msg((r == 0) == (value != NULL),
	              "a value comes if and only if there is no error");
	return r;
}

/* The file, while no store has it open. */
static inline sqlite3 *fixture_db(void)
{
	char path[128];
	sqlite3 *db = NULL;

	fixture_path(path, fix.dir, FIXTURE_FILE);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static inline void fixture_sql(sqlite3 *db, const char *sql)
{
	char *error = NULL;
	int rc = sqlite3_exec(db, sql, NULL, NULL, &error);

	ck_assert_msg(rc == SQLITE_OK, "%s: %s", sql, error);
}

static inline int fixture_main(Suite *suite)
{
	struct err e = { "" };
	SRunner *runner;
	int failed;

	if (secret_process_init(&e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return EXIT_FAILURE;
	}
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
