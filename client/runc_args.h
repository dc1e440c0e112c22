/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc_args.h - a command line of runc, as far as coffer-runc needs it. Pure.
 *
 *	coffer-runc [--coffer-runtime-dir DIR] [--coffer-runtime PATH]
 *	            [global option]… COMMAND [option | word]…
 *
 * Our own options stand in front of everything else. runc's are read as Go's flag package reads
 * them: one dash or two, `--name VALUE` or `--name=VALUE`, the last one counts, `--` ends them,
 * and those of a command may stand behind its words. crun's are among them. An option that is not
 * known here is one without a value, unless that stands behind a '='.
 */
#pragma once

#include <stdbool.h>

#include "coffer/err.h"

/* Borrowed from argv; NULL where it was not given. */
struct runc_args {
	const char *runtime_dir, *runtime; /* ours */
	int taken;                         /* words of argv that were ours, argv[0] among them */
	const char *log, *log_format;
	const char *command;
	const char *bundle; /* of create and run: --bundle */
	const char *config; /* of create and run: --config, which crun has */
};

/* -EINVAL with a sentence: one of ours lacks its value. */
int runc_args_parse(int argc, char *const *argv, struct runc_args *ret, struct err *e);

/* Whether it makes a container: then the hook has to be in its bundle. */
bool runc_args_creates(const struct runc_args *a);
