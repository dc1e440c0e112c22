/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_json.h - what the vault knows of a secret, as the interface's types Secret and Version.
 * Pure; no values.
 */
#pragma once

#include <jansson.h>

#include "vault/vault.h"

/* NULL without memory. `now_ns` decides "expired". */
json_t *secret_json_current(const struct vault_secret *secret, int64_t now_ns);
json_t *secret_json_version(const struct vault_version *version);
