/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - secret bytes out of a call: base64 in a field, or a memfd beside the message.
 *
 * Of descriptors only memory files are read: a pipe, a device or a file on a network could hold the
 * loop for ever.
 */
#pragma once

#include "coffer/secret.h"
#include "server/server.h"

/* From `object`'s field `key` (base64) or its field "fd"; exactly one must be there. -EINVAL,
 * -EFBIG above `max`. */
int value_read(struct call *call, const json_t *object, const char *key, size_t max,
               struct secret **ret, struct err *e);
