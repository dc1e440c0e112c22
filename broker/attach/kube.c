/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/kube.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach/found.h"
#include "coffer/cleanup.h"

#define RESERVED "io.kubernetes."
#define POD_NAMESPACE RESERVED "pod.namespace"
#define POD_NAME RESERVED "pod.name"
#define POD_UID RESERVED "pod.uid"
#define CONTAINER_NAME RESERVED "container.name"
#define CRIO_NAME_PARTS 6 /* k8s, container, pod, namespace, uid, attempt */

static bool is_part(const char *text, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";

	return len > 0 && len <= KUBE_PART_MAX && strspn(text, allowed) >= len;
}

static bool take_part(const char *text, size_t len, char part[KUBE_PART_MAX + 1])
{
	if (!text || !is_part(text, len))
		return false;
	memcpy(part, text, len);
	part[len] = '\0';
	return true;
}

/* An annotation as a whole. */
static bool take_annotation(const struct oci_config *c, const char *key,
                            char part[KUBE_PART_MAX + 1])
{
	const char *text = oci_annotation(c, key);

	return text && take_part(text, strlen(text), part);
}

static bool take_sandbox(const struct oci_config *c, const char *key, struct kube *k)
{
	const char *id = oci_annotation(c, key);

	if (!id || !oci_id_ok(id))
		return false;
	memcpy(k->sandbox, id, strlen(id) + 1);
	return true;
}

static int unknown(struct err *e)
{
	return err_set(e, -EINVAL,
	               "it is a container of a pod, but its engine does not say of which in a form "
	               "that is known here, so that no condition on the pod matches it");
}

int kube_of_containerd(const struct oci_config *c, struct kube *ret, struct err *e)
{
	const char *type = oci_annotation(c, "io.kubernetes.cri.container-type");
	struct kube k = { 0 };

	if (!type)
		return 0;
	k.is_sandbox = strcmp(type, "container") != 0;
	if (!take_sandbox(c, "io.kubernetes.cri.sandbox-id", &k) ||
	    !take_annotation(c, "io.kubernetes.cri.sandbox-namespace", k.namespace) ||
	    !take_annotation(c, "io.kubernetes.cri.sandbox-name", k.pod))
		return unknown(e);
	if (!k.is_sandbox && !take_annotation(c, "io.kubernetes.cri.container-name", k.container))
		return unknown(e);
	(void)take_annotation(c, "io.kubernetes.cri.sandbox-uid", k.uid);
	*ret = k;
	return 1;
}

/* Splits at '_', which no name of Kubernetes has. */
static bool take_crio_name(const char *name, struct kube *k)
{
	const char *part[CRIO_NAME_PARTS];
	size_t len[CRIO_NAME_PARTS];

	for (size_t i = 0; i < CRIO_NAME_PARTS; i++) {
		part[i] = name;
		len[i] = strcspn(name, "_");
		name += len[i];
		if ((*name == '_') != (i + 1 < CRIO_NAME_PARTS))
			return false;
		name += *name == '_';
	}
	return len[0] == 3 && strncmp(part[0], "k8s", 3) == 0 &&
	       take_part(part[1], len[1], k->container) && take_part(part[2], len[2], k->pod) &&
	       take_part(part[3], len[3], k->namespace) && take_part(part[4], len[4], k->uid);
}

/* What the kubelet's labels say, too. */
static bool labels_agree(const struct oci_config *c, const struct kube *k)
{
	const struct {
		const char *key, *value;
	} labels[] = {
		{ POD_NAMESPACE, k->namespace },
		{ POD_NAME, k->pod },
		{ CONTAINER_NAME, k->container },
	};

	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		const char *value = oci_annotation(c, labels[i].key);

		if (!value || strcmp(value, labels[i].value) != 0)
			return false;
	}
	return true;
}

int kube_of_crio(const struct oci_config *c, struct kube *ret, struct err *e)
{
	const char *type = oci_annotation(c, "io.kubernetes.cri-o.ContainerType");
	const char *name = oci_annotation(c, "io.kubernetes.cri-o.Name");
	struct kube k = { 0 };

	if (!type)
		return 0;
	k.is_sandbox = strcmp(type, "container") != 0;
	if (!k.is_sandbox && (!take_sandbox(c, "io.kubernetes.cri-o.SandboxID", &k) || !name ||
	                      !take_crio_name(name, &k) || !labels_agree(c, &k)))
		return unknown(e);
	*ret = k;
	return 1;
}

const char *kube_name(const struct kube *k, char buffer[KUBE_NAME_MAX])
{
	snprintf(buffer, KUBE_NAME_MAX, "%s/%s/%s", k->namespace, k->pod, k->container);
	return buffer;
}

bool kube_is_called(const struct kube *k, const char *name)
{
	char whole[KUBE_NAME_MAX];
	size_t len = strlen(name), whole_len;

	if (k->is_sandbox || len == 0)
		return false;
	whole_len = strlen(kube_name(k, whole));
	if (len > whole_len || strcmp(whole + whole_len - len, name) != 0)
		return false;
	return len == whole_len || whole[whole_len - len - 1] == '/';
}

bool kube_reserved(const char *key)
{
	return strncmp(key, RESERVED, strlen(RESERVED)) == 0;
}

int kube_describe(const struct kube *k, struct found *f)
{
	const struct {
		const char *key, *value;
	} attributes[] = {
		{ POD_NAMESPACE, k->namespace },
		{ POD_NAME, k->pod },
		{ POD_UID, k->uid },
		{ CONTAINER_NAME, k->container },
	};
	int r = 0;

	if (k->is_sandbox) {
		err_set(&f->trouble, -EPERM,
		        "it is the sandbox of a pod: secrets are for the pod's containers, and no "
		        "condition on the pod matches it");
		return 0;
	}
	_Static_assert(sizeof(f->name) >= KUBE_NAME_MAX, "a name fits");
	kube_name(k, f->name);
	for (size_t i = 0; i < ARRAY_LEN(attributes) && r == 0; i++)
		if (attributes[i].value[0])
			r = found_add(f, attributes[i].key, attributes[i].value, false);
	return r;
}

int kube_add_labels(struct found *f, json_t *labels)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach (labels, key, value) {
		const char *text = json_string_value(value);

		if (text && !kube_reserved(key))
			r = found_add(f, key, text, false);
		if (r < 0)
			break;
	}
	return r;
}
