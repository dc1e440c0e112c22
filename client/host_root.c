/* SPDX-License-Identifier: Apache-2.0 */
#include "host_root.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"

#define UID_MAP_MAX 4096

/*
 * Whether uids here are the host's own: the initial user namespace has one line over all of them.
 */
static bool in_host_user_namespace(void)
{
	SCOPED(free_ptr) char *text = NULL;
	unsigned long inside = 0, outside = 0, count = 0;
	size_t len = 0;

	if (io_read_file(AT_FDCWD, "/proc/self/uid_map", UID_MAP_MAX, &text, &len) < 0)
		return false;
	return sscanf(text, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 &&
	       outside == 0 && count == UINT32_MAX;
}

bool host_root(void)
{
	return geteuid() == 0 && in_host_user_namespace();
}
