/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - what --image may say: a digest ("sha256:" and 64 hex digits, or "NAME@sha256:…") or any
 * other text, a tag. Pure.
 */
#pragma once

#include "coffer/err.h"

/* The digest inside `image` ("sha256:…"), or NULL: it is a tag. */
const char *image_digest(const char *image);

/* -EINVAL with a sentence for what looks like a digest and is none. */
int image_check(const char *image, struct err *e);
