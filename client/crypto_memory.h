/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto_memory.h - libcrypto over the memory where secrets live: locked, not dumped, wiped when it
 * is given back (secret.h).
 *
 * What it reads of a private key (decoded text, numbers, key objects) lies there and nowhere else
 * of its heap. What stays open: its stack frames and registers, which it wipes where its authors
 * saw to it.
 */
#pragma once

/* In main(), before anything of libcrypto is called. -EBUSY: it has memory of its own already. */
int crypto_memory_use(void);

/*
 * Before its first use: it reads no openssl.cnf, which could load modules into a process that
 * handles values. Most commands never come here, and lock no memory for it. 0 or -ENOMEM.
 */
int crypto_memory_begin(void);
