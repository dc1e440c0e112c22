/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc_find.h - the real runtime, and the hook that was installed with us.
 */
#pragma once

#include <limits.h>

#include "coffer/err.h"

/*
 * The program that `wanted` names: a path, or a name that is looked for in PATH; NULL: "runc". In
 * PATH our own program is passed over, whatever it is called there. 0, or -errno with a sentence.
 */
int runc_find_runtime(const char *wanted, char ret[PATH_MAX], struct err *e);

/* `coffer-hook` in the folder that our own program lies in. */
int runc_find_hook(char ret[PATH_MAX], struct err *e);
