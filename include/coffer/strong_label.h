/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strong_label.h - the one label that nobody chooses, for the broker, which matches by it, and the
 * client, which tells of grants that rest on nothing strong. Pure.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

/*
 * The namespace of a pod, under the runtimes (a grant's --runtime) whose own word for it the attacher
 * takes and lets nobody else say (broker/attach/kube.h). Under others anybody may use it as a label.
 * There is nothing for the service account, which the kubelet does not pass on.
 */
static inline bool strong_label(const char *key, const char *runtime)
{
	return strcmp(key, "io.kubernetes.pod.namespace") == 0 &&
	       (strcmp(runtime, "containerd") == 0 || strcmp(runtime, "crio") == 0);
}
