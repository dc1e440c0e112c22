/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint.h - what an operator probably did not mean, seen in a value before it is stored. Pure but
 * for libcrypto's parsing. No sentence holds a byte of a value but a certificate's subject and
 * times, which are public.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cert.h"
#include "coffer/secret.h"

/* Of the bytes: nothing at all, a line feed behind a single line, PEM from another world. */
void lint_bytes(const struct secret *value, cert_say say, void *arg);

/*
 * Values of one transaction. Each is looked at when it is added, and forgotten but for what was
 * parsed of its certificates and keys; lint_pairs then holds each certificate against the key
 * beside it. Names are borrowed.
 */
struct lint;
struct lint *lint_new(void); /* NULL without memory */
void lint_free(struct lint *l);
void lint_free_ptr(struct lint **l);

/* `say` is called with the name in front: "tls/cert: the certificate ...". */
int lint_add(struct lint *l, const char *name, const struct secret *value, int64_t now_s,
             cert_say say, void *arg); /* 0 or -ENOMEM */
void lint_pairs(const struct lint *l, cert_say say, void *arg);

/* Those of them that hold a certificate or a private key. */
size_t lint_count(const struct lint *l);
const char *lint_name(const struct lint *l, size_t i);
const struct cert_file *lint_file(const struct lint *l, size_t i);

/* "NAME: the private key in KEY does not fit this certificate" */
void lint_say_unfit(const char *certificate, const char *key, cert_say say, void *arg);
