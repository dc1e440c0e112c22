/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which running container an operator means, where the kubelet's engines are concerned.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach/engine.h"
#include "attach/kube.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"

struct wanted {
	const struct engine_kube *engine;
	const char *name;
	unsigned int hits;
	char id[OCI_ID_MAX + 1];                          /* of the first hit */
	char called[KUBE_NAME_MAX], other[KUBE_NAME_MAX]; /* of the first two */
};

static void config_ptr(struct oci_config *c)
{
	oci_config_clear(c);
}

static int read_config(const char *bundle, const char *where, struct oci_config *ret)
{
	struct trusted_folder folder = { .fd = -1 };
	SCOPED(free_ptr) char *text = NULL;
	SCOPED_FD int fd = -1;
	size_t len;
	int r = trusted_open(bundle, &folder, NULL);

	if (r < 0)
		return r;
	fd = folder.fd;
	if (!strstr(folder.path, where))
		return -ENOENT;
	r = trusted_read(fd, "config.json", &text, &len, &folder.by_root, NULL);
	return r < 0 ? r : oci_config_parse(text, len, ret, NULL);
}

/* A bundle that can't be read is nobody's. */
static bool look(const struct oci_state *state, void *arg)
{
	SCOPED(config_ptr) struct oci_config config = { 0 };
	struct wanted *w = arg;
	struct kube k = { 0 };
	bool begins = strncmp(state->id, w->name, strlen(w->name)) == 0;
	char name[KUBE_NAME_MAX];
	int r = read_config(state->bundle, w->engine->where, &config);

	if (r == 0)
		r = w->engine->kube_of(&config, &k, NULL);
	if (r < 0 || (r == 0 && w->engine->pods_only) ||
	    (!begins && (r == 0 || !kube_is_called(&k, w->name))))
		return false;
	if (r > 0 && !k.is_sandbox)
		kube_name(&k, name);
	else
		snprintf(name, sizeof(name), "%s", state->id);
	if (w->hits++ == 0) {
		memcpy(w->id, state->id, strlen(state->id) + 1);
		memcpy(w->called, name, sizeof(name));
	} else if (w->hits == 2) {
		memcpy(w->other, name, sizeof(name));
	}
	return false; /* all are looked at, to tell if it is the only one */
}

int engine_kube_id_of(const struct attach_config *c, const struct engine_kube *engine,
                      const char *name, char ret[OCI_ID_MAX + 1], struct err *e)
{
	struct wanted w = { .engine = engine, .name = name };
	int r = name[0] ? engine_runc_each(c, look, &w, e) : 0;

	if (r < 0 || w.hits == 0)
		return r < 0 ? r : 0;
	if (w.hits > 1)
		return err_set(
			e, -EINVAL,
			"%.60s may be %.120s or %.120s%s; give NAMESPACE/POD/CONTAINER or more "
			"of the id",
			name, w.called, w.other, w.hits > 2 ? " or another" : "");
	memcpy(ret, w.id, sizeof(w.id));
	return 1;
}
