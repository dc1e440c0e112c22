/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "policy/policy.h"

int policy_map_id(const struct id_map *map, size_t lines, uint32_t inside, uint32_t *ret)
{
	for (size_t i = 0; i < lines; i++) {
		uint32_t offset = inside - map[i].inside;
		uint64_t outside = (uint64_t)map[i].outside + offset;

		if (inside < map[i].inside || offset >= map[i].count)
			continue;
		/* The highest number is (uid_t)-1, which means "nobody in particular" to the
		 * kernel. */
		if (outside >= UINT32_MAX)
			return -ERANGE;
		*ret = (uint32_t)outside;
		return 0;
	}
	return -ERANGE;
}
