/* SPDX-License-Identifier: Apache-2.0 */
/*
 * which.h - one container, by its engine's name or id, or by the pid of one of its processes. Pure.
 */
#pragma once

#include <jansson.h>

#include "coffer/err.h"
#include "options.h"

/*
 * {"container": word} or {"pid": --pid}: exactly one of them must be there, else CLIENT_USAGE.
 * The caller decrefs *ret.
 */
int which_container(const struct options *o, json_t **ret, struct err *e);
