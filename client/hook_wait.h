/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_wait.h - which containers must not start without their secrets. Pure.
 *
 * The list is the operator's (/etc/coffer/must-wait.json): an array of objects as those of `wait`
 * in cofferd's configuration, each with at least one of
 *
 *	{"runtime":"docker", "container":"web", "label":"app=payments", "image":…, "unit":…}
 *
 * All conditions of an object must hold, any object is enough. What cannot be known here (image
 * and unit always; a name or labels if the engine's state could not be read) counts as holding:
 * a container that waits in vain is better than one that runs without what it must have.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "coffer/err.h"

#define HOOK_WAIT_MAX 64         /* entries, as in the broker's configuration */
#define HOOK_WAIT_FILE_MAX 65536 /* bytes of the list */

/* What the hook knows of a container. */
struct hook_facts {
	const char *const *runtimes; /* that it may be of; NULL-terminated; NULL: unknown */
	const char *id;
	const char *name;          /* NULL: unknown */
	const json_t *labels;      /* object of texts; NULL: unknown */
	const json_t *annotations; /* object of texts, or NULL for none */
	const json_t *pod;         /* of a container of a pod: its labels that begin with
	                              "io.kubernetes.", which are known whatever else is; or NULL */
};

/* Checks every entry: -EINVAL with a sentence. The caller decrefs *ret. */
int hook_wait_parse(const char *text, size_t len, json_t **ret, struct err *e);

bool hook_wait_matches(const json_t *list, const struct hook_facts *facts);
