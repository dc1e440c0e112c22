/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook.h - the program `coffer-hook`: an OCI createRuntime and poststop hook.
 *
 * Tells the broker of a container that is being created or has ended. An error of the broker fails
 * the start. A broker that is away, sealed or silent does not: the registration is left in
 * RUNTIME/pending, unless the operator listed the container as one that must wait.
 */
#pragma once

#define HOOK_MUST_WAIT "/etc/coffer/must-wait.json"
#define HOOK_PATIENCE_MS 5000 /* for a broker that is there and says nothing */
#define HOOK_WAIT_MS 30000    /* for a container that must wait */

struct hook_config {
	const char *runtime_dir;
	const char *must_wait; /* file; may be absent */
};

/*
 * Reads the state from descriptor `input`. Returns the exit status; says at most one line on
 * stderr.
 */
int hook_run(const struct hook_config *config, int input);
