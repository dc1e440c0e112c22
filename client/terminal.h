/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h - what may be done to a descriptor that people look at: how wide it is, whether it may
 * be coloured, whether a line on it can be drawn over.
 *
 * Escape sequences go to terminals only, so that what a program reads from us is always plain.
 */
#pragma once

#include <stdbool.h>

#define TERMINAL_COLUMNS 80 /* of a terminal that does not say how wide it is */

bool terminal_is(int fd);

/* A terminal that understands escape sequences: TERM is set, and is not "dumb". */
bool terminal_can_draw(int fd);

/* terminal_can_draw, and NO_COLOR is not set or empty (no-color.org). */
bool terminal_has_colours(int fd);

/*
 * We may draw over a line of it: terminal_can_draw, and we are no job in the background, which
 * would draw into what others print.
 */
bool terminal_is_ours(int fd);

/* As the terminal says; else as COLUMNS says; else TERMINAL_COLUMNS. Never 0. */
unsigned terminal_columns(int fd);
