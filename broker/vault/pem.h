/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pem.h - does a value hold a private key, or a certificate? Pure.
 *
 * Looks for the first line of a PEM block (RFC 7468, section 3) whose label ends in PRIVATE KEY:
 * PKCS#8, also encrypted, PKCS#1, SEC 1, OpenSSH; and PGP's PRIVATE KEY BLOCK. It may stand
 * anywhere, since keys also come inside JSON and YAML, behind certificates, or indented. A file so
 * marked defaults to mode 0400. Certificates (blocks whose label ends in CERTIFICATE, or the head of
 * one in DER, X.509 version 3) are only recognised, so that the client knows what is worth asking
 * for: no byte behind the head is looked at here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool pem_has_private_key(const void *bytes, size_t len);
bool pem_has_certificate(const void *bytes, size_t len);
