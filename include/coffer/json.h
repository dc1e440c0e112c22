/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - jansson with our allocators and strict reading. The only way this project parses JSON.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/err.h"

#define JSON_DEPTH_LIMIT 32 /* our messages nest 5 deep, an OCI configuration 10 */

/* Once in main(): jansson allocates locked, wiped memory (secret.h). For programs that parse
 * values. */
void json_use_secret_memory(void);

/*
 * Parse exactly one value of `len` bytes: duplicate keys, NUL bytes, invalid UTF-8, trailing bytes
 * and nesting deeper than JSON_DEPTH_LIMIT are refused. -EINVAL with a sentence that names the
 * place. Caller decrefs.
 */
int json_parse(const char *text, size_t len, json_t **ret, struct err *e);

/*
 * The same for what other programs wrote: whole numbers of more than 18 digits are taken too, as some
 * real number. They are limits that mean "none" (18446744073709551615), and nobody here reads them.
 */
int json_parse_foreign(const char *text, size_t len, json_t **ret, struct err *e);

/*
 * A field of an object. `required` false: *ret stays untouched and 0 is returned where it is absent
 * or null. Wrong type, out of range: -EINVAL with a sentence that names the field. Strings are
 * borrowed.
 */
int json_get_string(const json_t *object, const char *key, bool required, const char **ret,
                    struct err *e);
int json_get_int(const json_t *object, const char *key, bool required, int64_t min, int64_t max,
                 int64_t *ret, struct err *e);
int json_get_bool(const json_t *object, const char *key, bool required, bool *ret, struct err *e);
int json_get_array(const json_t *object, const char *key, bool required, size_t max, json_t **ret,
                   struct err *e);
int json_get_object(const json_t *object, const char *key, bool required, json_t **ret,
                    struct err *e);

/* -EINVAL naming the first key of `object` that is not in the NULL-terminated list: a typo is an
 * error. */
int json_only_keys(const json_t *object, const char *const *known, struct err *e);

/* Compact text, keys in insertion order, one line; caller frees with json_text_free. NULL without
 * memory. */
char *json_text(const json_t *value);
void json_text_free(char *text);

static inline void json_ptr(json_t **value)
{
	json_decref(*value);
	*value = NULL;
}

static inline void json_text_ptr(char **text)
{
	json_text_free(*text);
	*text = NULL;
}
