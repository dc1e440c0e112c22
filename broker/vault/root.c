/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/root.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "vault/codec.h"

#define MAGIC "cofroot1"
#define MACED_LEN (ROOT_LEN - SEAL_HASH_LEN)

static void put_number(unsigned char *at, uint64_t number)
{
	for (size_t i = 0; i < 8; i++)
		at[i] = (unsigned char)(number >> (8 * i));
}

static void root_mac(const struct seal_keys *k, const unsigned char bytes[MACED_LEN],
                     unsigned char mac[SEAL_HASH_LEN])
{
	unsigned char maced[SEAL_STORE_ID_LEN + MACED_LEN];

	memcpy(maced, k->store_id, SEAL_STORE_ID_LEN);
	memcpy(maced + SEAL_STORE_ID_LEN, bytes, MACED_LEN);
	seal_mac(k->mac, "coffer root 1", (struct store_bytes){ maced, sizeof(maced) }, mac);
}

void root_encode(const struct seal_keys *k, const struct root *root, unsigned char bytes[ROOT_LEN])
{
	memcpy(bytes, MAGIC, 8);
	put_number(bytes + 8, root->epoch);
	put_number(bytes + 16, root->leaves);
	put_number(bytes + 24, (uint64_t)root->time_ns);
	memcpy(bytes + 32, root->tree, MERKLE_HASH_LEN);
	memcpy(bytes + 64, root->header, SEAL_HASH_LEN);
	root_mac(k, bytes, bytes + MACED_LEN);
}

int root_decode(const struct seal_keys *k, struct store_bytes bytes, struct root *ret)
{
	struct decoder from = { .bytes = bytes.bytes, .left = bytes.len };
	unsigned char mac[SEAL_HASH_LEN];

	if (bytes.len != ROOT_LEN || memcmp(bytes.bytes, MAGIC, 8) != 0)
		return -EBADMSG;
	root_mac(k, bytes.bytes, mac);
	if (sodium_memcmp(mac, (const unsigned char *)bytes.bytes + MACED_LEN, SEAL_HASH_LEN) != 0)
		return -EBADMSG;
	decode_bytes(&from, 8);
	ret->epoch = decode_u64(&from);
	ret->leaves = decode_u64(&from);
	ret->time_ns = (int64_t)decode_u64(&from);
	memcpy(ret->tree, from.bytes, MERKLE_HASH_LEN);
	memcpy(ret->header, from.bytes + MERKLE_HASH_LEN, SEAL_HASH_LEN);
	return 0;
}
