/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto_memory.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include "coffer/secret.h"

/* In front of each block: its size, for what realloc copies. */
union head {
	size_t size;
	alignas(16) unsigned char align[16];
};

static void *take(size_t size, const char *file, int line)
{
	union head *head = NULL;

	(void)file;
	(void)line;
	if (size == 0 || size > SIZE_MAX - sizeof(*head))
		return NULL;
	head = secret_malloc(sizeof(*head) + size);
	if (!head)
		return NULL;
	head->size = size;
	return head + 1;
}

static void give_back(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	if (block)
		secret_mfree((union head *)block - 1);
}

static void *resize(void *block, size_t size, const char *file, int line)
{
	size_t before = block ? ((union head *)block - 1)->size : 0;
	void *made = NULL;

	if (size == 0) {
		give_back(block, file, line);
		return NULL;
	}
	made = take(size, file, line);
	if (!made)
		return NULL; /* the old block stays, as with realloc(3) */
	if (block)
		memcpy(made, block, before < size ? before : size);
	give_back(block, file, line);
	return made;
}

int crypto_memory_use(void)
{
	return CRYPTO_set_mem_functions(take, resize, give_back) ? 0 : -EBUSY;
}

int crypto_memory_begin(void)
{
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) ? 0 : -ENOMEM;
}
