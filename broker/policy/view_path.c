/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/view_path.h"

char *view_path(const struct grant *g, const char *name)
{
	size_t prefix = strlen(g->name), base;
	const char *rest, *folder;
	char *path;

	assert(strncmp(name, g->name, prefix) == 0);
	if (g->name[prefix - 1] != '/')
		return strdup(g->path ? g->path : name_last_segment(name));
	rest = name + prefix;
	folder = g->path;
	base = folder ? strlen(folder) : prefix - 1;
	if (!folder) {
		const char *slash = memrchr(g->name, '/', prefix - 1);

		folder = slash ? slash + 1 : g->name;
		base = (size_t)(g->name + prefix - 1 - folder);
	}
	path = malloc(base + 1 + strlen(rest) + 1);
	if (!path)
		return NULL;
	memcpy(path, folder, base);
	path[base] = '/';
	strcpy(path + base + 1, rest);
	return path;
}
