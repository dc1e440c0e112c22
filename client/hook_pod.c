/* SPDX-License-Identifier: Apache-2.0 */
#include "hook_pod.h"

#include <stdio.h>
#include <string.h>

#include "coffer/cleanup.h"

/* Where each of the two engines says it. */
static const struct {
	const char *type, *namespace, *pod, *container;
} engines[] = {
	{ "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-namespace",
	  "io.kubernetes.cri.sandbox-name", "io.kubernetes.cri.container-name" },
	{ "io.kubernetes.cri-o.ContainerType", "io.kubernetes.pod.namespace",
	  "io.kubernetes.pod.name", "io.kubernetes.container.name" },
};

static const char *text(const json_t *annotations, const char *key)
{
	return json_string_value(json_object_get(annotations, key));
}

bool hook_pod_read(const json_t *annotations, struct hook_pod *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		const char *type = text(annotations, engines[i].type);
		const char *namespace = text(annotations, engines[i].namespace);
		const char *pod = text(annotations, engines[i].pod);
		const char *container = text(annotations, engines[i].container);

		if (!type)
			continue;
		*ret = (struct hook_pod){ .labels = json_object() };
		if (strcmp(type, "container") != 0)
			return true;
		if (!namespace || !pod || !container) {
			json_decref(ret->labels);
			return false;
		}
		snprintf(ret->name, sizeof(ret->name), "%s/%s/%s", namespace, pod, container);
		json_object_set_new(ret->labels, "io.kubernetes.pod.namespace",
		                    json_string(namespace));
		json_object_set_new(ret->labels, "io.kubernetes.pod.name", json_string(pod));
		json_object_set_new(ret->labels, "io.kubernetes.container.name",
		                    json_string(container));
		return true;
	}
	return false;
}
