/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert_pair.h - which private key belongs beside a certificate, going by names alone. Pure.
 *
 * Both lie in one folder. What their last segments say beside "cert", "key", "crt", "pem" and their
 * like must be the same: tls.crt and tls.key, web-cert.pem and web-key.pem, fullchain.pem and
 * privkey.pem. A certificate whose name says nothing else (cert.pem) also goes with the only key of
 * its folder.
 */
#pragma once

#include <stddef.h>

#define CERT_PAIR_NONE (-1)
#define CERT_PAIR_SEVERAL (-2)

/* Index into `keys` (names of values with a private key; others of other folders may be there). */
int cert_pair_choose(const char *certificate, const char *const *keys, size_t count);

/* The folder of a name with its '/' ("tls/"), or "". Returns `folder`. */
const char *cert_pair_folder(const char *name, char *folder, size_t size);
