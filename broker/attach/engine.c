/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/sys.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"

/*
 * containerd's shim keeps bundles at ROOT/io.containerd.runtime.v2.task/NAMESPACE/ID whatever its
 * root is called; Docker's namespace is "moby". Podman and CRI-O share containers/storage: CRI-O's
 * bundles lie in the run folder, where Podman puts its own only for transient storage, so there an
 * annotation decides between the two.
 */
static const struct engine_place places[] = {
	{ "/io.containerd.runtime.v2.task/moby/", true, NULL, "docker", false },
	{ "/io.containerd.runtime.v2.task/", true, NULL, "containerd", false },
	{ "/run/docker/", false, NULL, "docker", false },
	{ "/run/containerd/", false, NULL, "containerd", false },
	{ "/run/crio/", false, NULL, "crio", true },
	{ "/run/containers/storage/", false, "io.kubernetes.cri-o.ContainerID", "crio", true },
	{ "/run/containers/storage/", false, NULL, "podman", true },
	{ "/var/lib/containers/storage/", false, NULL, "podman", true },
	{ "/", false, NULL, "runc", false },
};

const struct engine_place *engine_of_bundle(const char *path, const struct oci_config *config)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const struct engine_place *p = &places[i];

		if (p->anywhere ? !strstr(path, p->where)
		                : strncmp(path, p->where, strlen(p->where)) != 0)
			continue;
		if (!p->annotation || oci_annotation(config, p->annotation))
			return p;
	}
	return NULL;
}

static int place_of_folder(const char *path, struct sys_place *ret)
{
	SCOPED_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : sys_place_of(fd, ret);
}

/*
 * Whether the container's root is not yet its own: before pivot_root (a createRuntime hook) the
 * first process still has the host's. Then its root is reached by the bundle's path, afterwards
 * only through the process.
 */
static int still_being_created(pid_t pid, bool *ret)
{
	static const char *const hosts[] = { "/",
		                             "/proc/1/root" }; /* the second may be closed to us */
	struct sys_place theirs, host;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	r = place_of_folder(path, &theirs);
	if (r < 0)
		return r;
	*ret = false;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (place_of_folder(hosts[i], &host) == 0 && theirs.dev == host.dev &&
		    theirs.ino == host.ino)
			*ret = true;
	return 0;
}

static int take_root(struct found *f, struct err *e)
{
	const char *root = f->config.root;
	bool creating = false;
	int n, r = still_being_created(f->facts.pid, &creating);

	if (r < 0)
		return err_errno(e, r, "cannot look at the root of process %d", f->facts.pid);
	f->root[0] = '\0';
	if (!creating || f->facts.flags & FACTS_HOST_MOUNTS)
		return 0;
	n = root[0] == '/' ? snprintf(f->root, sizeof(f->root), "%s", root)
	                   : snprintf(f->root, sizeof(f->root), "%s/%s", f->bundle, root);
	if (n < 0 || (size_t)n >= sizeof(f->root))
		return err_set(e, -ENAMETOOLONG, "the path of the container's root is too long");
	return 0;
}

int engine_read_bundle(const char *bundle, struct found *f, struct err *e)
{
	struct trusted_folder folder = { .fd = -1 };
	SCOPED_FD int fd = -1;
	SCOPED(free_ptr) char *text = NULL;
	const struct engine_place *place;
	size_t len;
	int r = trusted_open(bundle, &folder, e);

	if (r < 0)
		return err_prefix(e, r, "the container's bundle");
	fd = folder.fd;
	r = trusted_read(fd, "config.json", &text, &len, &folder.by_root, e);
	if (r == 0)
		r = oci_config_parse(text, len, &f->config, e);
	if (r < 0)
		return err_prefix(e, r, "config.json in %.200s", folder.path);
	if (!folder.by_root)
		f->facts.flags |= FACTS_UNVERIFIED;
	memcpy(f->bundle, folder.path, sizeof(f->bundle));
	place = engine_of_bundle(f->bundle, &f->config);
	snprintf(f->runtime, sizeof(f->runtime), "%s", place ? place->runtime : "runc");
	f->image_annotates = place && place->image_annotates;
	f->facts.uid = f->config.uid;
	f->facts.gid = f->config.gid;
	return take_root(f, e);
}
