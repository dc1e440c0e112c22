/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h - the hash-chained log: JSON lines in STATE/audit/log.jsonl and a signed head beside it.
 *
 * Each line is one JSON object that ends with "hash": BLAKE2b-256 (hex) over the previous line's
 * hash and this line's text without the hash member. The head file holds sequence number, hash,
 * epoch of the store, oldest retained line and, signed while unsealed, an Ed25519 signature with a
 * key derived from the root key; while sealed the chain goes on unsigned and is signed at the next
 * unseal. docs/audit.md names every event and field.
 *
 * The log is written in batches: audit_add buffers, audit_flush writes and syncs. Rotation is ours:
 * at AUDIT_FILE_MAX the file becomes log-FIRSTSEQ.jsonl and a new one goes on with the chain;
 * beyond AUDIT_FILES_MAX the oldest goes.
 *
 * Disk full or broken: lines stay in memory up to AUDIT_BACKLOG_MAX, then audit_add answers -ENOSPC
 * and the caller refuses changes (readers go on: their records wait in the rings). The gap, if one
 * came, is recorded.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"
#include "coffer/secret.h"

#define AUDIT_FILE_MAX (64ULL * 1024 * 1024) /* some 200,000 lines */
#define AUDIT_FILES_MAX 16
#define AUDIT_LINE_MAX 8192
#define AUDIT_BACKLOG_MAX (4u * 1024 * 1024)

struct audit;

/* Opens or makes DIR/audit; checks that the tail fits the head, and says so in a line
 * ("audit.damaged") if not. */
int audit_open(int state_dirfd, struct audit **ret, struct err *e);
void audit_close(struct audit *a); /* flushes and signs what it can */

/*
 * Add one line. Takes `fields` over (a JSON object; NULL for none). seq, time and hash are added
 * here. Strings are escaped by JSON itself; values of secrets must not be in it. 0 or -ENOSPC,
 * -ENOMEM.
 */
int audit_add(struct audit *a, const char *event, json_t *fields);
/* As above with a time of its own (records out of rings). */
int audit_add_at(struct audit *a, int64_t time_ns, const char *event, json_t *fields);

/* Write and fdatasync what is buffered, then the head. 0, or -errno: the lines stay buffered. */
int audit_flush(struct audit *a, struct err *e);
bool audit_dirty(const struct audit *a);     /* something waits for a flush */
size_t audit_backlog(const struct audit *a); /* bytes that wait */

/* From now on heads are signed; `epoch` is what the vault has. NULL seed: sealed again. */
int audit_set_key(struct audit *a, const struct secret *seed, struct err *e);
void audit_set_epoch(struct audit *a, uint64_t epoch);
uint64_t audit_epoch(const struct audit *a); /* as the head last said: the floor for vault_unseal */
uint64_t audit_lines_found(const struct audit *a); /* and of the last that audit_open found */
uint64_t audit_lines(const struct audit *a);       /* sequence number of the last line */

/* Descriptors (read-only, oldest first) of the retained files; returns how many, at most
 * AUDIT_FILES_MAX + 1. */
int audit_files(struct audit *a, int fds[AUDIT_FILES_MAX + 1], char names[AUDIT_FILES_MAX + 1][64]);
/* The head file's text ("" if it is gone), and the public key as hex ("" while never unsealed).
 * Caller frees. */
int audit_head_text(struct audit *a, char **ret, char public_key[65]);

/* Other limits than those above (tests, small hosts). */
void audit_set_limits(struct audit *a, uint64_t file_max, size_t files_max, size_t backlog_max);

/*
 * Called with each line, without its newline, after it was written (for --follow). At most 64
 * listeners; one may add lines and unsubscribe any, but not flush.
 */
typedef void (*audit_listener)(void *arg, const char *line, size_t len);
int audit_subscribe(struct audit *a, audit_listener listener, void *arg); /* id ≥ 0, or -errno */
void audit_unsubscribe(struct audit *a, int id);
