/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_store.h - a backend in memory, for tests that meddle with records thousands of times. It
 * keeps the contract of store.h and lets the test at its records.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vault/store.h"

#define MEMORY_RECORDS_MAX 64
#define MEMORY_VALUE_MAX 2048

struct memory_record {
	unsigned char key[STORE_KEY_LEN];
	unsigned char bytes[MEMORY_VALUE_MAX];
	size_t len;
};

struct memory_image {
	struct memory_record record[MEMORY_RECORDS_MAX];
	size_t n;
};

struct memory_store {
	struct store base;
	struct memory_image *image; /* the test's own */
	struct memory_image before; /* while a transaction is under way */
};

static inline void memory_clear(struct memory_image *image)
{
	image->n = 0;
}

static inline void memory_set(struct memory_record *record, const void *bytes, size_t len)
{
	ck_assert(record && len < MEMORY_VALUE_MAX); /* less: tests put a NUL behind */
	memmove(record->bytes, bytes, len);
	record->len = len;
}

static inline void memory_copy(struct memory_image *to, const struct memory_image *from)
{
	memcpy(to->record, from->record, from->n * sizeof(from->record[0]));
	to->n = from->n;
}

static inline struct memory_record *memory_find(struct memory_image *image,
                                                const unsigned char *key)
{
	for (size_t i = 0; i < image->n; i++)
		if (memcmp(image->record[i].key, key, STORE_KEY_LEN) == 0)
			return &image->record[i];
	return NULL;
}

static inline void memory_delete(struct memory_image *image, struct memory_record *record)
{
	struct memory_record *last = &image->record[--image->n];

	if (record != last)
		*record = *last;
}

static inline struct memory_record *memory_add(struct memory_image *image, const unsigned char *key,
                                               const void *bytes, size_t len)
{
	struct memory_record *record = &image->record[image->n];

	ck_assert_uint_lt(image->n, MEMORY_RECORDS_MAX);
	memcpy(record->key, key, STORE_KEY_LEN);
	memory_set(record, bytes, len);
	image->n++;
	return record;
}

static struct memory_store *memory_of(struct store *s)
{
	return (struct memory_store *)s;
}

static int memory_begin(struct store *s, struct err *e)
{
	memory_copy(&memory_of(s)->before, memory_of(s)->image);
	return 0;
}

static int memory_commit(struct store *s, struct err *e)
{
	memory_clear(&memory_of(s)->before);
	return 0;
}

static void memory_rollback(struct store *s)
{
	memory_copy(memory_of(s)->image, &memory_of(s)->before);
	memory_clear(&memory_of(s)->before);
}

static int memory_get(struct store *s, const unsigned char key[STORE_KEY_LEN], void **ret,
                      size_t *ret_len, struct err *e)
{
	struct memory_record *record = memory_find(memory_of(s)->image, key);

	if (!record)
		return 0;
	*ret = malloc(record->len + 1);
	ck_assert_ptr_nonnull(*ret);
	memcpy(*ret, record->bytes, record->len);
	*ret_len = record->len;
	return 1;
}

static int memory_put(struct store *s, const unsigned char key[STORE_KEY_LEN],
                      struct store_bytes value, const struct store_bytes *expected, struct err *e)
{
	struct memory_record *record = memory_find(memory_of(s)->image, key);

	if (expected && !expected->bytes != !record)
		return err_set(e, -EAGAIN, "changed meanwhile");
	if (expected && record &&
	    (record->len != expected->len ||
	     memcmp(record->bytes, expected->bytes, record->len) != 0))
		return err_set(e, -EAGAIN, "changed meanwhile");
	if (record)
		memory_set(record, value.bytes, value.len);
	else
		memory_add(memory_of(s)->image, key, value.bytes, value.len);
	return 0;
}

static int memory_remove(struct store *s, const unsigned char key[STORE_KEY_LEN], struct err *e)
{
	struct memory_record *record = memory_find(memory_of(s)->image, key);

	if (record)
		memory_delete(memory_of(s)->image, record);
	return 0;
}

static int memory_scan(struct store *s, enum store_class class, store_visit visit, void *arg,
                       struct err *e)
{
	struct memory_image *image = memory_of(s)->image;
	int r = 0;

	for (size_t i = 0; r == 0 && i < image->n; i++)
		if (image->record[i].key[0] == class)
			r = visit(arg, image->record[i].key,
			          (struct store_bytes){ image->record[i].bytes,
			                                image->record[i].len });
	return r;
}

static int memory_watch(struct store *s)
{
	return 0;
}

static void memory_close(struct store *s)
{
	memory_clear(&memory_of(s)->before);
}

static const struct store_backend memory_backend = {
	.begin = memory_begin,
	.commit = memory_commit,
	.rollback = memory_rollback,
	.get = memory_get,
	.put = memory_put,
	.remove = memory_remove,
	.scan = memory_scan,
	.watch = memory_watch,
	.close = memory_close,
};

/* One at a time. */
static inline struct store *memory_open(struct memory_image *image)
{
	static struct memory_store only;

	only = (struct memory_store){ .base.backend = &memory_backend, .image = image };
	return &only.base;
}
