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

/* Its worker has ended; `in_hand`: a request had been read that may not have been answered. */
void report_worker_ended(const struct container *c, bool in_hand);

/* One line about one file of a container. */
void report_file(const struct container *c, const char *event, const struct node *n,
                 const char *reason);

/* What a hook or an operator says is a container, and is not to be one. `id`: "" if unknown. */
void report_refused_container(struct broker *b, const char *id, pid_t pid, const char *reason);
