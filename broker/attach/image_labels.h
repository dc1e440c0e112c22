/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_labels.h - the labels in an image's configuration. Pure.
 *
 * An engine keeps the bytes that an image came with, and reads them with Go's encoding/json, which takes
 * a key whatever its case ("LABELS", and by Unicode's folding "Label" with a long s, U+017F). Who makes an
 * image must not make labels that the engine sees and we do not: a key that could be taken for one of
 * those that count, and is not spelt like it, is an error.
 */
#pragma once

#include <jansson.h>

#include "coffer/err.h"

/* 0, or -EINVAL with a sentence: a key of `object` could be taken for `key`. */
int image_spelt(const json_t *object, const char *key, struct err *e);

/* Borrowed; NULL if there are none. -EINVAL with a sentence. */
int image_labels(const json_t *image, json_t **ret, struct err *e);
