/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup.h - what is acquired in a scope is released at its end.
 *
 *	SCOPED_FD int fd = open(...);            closed at the end unless handed on with TAKE_FD(fd)
 *	SCOPED(free_ptr) char *text = ...;       freed unless handed on with TAKE_PTR(text)
 *	SCOPED(json_ptr) json_t *object = ...;   see json.h
 *
 * A destructor for SCOPED takes a pointer to the variable and accepts NULL and half-built objects.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCOPED(destructor) __attribute__((cleanup(destructor)))
#define SCOPED_FD SCOPED(fd_close_ptr)

#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Close a descriptor unless it is negative; errno is kept. Returns -1, so `fd = fd_close(fd)` reads
 * well. */
static inline int fd_close(int fd)
{
	if (fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return -1;
}

static inline void fd_close_ptr(int *fd)
{
	*fd = fd_close(*fd);
}

/* For `char *`, `void *` and arrays: SCOPED(free_ptr). */
static inline void free_ptr(void *variable)
{
	void *p;

	/* The variable has a pointer type of its own; its bytes are a pointer's all the same. */
	memcpy(&p, variable, sizeof(p));
	free(p);
	memset(variable, 0, sizeof(p));
}
