/* SPDX-License-Identifier: Apache-2.0 */
#include "hook_engine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"

#define DOCUMENT_MAX (4 * 1024 * 1024) /* an OCI configuration, a list of a host's containers */

static const char *const docker[] = { "docker", NULL };
static const char *const podman_crio[] = { "podman", "crio", NULL };
static const char *const containerd[] = { "containerd", NULL };
static const char *const runc[] = { "runc", NULL };

static json_t *read_json(const char *path)
{
	SCOPED(free_ptr) char *text = NULL;
	json_t *value = NULL;
	size_t len = 0;

	if (io_read_file(AT_FDCWD, path, DOCUMENT_MAX, &text, &len) < 0 ||
	    json_parse_foreign(text, len, &value, NULL) < 0)
		return NULL;
	return value;
}

static void by_id(const struct hook_state *s, struct hook_engine *h)
{
	h->facts.labels = h->owned_labels = json_object(); /* none but the annotations */
	h->facts.name = s->id;
}

/* Of the pod's own process everything is known: no condition on the pod matches it. */
static bool by_pod(const struct hook_state *s, struct hook_engine *h)
{
	if (!hook_pod_read(s->annotations, &h->pod))
		return false;
	h->facts.pod = h->pod.labels;
	if (h->pod.name[0])
		h->facts.name = h->pod.name;
	else
		by_id(s, h);
	return true;
}

static void by_containerd(const struct hook_state *s, struct hook_engine *h)
{
	if (!by_pod(s, h))
		h->facts.name = s->id;
}

/* containers.json: [{"id":…,"names":[…]},…] */
static void by_storage(const struct hook_state *s, struct hook_engine *h)
{
	char path[HOOK_BUNDLE_MAX + 64];
	json_t *entry = NULL;
	size_t i = 0;

	if (by_pod(s, h))
		return;
	snprintf(path, sizeof(path), "%s/../../containers.json", s->bundle);
	h->document = read_json(path);
	json_array_foreach (h->document, i, entry) {
		const char *id = json_string_value(json_object_get(entry, "id"));
		const json_t *names = json_object_get(entry, "names");

		if (id && strcmp(id, s->id) == 0)
			h->facts.name = json_string_value(json_array_get(names, 0));
	}
}

/* The folder that the container's /etc/hostname is mounted from. Borrowed from `config`. */
static const char *hostname_source(const json_t *config)
{
	json_t *mounts = json_object_get(config, "mounts"), *mount = NULL;
	size_t i = 0;

	json_array_foreach (mounts, i, mount) {
		const char *at = json_string_value(json_object_get(mount, "destination"));

		if (at && strcmp(at, "/etc/hostname") == 0)
			return json_string_value(json_object_get(mount, "source"));
	}
	return NULL;
}

static void by_docker(const struct hook_state *s, struct hook_engine *h)
{
	char path[HOOK_BUNDLE_MAX + 64];
	SCOPED(json_ptr) json_t *config = NULL;
	const char *source = NULL, *name = NULL, *slash = NULL;

	snprintf(path, sizeof(path), "%s/config.json", s->bundle);
	config = read_json(path);
	source = hostname_source(config);
	slash = source ? strrchr(source, '/') : NULL;
	if (!slash || (size_t)(slash - source) > HOOK_BUNDLE_MAX)
		return;
	snprintf(path, sizeof(path), "%.*s/config.v2.json", (int)(slash - source), source);
	h->document = read_json(path);
	name = json_string_value(json_object_get(h->document, "Name"));
	if (name)
		h->facts.name = name + (name[0] == '/');
	h->facts.labels = json_object_get(json_object_get(h->document, "Config"), "Labels");
}

static const struct {
	const char *part; /* of the bundle's path */
	const char *const *runtimes;
	void (*read)(const struct hook_state *s, struct hook_engine *h);
} layouts[] = {
	{ "/moby/", docker, by_docker },
	{ "/overlay-containers/", podman_crio, by_storage },
	{ "/io.containerd.runtime.v2.task/", containerd, by_containerd },
	{ "", runc, by_id },
};

void hook_engine_read(const struct hook_state *s, struct hook_engine *ret)
{
	*ret = (struct hook_engine){ .facts = { .id = s->id, .annotations = s->annotations } };
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
		if (!strstr(s->bundle, layouts[i].part))
			continue;
		ret->facts.runtimes = layouts[i].runtimes;
		layouts[i].read(s, ret);
		return;
	}
}

void hook_engine_clear(struct hook_engine *h)
{
	json_decref(h->document);
	json_decref(h->owned_labels);
	json_decref(h->pod.labels);
	memset(h, 0, sizeof(*h));
}
