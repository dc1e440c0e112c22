/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prompt.h - ask for a secret on a terminal that does not show it.
 *
 * Whatever ends the question (an answer, a signal, an error), the terminal is as it was: signals
 * that would end or stop us are taken through a signalfd meanwhile, and raised once the terminal
 * is restored.
 */
#pragma once

#include "coffer/err.h"
#include "coffer/secret.h"

/* a terminal hands out lines of 4,095 bytes at most, and drops the rest unseen */
#define PROMPT_LINE_MAX 4094

/*
 * The terminal to ask on: standard input if it is one (a duplicate), else /dev/tty. -ENOTTY
 * without one.
 */
int prompt_terminal(struct err *e);

/*
 * One line, without its end. `in` is a terminal; the question goes to `out`. -ENOTTY; -ECANCELED
 * at end of file before the line's end; -EFBIG for a line of more than PROMPT_LINE_MAX bytes;
 * -EINTR if a signal was raised and survived.
 */
int prompt_secret(int in, int out, const char *question, struct secret **ret, struct err *e);

/* Ask twice; -EINVAL if the answers differ. */
int prompt_secret_twice(int in, int out, const char *question, struct secret **ret, struct err *e);
