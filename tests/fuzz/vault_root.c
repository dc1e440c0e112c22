/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root_decode: only what root_encode made, with this key and for this store. Input: a bit to flip
 * (2 bytes), the fields of a root record; what is left is also read as a record.
 */
#include "vault/root.h"

#include <errno.h>

#include "fuzz.h"

static const struct seal_keys keys = { .mac = { 1, 2, 3 }, .store_id = { 4, 5, 6 } };

static void fill(struct fuzz_input *in, unsigned char *ret, size_t len)
{
	size_t there;
	const uint8_t *bytes = fuzz_take(in, len, &there);

	memcpy(ret, bytes, there);
}

static bool same(const struct root *a, const struct root *b)
{
	return a->epoch == b->epoch && a->leaves == b->leaves && a->time_ns == b->time_ns &&
	       memcmp(a->tree, b->tree, sizeof(a->tree)) == 0 &&
	       memcmp(a->header, b->header, sizeof(a->header)) == 0;
}

static void flipped_is_refused(unsigned char record[ROOT_LEN], size_t bit)
{
	struct root root = { .epoch = 77 };

	record[bit / 8 % ROOT_LEN] ^= (unsigned char)(1u << bit % 8);
	MUST(root_decode(&keys, (struct store_bytes){ record, ROOT_LEN }, &root) == -EBADMSG);
	MUST(root.epoch == 77);
	record[bit / 8 % ROOT_LEN] ^= (unsigned char)(1u << bit % 8);
}

static void elsewhere_is_refused(const unsigned char record[ROOT_LEN], size_t bit)
{
	const struct store_bytes bytes = { record, ROOT_LEN };
	struct seal_keys other = keys;
	struct root root;

	other.store_id[bit % SEAL_STORE_ID_LEN] ^= 1;
	MUST(root_decode(&other, bytes, &root) == -EBADMSG);
	other = keys;
	other.mac[bit % SEAL_KEY_LEN] ^= 1;
	MUST(root_decode(&other, bytes, &root) == -EBADMSG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t bit = (size_t)fuzz_number(&in, 2);
	struct root root = { 0 }, again;
	unsigned char record[ROOT_LEN];

	/* Nobody finds a MAC by chance. */
	MUST(root_decode(&keys, (struct store_bytes){ data, size }, &again) == -EBADMSG);
	root.epoch = fuzz_number(&in, 8);
	root.leaves = fuzz_number(&in, 8);
	root.time_ns = (int64_t)fuzz_number(&in, 8);
	fill(&in, root.tree, sizeof(root.tree));
	fill(&in, root.header, sizeof(root.header));
	root_encode(&keys, &root, record);
	MUST(root_decode(&keys, (struct store_bytes){ record, ROOT_LEN }, &again) == 0);
	MUST(same(&root, &again));
	flipped_is_refused(record, bit);
	elsewhere_is_refused(record, bit);
	MUST(root_decode(&keys, (struct store_bytes){ record, bit % ROOT_LEN }, &again) ==
	     -EBADMSG);
	return 0;
}
