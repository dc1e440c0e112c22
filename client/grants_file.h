/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grants_file.h - grants as they are kept in version control: docs/grants.schema.json, which is what
 * `coffer grants --json` prints, with or without ids and times.
 */
#pragma once

#include <jansson.h>

#include "coffer/err.h"

/* The broker takes messages of 4 MiB; the rest is for what stands around the grants. */
#define GRANTS_FILE_MAX (4 * 1024 * 1024 - 4096)

/*
 * The list of grants in FILE ("-": standard input), without what a broker gave them; the caller
 * decrefs. Rules of a single grant are the broker's to check. -EINVAL with a sentence.
 */
int grants_file_read(const char *path, json_t **ret, struct err *e);

/*
 * A sentence for each two grants that want one path in every container which the second one matches:
 * the younger of them would never show there. Grants stand in order of age.
 */
void grants_clashes(const json_t *grants, void (*say)(void *arg, const char *sentence), void *arg);
