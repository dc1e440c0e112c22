/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_mounts.h - Podman runs the runtime, and with it us, in a mount namespace of its own where a container
 * has mapped users. The broker answers root on the host itself, which we are: only our mounts are not.
 */
#pragma once

#include "coffer/err.h"

/*
 * Move into the mount namespace of the host's first process, unless we are in it. Where that process shows
 * nothing, in that of the kernel's own threads. 0, also where neither can be told; or -errno with a sentence.
 */
int host_mounts_join(struct err *e);
