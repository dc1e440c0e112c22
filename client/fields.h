/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields.h - between options, JSON and text: small steps that several verbs share. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "coffer/err.h"
#include "options.h"

#define FIELD_NUMBER_MAX 24 /* digits of an int64_t, its sign and a NUL */

/* Text of a field, "" where it is absent or no text. Borrowed. */
const char *field_text(const json_t *object, const char *key);
/* Decimal text of a whole number, "" where it is absent. Returns `buffer`. */
const char *field_number(const json_t *object, const char *key, char buffer[FIELD_NUMBER_MAX]);
bool field_true(const json_t *object, const char *key);

/* "k=v k2=v2" of an object of texts; the caller frees. NULL without memory. */
char *field_labels(const json_t *object, const char *key);

/*
 * The --label options as an object: 0 with *ret (NULL if none was given; the caller decrefs),
 * CLIENT_USAGE for one without '=' or a key given twice.
 */
int labels_from_options(const struct options *o, json_t **ret, struct err *e);

/* Set a field if the text is not NULL (the number if `given`). 0 or -ENOMEM. */
int set_text(json_t *object, const char *key, const char *text, struct err *e);
int set_number(json_t *object, const char *key, bool given, int64_t number, struct err *e);
int set_true(json_t *object, const char *key, bool given, struct err *e);

/* Set a field to a new reference, which is taken over (NULL: no memory). */
int set_new(json_t *object, const char *key, json_t *value, struct err *e);
