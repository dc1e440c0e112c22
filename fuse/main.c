/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cofferfs - serves the secrets of one container. Started by cofferd's spawner with a channel to
 * the broker as descriptor 3, and without arguments; of no use otherwise.
 */
#include <stdio.h>
#include <sys/socket.h>

#include "worker.h"

#ifdef COFFER_SANITIZE
/* Its environment is empty, and it may not look at its own threads, as LeakSanitizer wants to at the end. */
const char *__asan_default_options(void);
__attribute__((visibility("default"), no_sanitize("address"))) const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

int main(int argc, char **argv)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (argc > 1 || getsockopt(WORKER_CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		fputs("cofferfs: is started by cofferd, not by hand: see cofferd(8)\n", stderr);
		return 2;
	}
	return worker_main(WORKER_CHANNEL_FD);
}
