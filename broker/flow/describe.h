/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.h - a container as the operator's interface shows it (types Attachment, Fact, Match,
 * File).
 */
#pragma once

#include "coffer/json.h"
#include "flow/container.h"

json_t *describe_attachment(const struct container *c);

/* The answer to Explain: from facts alone, and from the registration if there is one (may be NULL).
 */
json_t *describe_explanation(struct containers *set, const struct facts *f, struct container *c);
