/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels.h - the labels of one version, owned. Pure.
 */
#pragma once

#include <stddef.h>

#include "vault/vault.h"

/* A copy of `n` labels in one block; *ret is NULL for none. 0 or -ENOMEM. */
int labels_copy(const struct vault_label *label, size_t n, const struct vault_label **ret);

void labels_free(const struct vault_label *label); /* NULL is fine */
