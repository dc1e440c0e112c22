/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pem.h - does a value hold a private key? Pure.
 *
 * Looks for the first line of a PEM block (RFC 7468, section 3) whose label ends in PRIVATE KEY:
 * PKCS#8, also encrypted, PKCS#1, SEC 1, OpenSSH; and PGP's PRIVATE KEY BLOCK. It may stand
 * anywhere, since keys also come inside JSON and YAML, behind certificates, or indented. A file so
 * marked defaults to mode 0400.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool pem_has_private_key(const void *bytes, size_t len);
