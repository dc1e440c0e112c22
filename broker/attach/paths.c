/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/paths.h"

#include <string.h>

#define COMPONENT_MAX 255 /* NAME_MAX of every file system */

bool paths_below_ok(const char *path)
{
	if (strlen(path) >= ATTACH_TEXT_MAX)
		return false;
	for (const char *at = path;; at++) {
		size_t len = strcspn(at, "/");

		if (len == 0 || len > COMPONENT_MAX)
			return false;
		if (at[0] == '.' && (len == 1 || (len == 2 && at[1] == '.')))
			return false;
		at += len;
		if (!*at)
			return true;
	}
}

bool paths_folder_ok(const char *path)
{
	return path[0] == '/' && paths_below_ok(path + 1);
}

const char *paths_split(const char *path, char *ret_folder)
{
	const char *slash = strrchr(path, '/');

	if (!slash) {
		memcpy(ret_folder, ".", 2);
		return path;
	}
	memcpy(ret_folder, path, (size_t)(slash - path));
	ret_folder[slash - path] = '\0';
	return slash + 1;
}
