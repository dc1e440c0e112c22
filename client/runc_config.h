/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc_config.h - coffer-hook put into a bundle's config.json. Pure.
 *
 * The hook is inserted as text, once below hooks.createRuntime and once below hooks.poststop, each
 * made where it is missing; every other byte stays what it was (limits beyond 2^63 and numbers
 * with a fraction among them, which a JSON library would write differently). Both lists go on with
 * what they had, in front of ours.
 */
#pragma once

#include <stddef.h>

#include "coffer/err.h"

#define RUNC_CONFIG_MAX (4 * 1024 * 1024) /* the broker reads no larger one (attach/oci.h) */

struct runc_hook {
	const char *path;        /* absolute */
	const char *runtime_dir; /* NULL: the default one */
};

/*
 * 1: *ret is the new text, NUL behind it, the caller frees. 0: the hook is there already (one of the
 * same file name, for the same runtime folder) and *ret is untouched. -EINVAL: no configuration that
 * we take, with a sentence; -EFBIG; -ENOMEM.
 */
int runc_config_add_hook(const char *text, size_t len, const struct runc_hook *hook, char **ret,
                         size_t *ret_len, struct err *e);
