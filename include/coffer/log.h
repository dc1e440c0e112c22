/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line to stderr for the host's operator. Not the audit log, and never on a read path.
 *
 * Under a service manager lines begin with the "<N>" of sd-daemon(3) that gives their level to the
 * journal; in the foreground they do not. The text goes through name_escape, so that nothing that
 * another party named can forge a line or drive a terminal. Never call these with bytes of a
 * secret. stderr's own failure is ignored: there is nobody left to tell.
 *
 * Nothing waits for whoever reads the log: a line that finds no room in its pipe or socket is lost,
 * and the next that finds some says how many were.
 */
#pragma once

#include <stdbool.h>

#define LOG_LINE_MAX 1024 /* longer lines are cut */

/* Whether lines carry "<N>". Called once, first thing in main(). */
void log_with_levels(bool on);

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
