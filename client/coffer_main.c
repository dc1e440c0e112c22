/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "coffer/secret.h"
#include "crypto_memory.h"

int main(int argc, char **argv)
{
	struct err e = { "" };

	if (secret_process_init(&e) < 0) {
		fprintf(stderr, "coffer: %s\n", e.text);
		return EXIT_FAILURE;
	}
	if (crypto_memory_use() < 0) {
		fputs("coffer: libcrypto has memory of its own already\n", stderr);
		return EXIT_FAILURE;
	}
	return client_run(argc, argv);
}
