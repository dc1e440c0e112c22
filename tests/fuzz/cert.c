/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert_file_read, _describe, _warn, and lint_bytes: whatever a value holds, what is said of it is
 * printable ASCII, bounded, and the same each time; a key fits itself or cannot be compared.
 */
#include <jansson.h>

#include "cert.h"
#include "coffer/json.h"
#include "crypto_memory.h"
#include "fuzz.h"
#include "lint.h"

#define NOW_S INT64_C(1800000000)

static void said(void *arg, const char *sentence)
{
	size_t *count = arg;

	MUST(*sentence && fuzz_printable(sentence) && strlen(sentence) < CERT_TEXT_MAX);
	++*count;
}

static void check_texts(const json_t *list, size_t count)
{
	char *text = json_text(list);

	MUST(text && fuzz_printable(text));
	MUST(json_array_size(list) == count);
	json_text_free(text);
}

/* Once, before libcrypto is called. Sanitizers watch the ordinary heap, and know nothing of ours. */
static void begin(void)
{
#ifndef COFFER_SANITIZE
	static bool begun;

	MUST(begun || crypto_memory_use() == 0);
	begun = true;
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cert_file *f = NULL;
	struct secret *value = secret_copy(data, size);
	json_t *list = NULL;
	size_t warnings = 0;

	begin();
	MUST(value && cert_file_read(value->bytes, value->len, &f) == 0);
	MUST(cert_file_count(f) <= CERT_BLOCKS_MAX);
	list = cert_file_describe(f, NOW_S);
	MUST(list);
	check_texts(list, cert_file_count(f));
	MUST(*cert_chain_text(cert_file_chain(f)));
	MUST(cert_file_key(f) == CERT_KEY_READ || cert_file_fits(f, f) < 0);
	cert_file_warn(f, NOW_S, said, &warnings);
	MUST(warnings <= 8);
	lint_bytes(value, said, &warnings);
	json_decref(list);
	cert_file_free(f);
	secret_free(value);
	return 0;
}
