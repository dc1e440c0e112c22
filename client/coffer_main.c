/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "coffer/secret.h"

int main(int argc, char **argv)
{
	struct err e = { "" };

	if (secret_process_init(&e) < 0) {
		fprintf(stderr, "coffer: %s\n", e.text);
		return EXIT_FAILURE;
	}
	return client_run(argc, argv);
}
