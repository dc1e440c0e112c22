/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_register.h - one attempt to tell the broker of a container.
 */
#pragma once

#include <stdbool.h>

#include "call.h"
#include "coffer/err.h"
#include "hook_state.h"

enum hook_outcome {
	HOOK_DONE,
	HOOK_REFUSED, /* the broker says no, or we cannot ask at all */
	HOOK_ABSENT,  /* no socket is there */
	HOOK_SEALED,  /* or there is no store yet, or a broker is about to come or go */
	HOOK_SILENT,  /* asked, but not answered in time */
};

struct hook_attempt {
	struct call *call; /* owned; set where the answer may still come */
};
void hook_attempt_clear(struct hook_attempt *a);

/* `e` has a sentence for every outcome but HOOK_DONE. */
enum hook_outcome hook_register(const char *runtime_dir, const struct hook_state *s, int timeout_ms,
                                struct hook_attempt *ret, struct err *e);

/* After HOOK_SILENT: wait for the answer some more. */
enum hook_outcome hook_register_await(struct hook_attempt *a, int timeout_ms, struct err *e);

/*
 * Whether a broker that has not answered yet is alive and sealed: it answers at once for containers
 * that need not wait, so it holds this one back on purpose, by its own configuration.
 */
bool hook_is_held_back(const char *runtime_dir, int timeout_ms);

/* 0 or -errno. A broker that is away or sealed, or does not know the container, is no error. */
int hook_unregister(const char *runtime_dir, const struct hook_state *s, int timeout_ms,
                    struct err *e);
