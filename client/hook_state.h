/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_state.h - what an OCI runtime writes to a hook's standard input: the container's state.
 * Pure; the bytes are hostile.
 *
 * Format: "State" of the OCI runtime specification (runtime.md), a JSON object with ociVersion,
 * id, status, pid, bundle and annotations. Other members are allowed by the specification and
 * ignored. Whether pid and bundle are the container's own is the broker's to check; here only
 * what no runtime would ever send is refused.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "coffer/err.h"

#define HOOK_INPUT_MAX (1024 * 1024) /* Kubernetes allows 256 KiB of annotations */
#define HOOK_ID_MAX 1024             /* engines' ids have 64 bytes, CRI's sandbox names some 200 */
#define HOOK_BUNDLE_MAX 4095         /* PATH_MAX without its NUL */
#define HOOK_ANNOTATIONS_MAX 1024
#define HOOK_ANNOTATION_KEY_MAX 1024
#define HOOK_PID_MAX 4194304 /* the kernel's PID_MAX_LIMIT */

enum hook_stage {
	HOOK_CREATE, /* createRuntime (or the older prestart): the container is being made */
	HOOK_STOP,   /* poststop: it is gone */
};

struct hook_state {
	json_t *root; /* owned; everything below points into it */
	enum hook_stage stage;
	const char *id, *bundle;
	pid_t pid;           /* HOOK_STOP: 0 if unknown */
	json_t *annotations; /* object of texts; NULL: none */
};

/* 0, or -EINVAL with a sentence. *ret is untouched on failure. */
int hook_state_parse(const char *text, size_t len, struct hook_state *ret, struct err *e);
void hook_state_clear(struct hook_state *s);
