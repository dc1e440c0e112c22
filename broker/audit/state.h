/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what an open audit log holds in memory. Private to audit/.
 */
#pragma once

#include "audit/audit.h"
#include "audit/files.h"
#include "coffer/chain.h"

#define HEAD_FILE "head.json"
#define LISTENERS_MAX 64 /* `coffer audit --follow` at one time */

struct listener {
	audit_listener call; /* NULL: free */
	void *arg;
};

struct audit {
	int dir;
	struct files files;

	/* The last line added, waiting or not. */
	uint64_t seq;
	uint8_t hash[CHAIN_HASH_LEN];
	/* The last line that is on disk. */
	uint64_t written_seq;
	uint8_t written_hash[CHAIN_HASH_LEN];
	/* The oldest retained line, and the hash before it; whether files before it may go. */
	bool prune;
	uint64_t oldest_seq;
	uint8_t oldest_previous[CHAIN_HASH_LEN];

	uint64_t found_seq; /* the last line that was there when the log was opened */
	uint64_t epoch;
	struct chain_head head; /* as last written or read */
	bool head_behind;       /* what the file says is no longer so */
	bool head_first; /* there is none yet: without one, lines would look as if it had been taken
	                    away */
	struct secret *key; /* Ed25519, 64 bytes; NULL while sealed */

	char *lines; /* that wait, each with its newline */
	size_t len, room;
	bool failing;  /* the last flush failed */
	uint64_t lost; /* lines that found no room since */
	int64_t lost_first_ns, lost_last_ns;

	uint64_t file_max;
	size_t files_max, backlog_max;
	struct listener listeners[LISTENERS_MAX];
};

/*
 * lines.c: one line at the end of those that wait. As audit_add_at, without regard for the limit;
 * `fields` stays the caller's.
 */
int lines_append(struct audit *a, int64_t time_ns, const char *event, json_t *fields);

/* head.c: write the head for what is on disk, signed if there is a key. 0 or -errno. */
int head_write(struct audit *a);

/* Keep the head file as it is under a name with `seq`, as evidence. -ENOENT: there is none. */
int head_keep(struct audit *a, uint64_t seq, char name[64]);

/* recover.c: read head and current file, cut what was never acknowledged, note damage in a line. 0
 * or -errno. */
int recover(struct audit *a, struct err *e);

/* Note damage that was found while running; the current file has been opened again. */
int recover_note(struct audit *a, const char *what);
