/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header.h - the one record in clear: what a client must know before there is a key. Pure.
 *
 *	{"format":1,"store_id":"<32 hex>","slots":[
 *	  {"id":1,"kind":"keyfile","wrapped":"<144 hex>"},
 *	  {"id":2,"kind":"passphrase","salt":"<32 hex>","ops":3,"memory":268435456,
 *	   "wrapped":"<144 hex>"}]}
 *
 * Whoever can write to the disk can write this, so everything is capped before anything is derived
 * from it (a slot can't ask for more than VAULT_ARGON_MEMORY_MAX), each slot's content is bound to
 * its wrapped key, and the hash of the whole record is in the MACed root record, which is checked
 * at unseal.
 */
#pragma once

#include "coffer/err.h"
#include "vault/codec.h"
#include "vault/seal.h"
#include "vault/vault.h"

#define HEADER_FORMAT 1
#define HEADER_LEN_MAX (16 * 1024) /* eight slots take some 3 KiB */

struct header {
	unsigned char store_id[SEAL_STORE_ID_LEN];
	char store_id_text[2 * SEAL_STORE_ID_LEN + 1];
	size_t slots;
	struct vault_slot slot[VAULT_SLOTS_MAX];
	unsigned char wrapped[VAULT_SLOTS_MAX][SEAL_WRAPPED_LEN];
};

/* -EBADMSG with a sentence; -EPROTONOSUPPORT for a format that is not ours. */
int header_parse(const void *bytes, size_t len, struct header *ret, struct err *e);

/* The record's text; free with json_text_free. NULL without memory. */
char *header_text(const struct header *h);

/* Kind and caps of one slot: 0 or -EINVAL with a sentence. Used on what comes in and on what is
 * read. */
int header_check_slot(const struct vault_slot *slot, struct err *e);

/* What a slot's wrapped key is bound to: everything else that the header says of it. */
void header_bind_slot(const struct header *h, const struct vault_slot *slot, struct encoder *to);
