/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_pod.h - which container of which pod it is, from the annotations of containerd's CRI plugin and of
 * CRI-O. Pure. The broker reads the same (broker/attach/kube.h), and more strictly.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#define HOOK_POD_NAME_MAX 800 /* "NAMESPACE/POD/CONTAINER": up to 381 */

struct hook_pod {
	char name[HOOK_POD_NAME_MAX]; /* "" for the pod's own process, its sandbox */
	json_t *labels;               /* the kubelet's keys, as the broker names them; owned */
};

/* False: it is in no pod, or does not say in which. */
bool hook_pod_read(const json_t *annotations, struct hook_pod *ret);
