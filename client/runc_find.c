/* SPDX-License-Identifier: Apache-2.0 */
#include "runc_find.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/name.h"

#define SELF "/proc/self/exe"
#define HOOK "coffer-hook"
#define NAME_SHOWN_MAX 200
#define PATH_OTHERWISE "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool is_ourselves(const char *path)
{
	struct stat st, self;

	return stat(path, &st) == 0 && stat(SELF, &self) == 0 && st.st_dev == self.st_dev &&
	       st.st_ino == self.st_ino;
}

/* An empty part of PATH would be the current folder, which is a bundle: passed over. */
static bool search(const char *name, char ret[PATH_MAX])
{
	const char *path = getenv("PATH");
	char found[PATH_MAX];

	if (!path || !*path)
		path = PATH_OTHERWISE;
	while (*path) {
		size_t len = strcspn(path, ":");
		int n = snprintf(found, sizeof(found), "%.*s/%s", (int)len, path, name);

		if (path[0] == '/' && n > 0 && (size_t)n < sizeof(found) && is_program(found) &&
		    !is_ourselves(found)) {
			memcpy(ret, found, (size_t)n + 1);
			return true;
		}
		path += len;
		path += *path == ':';
	}
	return false;
}

int runc_find_runtime(const char *wanted, char ret[PATH_MAX], struct err *e)
{
	char shown[NAME_SHOWN_MAX];

	if (!wanted)
		wanted = "runc";
	name_escape(wanted, strlen(wanted), shown, sizeof(shown));
	if (!strchr(wanted, '/')) {
		if (search(wanted, ret))
			return 0;
		return err_set(
			e, -ENOENT,
			"there is no runtime %s in PATH; install it, or name another one with "
			"--coffer-runtime PATH or COFFER_RUNTIME",
			shown);
	}
	if (strlen(wanted) >= PATH_MAX || !is_program(wanted))
		return err_set(e, -ENOENT,
		               "the runtime %s, which --coffer-runtime or COFFER_RUNTIME names, is "
		               "not there or no program",
		               shown);
	if (is_ourselves(wanted))
		return err_set(e, -ELOOP,
		               "the runtime %s is coffer-runc itself; name the real one with "
		               "--coffer-runtime PATH or COFFER_RUNTIME",
		               shown);
	memcpy(ret, wanted, strlen(wanted) + 1);
	return 0;
}

int runc_find_hook(char ret[PATH_MAX], struct err *e)
{
	char path[PATH_MAX];
	ssize_t n = readlink(SELF, path, sizeof(path) - sizeof(HOOK));
	char *slash;

	if (n < 0)
		return err_errno(e, -errno, "cannot find where coffer-runc lies");
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return err_set(e, -ENOENT, "cannot find where coffer-runc lies");
	memcpy(slash + 1, HOOK, sizeof(HOOK));
	if (!is_program(path))
		return err_set(
			e, -ENOENT,
			"the hook %.300s is not there; install Coffer again, coffer-runc and "
			"coffer-hook in one folder",
			path);
	memcpy(ret, path, strlen(path) + 1);
	return 0;
}
