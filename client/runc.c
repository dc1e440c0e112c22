/* SPDX-License-Identifier: Apache-2.0 */
#include "runc.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "coffer/err.h"
#include "host_root.h"
#include "runc_args.h"
#include "runc_bundle.h"
#include "runc_find.h"
#include "runc_log.h"

/* What an engine takes for a failure of its runtime, rather than of the container. */
#define EXIT_REFUSED 1

static const char *choose(const char *option, const char *variable)
{
	const char *value = option ? option : getenv(variable);

	return value && *value ? value : NULL;
}

static int add_hook(const struct runc_args *a, struct err *e)
{
	struct runc_hook hook = { .runtime_dir = choose(a->runtime_dir, "COFFER_RUNTIME_DIR") };
	char path[PATH_MAX];
	int r;

	if (a->config)
		return err_set(e, -EINVAL,
		               "it cannot put the hook into a configuration that --config names; "
		               "have it as config.json in the bundle");
	if (hook.runtime_dir && hook.runtime_dir[0] != '/')
		return err_set(
			e, -EINVAL,
			"the broker's folder (--coffer-runtime-dir, COFFER_RUNTIME_DIR) must "
			"be an absolute path");
	if (hook.runtime_dir && strcmp(hook.runtime_dir, CLIENT_RUNTIME_DIR) == 0)
		hook.runtime_dir = NULL;
	r = runc_find_hook(path, e);
	if (r < 0)
		return r;
	hook.path = path;
	return runc_bundle_add_hook(a->bundle ? a->bundle : ".", &hook, e);
}

int runc_run(int argc, char **argv)
{
	struct runc_args a = { 0 };
	struct err e = { "" };
	char runtime[PATH_MAX];
	int r;

	if (argc < 1) /* then there is no room for the runtime's name */
		return EXIT_REFUSED;
	r = runc_args_parse(argc, argv, &a, &e);
	if (r == 0)
		r = runc_find_runtime(choose(a.runtime, "COFFER_RUNTIME"), runtime, &e);
	if (r == 0 && runc_args_creates(&a) && host_root())
		r = add_hook(&a, &e);
	if (r == 0) {
		/* argv ends with NULL, and what was ours leaves room for the name. */
		argv[a.taken - 1] = runtime;
		execv(runtime, argv + a.taken - 1);
		err_errno(&e, -errno, "cannot run the runtime %.300s", runtime);
	}
	runc_log_error(a.log, a.log_format, e.text);
	return EXIT_REFUSED;
}
