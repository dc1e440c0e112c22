/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/merkle.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 65536u
/* Node 1 is the root, node n has children 2n and 2n + 1, buckets are the last half. */
#define NODES (2 * BUCKETS)
#define LEAVES_MAX (UINT32_MAX / 2)

struct leaf {
	unsigned char key[MERKLE_HASH_LEN];
	unsigned char hash[MERKLE_HASH_LEN];
	uint32_t next; /* index + 1 of the next one: of the bucket, by key; or of the free list */
};

struct merkle {
	struct leaf *leaf;
	size_t size, used; /* leaf[used..size) were never used */
	size_t leaves;
	uint32_t free, free_count;
	uint32_t head[BUCKETS]; /* index + 1 */
	unsigned char dirty[NODES / 8];
	unsigned char node[NODES][MERKLE_HASH_LEN];
};

struct merkle *merkle_new(void)
{
	return calloc(1, sizeof(struct merkle));
}

void merkle_free(struct merkle *m)
{
	if (!m)
		return;
	free(m->leaf);
	free(m);
}

size_t merkle_leaves(const struct merkle *m)
{
	return m->leaves;
}

int merkle_reserve(struct merkle *m, size_t more)
{
	size_t need = m->used + more, size;
	struct leaf *leaf;

	if (more <= m->free_count || need - m->free_count <= m->size)
		return 0;
	need -= m->free_count;
	if (need > LEAVES_MAX)
		return -ENOMEM;
	size = m->size + m->size / 4 + 64;
	if (size < need)
		size = need;
	leaf = realloc(m->leaf, size * sizeof(*leaf));
	if (!leaf)
		return -ENOMEM;
	m->leaf = leaf;
	m->size = size;
	return 0;
}

static bool is_dirty(const struct merkle *m, uint32_t node)
{
	return m->dirty[node / 8] >> (node % 8) & 1;
}

static void mark_dirty(struct merkle *m, uint32_t node)
{
	for (; node && !is_dirty(m, node); node /= 2)
		m->dirty[node / 8] |= (unsigned char)(1u << (node % 8));
}

static uint32_t bucket_of(const unsigned char key[MERKLE_HASH_LEN])
{
	return (uint32_t)key[0] << 8 | key[1];
}

/* The link that points to the leaf of `key`, or to the first one behind it. */
static uint32_t *find_link(struct merkle *m, const unsigned char key[MERKLE_HASH_LEN])
{
	uint32_t *link = &m->head[bucket_of(key)];

	while (*link && memcmp(m->leaf[*link - 1].key, key, MERKLE_HASH_LEN) < 0)
		link = &m->leaf[*link - 1].next;
	return link;
}

static bool link_is(const struct merkle *m, uint32_t link, const unsigned char key[MERKLE_HASH_LEN])
{
	return link && memcmp(m->leaf[link - 1].key, key, MERKLE_HASH_LEN) == 0;
}

static uint32_t take_leaf(struct merkle *m)
{
	uint32_t link = m->free;

	if (link) {
		m->free = m->leaf[link - 1].next;
		m->free_count--;
		return link;
	}
	assert(m->used < m->size); /* merkle_reserve was forgotten */
	return (uint32_t)++m->used;
}

void merkle_set(struct merkle *m, const unsigned char key[MERKLE_HASH_LEN],
                const unsigned char *hash)
{
	uint32_t *link = find_link(m, key), here = *link;

	if (link_is(m, here, key)) {
		if (hash) {
			memcpy(m->leaf[here - 1].hash, hash, MERKLE_HASH_LEN);
		} else {
			*link = m->leaf[here - 1].next;
			m->leaf[here - 1].next = m->free;
			m->free = here;
			m->free_count++;
			m->leaves--;
		}
	} else if (hash) {
		uint32_t fresh = take_leaf(m);

		memcpy(m->leaf[fresh - 1].key, key, MERKLE_HASH_LEN);
		memcpy(m->leaf[fresh - 1].hash, hash, MERKLE_HASH_LEN);
		m->leaf[fresh - 1].next = here;
		*link = fresh;
		m->leaves++;
	} else {
		return;
	}
	mark_dirty(m, BUCKETS + bucket_of(key));
}

const unsigned char *merkle_get(const struct merkle *m, const unsigned char key[MERKLE_HASH_LEN])
{
	uint32_t link = m->head[bucket_of(key)];

	while (link && memcmp(m->leaf[link - 1].key, key, MERKLE_HASH_LEN) < 0)
		link = m->leaf[link - 1].next;
	return link_is(m, link, key) ? m->leaf[link - 1].hash : NULL;
}

static crypto_generichash_blake2b_state hash_begin(const char *domain)
{
	crypto_generichash_blake2b_state state;
	unsigned char personal[crypto_generichash_blake2b_PERSONALBYTES] = { 0 };

	memcpy(personal, domain, strnlen(domain, sizeof(personal)));
	crypto_generichash_blake2b_init_salt_personal(&state, NULL, 0, MERKLE_HASH_LEN, NULL,
	                                              personal);
	return state;
}

static void hash_bucket(struct merkle *m, uint32_t node)
{
	crypto_generichash_blake2b_state state;
	uint32_t link = m->head[node - BUCKETS];

	if (!link) {
		memset(m->node[node], 0, MERKLE_HASH_LEN);
		return;
	}
	state = hash_begin("coffer bucket 1");
	for (; link; link = m->leaf[link - 1].next) {
		crypto_generichash_blake2b_update(&state, m->leaf[link - 1].key, MERKLE_HASH_LEN);
		crypto_generichash_blake2b_update(&state, m->leaf[link - 1].hash, MERKLE_HASH_LEN);
	}
	crypto_generichash_blake2b_final(&state, m->node[node], MERKLE_HASH_LEN);
}

static void hash_node(struct merkle *m, uint32_t node)
{
	crypto_generichash_blake2b_state state;
	const unsigned char *children = m->node[2 * node];

	if (sodium_is_zero(children, 2 * (size_t)MERKLE_HASH_LEN)) {
		memset(m->node[node], 0, MERKLE_HASH_LEN);
		return;
	}
	state = hash_begin("coffer node 1");
	crypto_generichash_blake2b_update(&state, children, 2 * (size_t)MERKLE_HASH_LEN);
	crypto_generichash_blake2b_final(&state, m->node[node], MERKLE_HASH_LEN);
}

/* Depth is 17, the tree's height. */
static void refresh(struct merkle *m, uint32_t node)
{
	if (!is_dirty(m, node))
		return;
	m->dirty[node / 8] &= (unsigned char)~(1u << (node % 8));
	if (node >= BUCKETS) {
		hash_bucket(m, node);
		return;
	}
	refresh(m, 2 * node);
	refresh(m, 2 * node + 1);
	hash_node(m, node);
}

void merkle_root(struct merkle *m, unsigned char root[MERKLE_HASH_LEN])
{
	refresh(m, 1);
	memcpy(root, m->node[1], MERKLE_HASH_LEN);
}
