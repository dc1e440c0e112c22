/* SPDX-License-Identifier: Apache-2.0 */
/* info.h - what `coffer info` finds out: what the broker knows of a name, and what its value says. */
#pragma once

#include "cert.h"
#include "client.h"

/* The answer of Info: {"secret", "versions"}. The caller decrefs *ret. */
int info_fetch(const struct client *c, const char *name, json_t **ret, struct err *e);

/*
 * What the value of `name` says as a certificate, which is fetched for it: {"certificates", "chain",
 * "key", "warnings"} as docs/interfaces.md has them; the caller decrefs *ret. `key`: the name of the
 * private key that it is held against, which is fetched too; NULL: the one in it, or beside it
 * (cert_pair.h). -ENODATA with a sentence: no certificate is in it.
 */
int info_certificate(const struct client *c, const char *name, const char *key, json_t **ret,
                     struct err *e);

/*
 * The names below the folder of `name` that have a flag, "private_key" or "certificate", and are not
 * expired: a block with room for one more, which the caller frees, of names borrowed from
 * *ret_answer, which it decrefs.
 */
int info_beside(const struct client *c, const char *name, const char *flag, json_t **ret_answer,
                const char ***ret, size_t *ret_count, struct err *e);

/* The value of a name, read and taken apart; the caller frees *ret. */
int info_read(const struct client *c, const char *name, struct cert_file **ret, struct err *e);
