/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - the 32 bytes that open an unseal slot, from what an operator holds. Pure.
 *
 * A keyfile's key is BLAKE2b-256, unkeyed, over the whole content of the file (crypto_generichash
 * of libsodium): any file of at least 32 random bytes does, and a line feed at its end counts. A
 * passphrase's key is Argon2id (version 1.3, crypto_pwhash), done by the client so that the
 * broker never sees the passphrase; salt, passes and memory come from the slot. The slot stands
 * in the store's clear header, so what it may ask for is capped.
 */
#pragma once

#include <stdint.h>

#include "coffer/err.h"
#include "coffer/secret.h"

#define KEYS_LEN 32
#define KEYS_SALT_LEN 16      /* crypto_pwhash_SALTBYTES */
#define KEYS_CONTENT_MIN 32   /* bytes of a keyfile: a full key's worth */
#define KEYS_CONTENT_MAX 4096 /* a keyfile is no place for other things */
#define KEYS_PASSPHRASE_MAX 4096
#define KEYS_OPS_DEFAULT 3 /* crypto_pwhash_OPSLIMIT_MODERATE: some 0.7 s */
#define KEYS_MEMORY_DEFAULT (256ULL << 20)
#define KEYS_OPS_MAX 10
#define KEYS_MEMORY_MAX (1ULL << 30)

/* -EINVAL for content that is too short or too long; -ENOMEM. Caller frees *ret. */
int keys_from_keyfile(const struct secret *content, struct secret **ret, struct err *e);

/*
 * -EINVAL for an empty or overlong passphrase, -ERANGE for a cost outside of the limits, -ENOMEM
 * where the memory asked for cannot be had. Takes about a second. Caller frees *ret.
 */
int keys_from_passphrase(const struct secret *passphrase, const unsigned char salt[KEYS_SALT_LEN],
                         uint64_t ops, uint64_t memory, struct secret **ret, struct err *e);
