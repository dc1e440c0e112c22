/* SPDX-License-Identifier: Apache-2.0 */
/* info.h - what `coffer info` finds out: what the broker knows of a name, and what its value says. */
#pragma once

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
