/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc_log.h - why coffer-runc gave up, where engines look for it: on standard error, and as an
 * error in runc's own log, from which containerd takes what it tells its user.
 */
#pragma once

/* `log`, `log_format`: of runc's options of these names, or NULL. What cannot be written is lost. */
void runc_log_error(const char *log, const char *log_format, const char *text);
