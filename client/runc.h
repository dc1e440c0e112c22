/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc.h - the program `coffer-runc`: an OCI runtime for engines that have no hooks of their own.
 *
 *	coffer-runc [--coffer-runtime-dir DIR] [--coffer-runtime PATH] [whatever runc takes]…
 *
 * Puts coffer-hook into the bundle of a container that is to be made (`create`, `run`), and becomes
 * the real runtime, with the same words behind its own. It never talks to the broker: the hook does.
 * The runtime's PATH is the option's, else that of the environment (COFFER_RUNTIME), else the next
 * `runc` in PATH; DIR, the broker's folder, is the option's, else COFFER_RUNTIME_DIR, else /run/coffer,
 * and is handed to the hook.
 *
 * An engine that is not the host's root gets the runtime with the bundle as it is, since the hook could
 * not register its containers.
 */
#pragma once

/* Returns only if that fails, with the exit status; the reason has been said (runc_log.h). */
int runc_run(int argc, char **argv);
