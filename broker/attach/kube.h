/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube.h - which container of which pod a bundle is, from the annotations of the two engines that the
 * kubelet drives. Pure.
 *
 * Only keys count that the engine itself writes over whatever a pod's author put there:
 *
 *   containerd   io.kubernetes.cri.{container-type, sandbox-id, sandbox-namespace, sandbox-name,
 *                sandbox-uid, container-name}, of the pod's and the container's CRI metadata; set behind
 *                the annotations of the pod that `pod_annotations` lets through (1.5 to 2.x; sandbox-uid
 *                since 1.7)
 *   CRI-O        io.kubernetes.cri-o.{ContainerType, SandboxID, Name}, where Name is
 *                k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT, set behind the annotations of the pod; and the
 *                kubelet's labels, set last. In the bundle of a sandbox the pod's annotations come in
 *                between, so that each of the first can be its author's there: Name and labels have to
 *                agree (a sandbox's say that it is the container "POD")
 *
 * Both become the keys that the kubelet uses: io.kubernetes.pod.namespace, io.kubernetes.pod.name,
 * io.kubernetes.pod.uid, io.kubernetes.container.name. Whatever else begins with "io.kubernetes." is
 * left out, wherever it came from, so that nobody else can say such a thing of a container.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "attach/oci.h"

struct found;

#define KUBE_PART_MAX 253                       /* of a pod's name; the others are shorter */
#define KUBE_NAME_MAX (3 * (KUBE_PART_MAX + 1)) /* with the NUL */

struct kube {
	/* letters, digits, '-', '.' and '_'; never empty, but for uid, and container of a sandbox */
	char namespace[KUBE_PART_MAX + 1], pod[KUBE_PART_MAX + 1], uid[KUBE_PART_MAX + 1],
		container[KUBE_PART_MAX + 1];
	char sandbox[OCI_ID_MAX + 1]; /* id of the pod's sandbox, which oci_id_ok allows */
	bool is_sandbox; /* the pod's own process ("pause"); of CRI-O's nothing else is set */
};

/* 1, 0: it is no container of a pod; -EINVAL with a sentence: it is one, and does not say of which. */
int kube_of_containerd(const struct oci_config *c, struct kube *ret, struct err *e);
int kube_of_crio(const struct oci_config *c, struct kube *ret, struct err *e);

/* "NAMESPACE/POD/CONTAINER" */
const char *kube_name(const struct kube *k, char buffer[KUBE_NAME_MAX]);

/* Whether `name` is that, or its end behind a '/': POD/CONTAINER, CONTAINER. */
bool kube_is_called(const struct kube *k, const char *name);

/* Whether a key is ours alone to set. */
bool kube_reserved(const char *key);

/* The name and the four attributes. 0 or -ENOMEM. */
int kube_describe(const struct kube *k, struct found *f);

/* Labels or annotations of a pod (an object of texts) but the reserved ones. 0 or -ENOMEM. */
int kube_add_labels(struct found *f, json_t *labels);
