/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define COLUMNS_MAX 4096 /* beyond that somebody jokes */

bool terminal_is(int fd)
{
	return isatty(fd) == 1;
}

bool terminal_can_draw(int fd)
{
	const char *kind = getenv("TERM");

	return kind && kind[0] && strcmp(kind, "dumb") != 0 && terminal_is(fd);
}

bool terminal_has_colours(int fd)
{
	const char *no = getenv("NO_COLOR");

	return (!no || !no[0]) && terminal_can_draw(fd);
}

bool terminal_is_ours(int fd)
{
	return terminal_can_draw(fd) && tcgetpgrp(fd) == getpgrp();
}

unsigned terminal_columns(int fd)
{
	struct winsize size = { 0 };
	const char *text = getenv("COLUMNS");
	unsigned long columns = 0;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	columns = text ? strtoul(text, NULL, 10) : 0;
	return columns > 0 && columns <= COLUMNS_MAX ? (unsigned)columns : TERMINAL_COLUMNS;
}
