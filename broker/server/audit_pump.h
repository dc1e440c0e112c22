/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_pump.h - writes out what the audit log has buffered: at the latest 100 ms after the first
 * waiting line, at once where a caller must not answer before.
 *
 * Whatever added the line, the loop's next turn notices it. Nothing is armed while nothing waits. A
 * log that cannot be written is tried again after 1 s, 2 s, … 60 s; the host's log hears of it once
 * when it begins and once when it ends, and Status says so meanwhile.
 */
#pragma once

#include "broker.h"

#define AUDIT_PUMP_US (100 * 1000)
#define AUDIT_PUMP_RETRY_MAX_S 60

struct audit_pump;
int audit_pump_new(struct broker *b, struct audit_pump **ret, struct err *e);
void audit_pump_free(struct audit_pump *p);

/* Write and sync now. 0, or -errno: the lines stay buffered. */
int audit_pump_flush(struct audit_pump *p, struct err *e);

/* Why the log cannot be written, or NULL. Borrowed until the next flush. */
const char *audit_pump_trouble(const struct audit_pump *p);
