/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - the hash chain of the audit log and its signed head: made by the broker, checked by
 * anybody.
 *
 * A line of the log is a JSON object of one line whose first members are "seq", "time", "event" and
 * whose last is "hash":
 *
 *	{"seq":7,"time":"2026-11-24T05:30:05.123456Z","event":"secret.put", … ,"hash":"<64 hex
 * digits>"}
 *
 *	hash = BLAKE2b-256(hash of the line before, 32 bytes || the line's text without ,"hash":"…")
 *
 * The line before the very first has seq 0 and a hash of 32 zero bytes. The head is a JSON object
 * in a file beside the log (docs/audit.md). It says how far the log goes, and with what line and on
 * top of which hash the retained part of it begins, so that pruning old files is no break. Its
 * member "signed" says the same as of the last time that the broker was unsealed, with an Ed25519
 * signature (libsodium's crypto_sign_detached) over the text that chain_point_text makes.
 *
 * All pure but chain_verify_file, which reads the descriptor it is given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"

#define CHAIN_HASH_LEN 32
#define CHAIN_HEX_LEN 65    /* 64 digits and a NUL */
#define CHAIN_LINE_MAX 8192 /* of one line with its newline; longer ones are no lines of ours */
#define CHAIN_HEAD_MAX 4096 /* of the head file; ours has some 900 bytes */
#define CHAIN_POINT_TEXT_MAX 512 /* of the text that is signed */
#define CHAIN_FILE_NAME_MAX 64
/* a line with it says: here the broker found damage */
#define CHAIN_DAMAGED_EVENT "audit.damaged"

/* A line, taken apart. `text` points into the caller's line. */
struct chain_line {
	uint64_t seq;
	uint8_t hash[CHAIN_HASH_LEN]; /* as the line claims it */
	const char *text;             /* up to ,"hash": and without the closing brace */
	size_t text_len;
	bool damaged; /* its event is CHAIN_DAMAGED_EVENT */
};

/* How far the log goes, and where its retained part begins. */
struct chain_point {
	uint64_t seq; /* of the last line, 0: none yet */
	uint8_t hash[CHAIN_HASH_LEN];
	uint64_t epoch;      /* of the store */
	uint64_t oldest_seq; /* of the oldest retained line, seq + 1 if there is none */
	uint8_t oldest_previous[CHAIN_HASH_LEN];
	int64_t time_ns; /* when this was written */
};

struct chain_head {
	struct chain_point now;
	bool has_signed;
	struct chain_point signed_point;
	uint8_t signature[64];
	uint8_t public_key[32]; /* all zero: never unsealed */
};

/* The hash of a line's text (without the closing brace, which is added) behind a line with hash
 * `previous`. */
void chain_hash(const uint8_t previous[CHAIN_HASH_LEN], const char *text, size_t len,
                uint8_t ret[CHAIN_HASH_LEN]);

/* Take a line (without newline) apart; checks its shape, not its hash. 0 or -EBADMSG. */
int chain_line_parse(const char *line, size_t len, struct chain_line *ret);

/* Whether the line's hash is right behind `previous`. */
bool chain_line_fits(const struct chain_line *line, const uint8_t previous[CHAIN_HASH_LEN]);

/* Lower-case hex; parsing takes exactly 2 * len digits and a NUL. 0 or -EINVAL. */
void chain_hex(const uint8_t *bytes, size_t len, char *ret);
int chain_unhex(const char *hex, uint8_t *ret, size_t len);

/* The head's file text and back. Text: JSON and a newline, caller frees; NULL without memory. */
char *chain_head_text(const struct chain_head *head);
int chain_head_parse(const char *text, size_t len, struct chain_head *ret, struct err *e);

/* The text that is signed. Returns its length. */
size_t chain_point_text(const struct chain_point *point, char ret[CHAIN_POINT_TEXT_MAX]);

/* Whether the head's signature over its signed point is `public_key`'s. */
bool chain_head_signature_good(const struct chain_head *head, const uint8_t public_key[32]);

/*
 * The verifier: the head first, then the files, oldest first.
 *
 *	v = chain_verifier_new(public_key);      "" or NULL: never unsealed, signatures can't be
 * checked chain_verify_head(v, head_text);         what is wrong with it is said at the end: bad
 * lines come first for each file: chain_verify_file(v, fd, name, &e) chain_verify_finish(v, &e)
 *
 * The last two return 0, -EBADMSG for a finding (the sentence names file, line, seq and what is
 * wrong; chain_fault gives the parts), or another -errno where reading failed. Stop at the first
 * that is not 0. Lines beyond the head, as a log that is being written has them, are no finding if
 * they chain, nor is half a line at the very end.
 */
struct chain_verifier;

struct chain_fault {
	char file[CHAIN_FILE_NAME_MAX];
	uint64_t line; /* in the file, from 1; 0: the fault is no line's (cut tail, head) */
	uint64_t seq;  /* the line's own, or the first one missing; 0: unknown */
};

struct chain_report {
	uint64_t lines;        /* verified */
	uint64_t first_seq;    /* oldest retained line */
	uint64_t last_seq;     /* newest line */
	uint64_t signed_seq;   /* signed up to here; 0: nothing is signed, or the signature can't be
	                          checked */
	int64_t signed_at_ns;  /* when */
	uint64_t signed_epoch; /* the store's epoch then */
};

/* NULL without memory, or if the key is neither empty nor 64 hex digits. */
struct chain_verifier *chain_verifier_new(const char *public_key_hex);
void chain_verifier_free(struct chain_verifier *v);
void chain_verifier_free_ptr(struct chain_verifier **v);
/* `read` is called for every piece of a file that was read and checked, with its length in bytes. */
void chain_verifier_on_read(struct chain_verifier *v, void (*read)(void *arg, size_t bytes),
                            void *arg);
void chain_verify_head(struct chain_verifier *v, const char *head_text);
int chain_verify_file(struct chain_verifier *v, int fd, const char *name, struct err *e);
int chain_verify_finish(struct chain_verifier *v, struct err *e);
uint64_t chain_lines(const struct chain_verifier *v);
void chain_report(const struct chain_verifier *v, struct chain_report *ret); /* after finish */
const struct chain_fault *chain_fault(const struct chain_verifier *v);       /* after -EBADMSG */
