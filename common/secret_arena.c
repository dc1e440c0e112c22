/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where secrets lie: secret_malloc and secret_mfree.
 *
 * Memory comes in mappings that start on a multiple of CHUNK_SIZE, so that the chunk of a block is
 * found by cutting the low bits of its address. A chunk holds blocks of one size class; a block
 * above the largest class has a mapping of its own, laid out the same:
 *
 *	0               HEADER_SIZE                                    mapped
 *	┌───────────────┬───────┬───────┬─ ─ ─┬───────┬───────────────┐
 *	│ struct chunk  │ block │ block │     │ block │ (rest)        │
 *	└───────────────┴───────┴───────┴─ ─ ─┴───────┴───────────────┘
 *
 * Every mapping is locked (each page from its first use on), left out of core files and wiped on
 * fork. A free block is always all zero: fresh mappings are, and secret_mfree wipes the whole block.
 *
 * After fork the child sees zeroed chunks, unlocked. It tells them by their missing magic number,
 * leaves them alone and begins with chunks of its own.
 */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/secret.h"

/* Locked memory is scarce (8 MiB by default): a chunk of every class is 512 KiB. */
#define CHUNK_SIZE ((size_t)64 * 1024)
#define HEADER_SIZE ((size_t)512)
#define BLOCK_MIN ((size_t)32)
#define BLOCK_MAX ((size_t)4096)
#define CLASSES 8 /* 32, 64, … 4096 */
#define WORD_BITS 64
#define WORDS (CHUNK_SIZE / BLOCK_MIN / WORD_BITS)
#define CHUNK_MAGIC UINT64_C(0x5265666f63796e69)

struct chunk {
	uint64_t magic;      /* 0: inherited over a fork */
	size_t mapped;       /* bytes of the mapping */
	size_t block;        /* bytes of one block */
	unsigned int class;  /* index into arena.partial; CLASSES: a mapping for one block */
	unsigned int blocks; /* how many there are */
	unsigned int used;
	struct chunk *previous, *next; /* in arena.partial, while a block is free */
	uint64_t taken[WORDS];         /* one bit for each block */
};
_Static_assert(sizeof(struct chunk) <= HEADER_SIZE, "the header must fit");
_Static_assert(BLOCK_MIN << (CLASSES - 1) == BLOCK_MAX, "classes are the powers of two between");

/*
 * Global, since malloc-shaped functions that libraries call (json_set_alloc_funcs) get no pointer
 * of ours. Holds the chunks that have a free block; full ones are found through their blocks alone.
 */
static struct {
	struct chunk *partial[CLASSES];
} arena;

/* A locked mapping of whole pages on a multiple of CHUNK_SIZE, or NULL with errno. */
static struct chunk *map_locked(size_t size)
{
	size_t reserved = size + CHUNK_SIZE, before;
	unsigned char *start, *aligned;

	start = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	before = (CHUNK_SIZE - (uintptr_t)start % CHUNK_SIZE) % CHUNK_SIZE;
	aligned = start + before;
	if ((before > 0 && munmap(start, before) < 0) ||
	    munmap(aligned + size, reserved - before - size) < 0) {
		int saved = errno;

		/* Too many mappings to cut one: give back whatever of it is still there. */
		munmap(start, reserved);
		errno = saved;
		return NULL;
	}
	/* On fault: all of it counts against the limit at once, a page exists once it is used. */
	if (madvise(aligned, size, MADV_DONTDUMP) < 0 ||
	    madvise(aligned, size, MADV_WIPEONFORK) < 0 ||
	    mlock2(aligned, size, MLOCK_ONFAULT) < 0) {
		munmap(aligned, size);
		errno = ENOMEM;
		return NULL;
	}
	return (struct chunk *)(void *)aligned;
}

static void unmap(struct chunk *c)
{
	size_t mapped = c->mapped;

	sodium_memzero(c, HEADER_SIZE);
	munmap(c, mapped);
}

static void link_partial(struct chunk *c)
{
	c->previous = NULL;
	c->next = arena.partial[c->class];
	if (c->next)
		c->next->previous = c;
	arena.partial[c->class] = c;
}

static void unlink_partial(struct chunk *c)
{
	if (c->previous)
		c->previous->next = c->next;
	else
		arena.partial[c->class] = c->next;
	if (c->next)
		c->next->previous = c->previous;
	c->previous = c->next = NULL;
}

static struct chunk *new_chunk(size_t mapped, size_t block, unsigned int class)
{
	struct chunk *c = map_locked(mapped);

	if (!c)
		return NULL;
	c->magic = CHUNK_MAGIC;
	c->mapped = mapped;
	c->block = block;
	c->class = class;
	c->blocks = (unsigned int)((mapped - HEADER_SIZE) / block);
	return c;
}

static struct chunk *chunk_of(void *block)
{
	return (struct chunk *)(void *)((uintptr_t)block & ~(CHUNK_SIZE - 1));
}

/* The first free block of a chunk that has one. */
static void *take_block(struct chunk *c)
{
	size_t word = 0, bit;

	assert(c->used < c->blocks);
	while (c->taken[word] == UINT64_MAX)
		word++;
	bit = (size_t)__builtin_ctzll(~c->taken[word]);
	c->taken[word] |= UINT64_C(1) << bit;
	c->used++;
	return (unsigned char *)c + HEADER_SIZE + (word * WORD_BITS + bit) * c->block;
}

static void *malloc_large(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), mapped;
	struct chunk *c;

	if (size > SIZE_MAX / 2) {
		errno = ENOMEM;
		return NULL;
	}
	mapped = (size + HEADER_SIZE + page - 1) / page * page;
	c = new_chunk(mapped, mapped - HEADER_SIZE, CLASSES);
	return c ? take_block(c) : NULL;
}

/* A chunk of the class with a free block, or NULL. */
static struct chunk *find_partial(unsigned int class)
{
	struct chunk *c = arena.partial[class];

	/* All that is linked is as old as its head: chunks of before a fork never mix with later
	 * ones. */
	if (c && c->magic != CHUNK_MAGIC)
		c = arena.partial[class] = NULL;
	return c;
}

void *secret_malloc(size_t size)
{
	unsigned int class = 0;
	struct chunk *c;
	void *block;

	if (size > BLOCK_MAX)
		return malloc_large(size);
	while (BLOCK_MIN << class < size)
		class ++;
	c = find_partial(class);
	if (!c) {
		c = new_chunk(CHUNK_SIZE, BLOCK_MIN << class, class);
		if (!c)
			return NULL;
		link_partial(c);
	}
	block = take_block(c);
	if (c->used == c->blocks)
		unlink_partial(c);
	return block;
}

void secret_mfree(void *p)
{
	struct chunk *c;
	size_t offset, index;

	if (!p)
		return;
	c = chunk_of(p);
	if (c->magic == 0)
		return; /* the parent's, wiped by fork */
	assert(c->magic == CHUNK_MAGIC);
	offset = (size_t)((unsigned char *)p - (unsigned char *)c) - HEADER_SIZE;
	index = offset / c->block;
	assert(offset % c->block == 0 && index < c->blocks);
	assert(c->taken[index / WORD_BITS] & UINT64_C(1) << index % WORD_BITS);

	sodium_memzero(p, c->block);
	if (c->class == CLASSES) {
		unmap(c);
		return;
	}
	c->taken[index / WORD_BITS] &= ~(UINT64_C(1) << index % WORD_BITS);
	if (c->used-- == c->blocks) {
		find_partial(c->class);
		link_partial(c);
	}
	/* One empty chunk is kept, so that a lone value that comes and goes costs no system calls.
	 */
	if (c->used == 0 && (c->next || c->previous)) {
		unlink_partial(c);
		unmap(c);
	}
}
