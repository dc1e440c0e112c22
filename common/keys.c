/* SPDX-License-Identifier: Apache-2.0 */
#include "coffer/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>

#include "coffer/cleanup.h"

_Static_assert(KEYS_SALT_LEN == crypto_pwhash_SALTBYTES, "the salt is what Argon2id takes");

int keys_from_keyfile(const struct secret *content, struct secret **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *key = NULL;

	if (content->len < KEYS_CONTENT_MIN || content->len > KEYS_CONTENT_MAX)
		return err_set(e, -EINVAL,
		               "a keyfile holds %d to %d bytes, this one %zu: it is not the file "
		               "that was made",
		               KEYS_CONTENT_MIN, KEYS_CONTENT_MAX, content->len);
	key = secret_new(KEYS_LEN);
	if (!key)
		return err_set(e, -ENOMEM,
		               "cannot lock memory for a key: raise the limit (ulimit -l)");
	if (crypto_generichash(key->bytes, KEYS_LEN, content->bytes, content->len, NULL, 0) != 0)
		return err_set(e, -EINVAL, "cannot hash the keyfile");
	*ret = TAKE_PTR(key);
	return 0;
}

int keys_from_passphrase(const struct secret *passphrase, const unsigned char salt[KEYS_SALT_LEN],
                         uint64_t ops, uint64_t memory, struct secret **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *key = NULL;

	if (passphrase->len == 0)
		return err_set(e, -EINVAL, "the passphrase is empty: give one");
	if (passphrase->len > KEYS_PASSPHRASE_MAX)
		return err_set(e, -EINVAL, "the passphrase has %zu bytes: at most %d are taken",
		               passphrase->len, KEYS_PASSPHRASE_MAX);
	if (ops < crypto_pwhash_OPSLIMIT_MIN || ops > KEYS_OPS_MAX ||
	    memory < crypto_pwhash_MEMLIMIT_MIN || memory > KEYS_MEMORY_MAX)
		return err_set(
			e, -ERANGE,
			"the slot asks for %" PRIu64 " passes over %" PRIu64
			" bytes of memory, outside of what is sane: the store may be damaged",
			ops, memory);
	key = secret_new(KEYS_LEN);
	if (!key)
		return err_set(e, -ENOMEM,
		               "cannot lock memory for a key: raise the limit (ulimit -l)");
	if (crypto_pwhash(key->bytes, KEYS_LEN, (const char *)passphrase->bytes, passphrase->len,
	                  salt, ops, (size_t)memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(e, -ENOMEM,
		               "cannot derive the key: %" PRIu64
		               " MiB of memory are needed for it; free some",
		               memory >> 20);
	*ret = TAKE_PTR(key);
	return 0;
}
