/* SPDX-License-Identifier: Apache-2.0 */
/* grant_request.h - a grant as an operator asks for it. */
#pragma once

#include "policy/policy.h"
#include "server/server.h"

#define GRANT_KIND "grant" /* of its document in the vault */

/*
 * The interface's GrantRequest, given an id, the age of the next grant, and a word for each thing
 * that was left out. -EINVAL with a sentence.
 */
int grant_request_read(const struct broker *b, const json_t *request, struct grant **ret,
                       struct err *e);

/* Whatever runs or signals in a container is uid 0's to ask for: 0, or -EPERM, which is recorded. */
int grant_request_may(struct broker *b, const struct call *call, const struct grant *g,
                      struct err *e);

/* The fields of its audit record. */
json_t *grant_request_record(const struct grant *g);
