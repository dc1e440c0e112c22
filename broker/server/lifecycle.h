/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifecycle.h - what unsealing and sealing mean for the broker as a whole, whoever asks for it.
 */
#pragma once

#include "broker.h"

/*
 * Open the vault, load the grants, sign the audit head, bring every container up to date, take in
 * what waited in RUNTIME/pending. `who` (may be NULL) describes the caller for the record; it is
 * taken over.
 */
int lifecycle_unseal(struct broker *b, uint32_t slot, const struct secret *key,
                     bool accept_rollback, json_t *who, struct err *e);
int lifecycle_init(struct broker *b, struct vault_slot *slot, const struct secret *key, json_t *who,
                   struct err *e);
int lifecycle_seal(struct broker *b, json_t *who, struct err *e);

/* A broker started with --keyfile: reads F and tries every keyfile slot. 0, -ENOENT without F, else
 * as vault_unseal. */
int lifecycle_unseal_keyfile(struct broker *b, const char *path, struct err *e);

/* Before a change: -ENOKEY sealed (or not initialised), -ENOSPC if the audit log cannot take its
 * record. */
int lifecycle_may_change(struct broker *b, struct err *e);
