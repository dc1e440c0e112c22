/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/state.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/times.h"

#define EVIDENCE_TRIES 16 /* of names, where a start found damage at the same line before */

static void sign(struct audit *a, struct chain_head *head)
{
	char text[CHAIN_POINT_TEXT_MAX];
	size_t len = chain_point_text(&head->now, text);

	head->signed_point = head->now;
	head->has_signed = true;
	crypto_sign_detached(head->signature, NULL, (const unsigned char *)text, len,
	                     a->key->bytes);
	crypto_sign_ed25519_sk_to_pk(head->public_key, a->key->bytes);
}

int head_write(struct audit *a)
{
	struct chain_head head = a->head;
	SCOPED(free_ptr) char *text = NULL;
	int r;

	head.now = (struct chain_point){
		.seq = a->written_seq,
		.epoch = a->epoch,
		.oldest_seq = a->oldest_seq,
		.time_ns = times_now(),
	};
	memcpy(head.now.hash, a->written_hash, CHAIN_HASH_LEN);
	memcpy(head.now.oldest_previous, a->oldest_previous, CHAIN_HASH_LEN);
	if (a->key)
		sign(a, &head);
	text = chain_head_text(&head);
	if (!text)
		return -ENOMEM;
	r = io_write_file_atomic(a->dir, HEAD_FILE, text, strlen(text), 0600);
	if (r < 0)
		return r;
	a->head = head;
	a->head_behind = a->head_first = false;
	return 0;
}

int head_keep(struct audit *a, uint64_t seq, char name[64])
{
	for (int i = 0; i < EVIDENCE_TRIES; i++) {
		snprintf(name, 64, "head-damaged-%012llu.%d.json", (unsigned long long)seq, i);
		if (linkat(a->dir, HEAD_FILE, a->dir, name, 0) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}
