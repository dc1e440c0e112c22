/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - the audit records of flow/: one place that knows which fields tell of a container.
 */
#pragma once

#include "flow/container.h"

/* {container, runtime, id, instance, pid} of it; NULL without memory. */
json_t *report_fields(const struct container *c);

/* One line about a container. `reason` may be NULL. */
void report_container(const struct container *c, const char *event, const char *reason);

/* One line about one file of a container. */
void report_file(const struct container *c, const char *event, const struct node *n,
                 const char *reason);

/* A peer of the workload socket was refused. */
struct peer;
void report_refused_peer(struct broker *b, const struct peer *peer, const char *reason);
