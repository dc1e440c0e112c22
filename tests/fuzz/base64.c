/* SPDX-License-Identifier: Apache-2.0 */
/* secret_from_base64: a value has one text. Every input is also a value to be written. */
#include <errno.h>

#include "coffer/secret.h"
#include "fuzz.h"

static void from_text(const char *text, size_t len)
{
	struct secret *s = NULL, *again = NULL;
	int r = secret_from_base64(text, len, &s);

	if (r < 0) {
		MUST(r == -EINVAL && !s);
		return;
	}
	MUST(len % 4 == 0 && s->len <= len / 4 * 3 && s->bytes[s->len] == '\0');
	MUST(secret_to_base64(s, &again) == 0);
	MUST(again->len == len && memcmp(again->bytes, text, len) == 0);
	secret_free(again);
	secret_free(s);
}

static void from_bytes(const uint8_t *data, size_t size)
{
	struct secret *s = secret_copy(data, size), *text = NULL, *again = NULL;

	MUST(s && secret_to_base64(s, &text) == 0);
	MUST(fuzz_printable((const char *)text->bytes));
	MUST(secret_from_base64((const char *)text->bytes, text->len, &again) == 0);
	MUST(again->len == size && memcmp(again->bytes, data, size) == 0);
	secret_free(again);
	secret_free(text);
	secret_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	from_text((const char *)data, size);
	from_bytes(data, size);
	return 0;
}
