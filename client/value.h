/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - a value out of the broker: in a sealed memfd beside the message, then in a secret. Each
 * is recorded in the audit log like any other reading by an operator.
 */
#pragma once

#include "client.h"
#include "coffer/secret.h"

/* `version` 0: the current one. The caller frees *ret. */
int value_get(const struct client *c, const char *name, int64_t version, struct secret **ret,
              struct err *e);
