/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - read a file of the log from its start and tell where it stops being a chain. Private to
 * audit/.
 *
 * A line with the event audit.damaged that chains on the last line of good form takes note of the
 * damage before it: from there on the chain counts as good again. (`coffer audit verify` still
 * stops at it.)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "coffer/chain.h"

#define SCAN_WHAT_MAX 96

struct scan {
	/* in */
	bool know_previous; /* what has to be before the first line */
	uint64_t previous_seq;
	uint8_t previous_hash[CHAIN_HASH_LEN];
	const struct chain_point *points[2]; /* whose hash is compared on the way; may be NULL */

	/* out */
	uint64_t first_seq; /* 0: no line of good form */
	uint64_t seq;       /* of the last line of good form, previous_seq if there is none */
	uint8_t hash[CHAIN_HASH_LEN]; /* as that line claims it */
	uint64_t whole;               /* bytes up to and including the last newline */
	uint64_t size;                /* bytes read */
	bool differs[2];              /* the line with the point's number has another hash */

	bool bad;            /* a line does not chain, and no later one takes note of it */
	uint64_t bad_line;   /* in the file, from 1 */
	uint64_t bad_offset; /* where it begins */
	uint64_t bad_seq;    /* the number that had to stand there */
	char what[SCAN_WHAT_MAX];
};

/* 0 or -errno of reading; what is found is in `s`. */
int scan_file(int fd, struct scan *s);
