/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attach/sys.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"

/* runc alone, and engines that say nothing beyond the bundle. */
static int describe_by_annotations(const struct attach_config *c, struct found *f, struct err *e)
{
	return engine_annotations(f);
}

static const struct engine containerd = { "containerd", engine_containerd_describe,
	                                  engine_containerd_id_of };
static const struct engine crio = { "crio", engine_crio_describe, engine_crio_id_of };
static const struct engine podman = { "podman", engine_podman_describe, engine_podman_id_of };
static const struct engine runc = { "runc", describe_by_annotations, NULL };

/*
 * containerd's shim keeps bundles at ROOT/io.containerd.runtime.v2.task/NAMESPACE/ID whatever its
 * root is called; Docker's namespace is "moby". Podman and CRI-O share containers/storage: CRI-O's
 * bundles lie in the run folder, where Podman puts its own only for transient storage, so there an
 * annotation decides between the two.
 */
static const struct {
	const char *where;      /* part of the real path */
	bool anywhere;          /* false: the path begins with it */
	const char *annotation; /* NULL, or one that must be there too */
	const struct engine *engine;
} places[] = {
	{ "/io.containerd.runtime.v2.task/moby/", true, NULL, &engine_docker },
	{ "/io.containerd.runtime.v2.task/", true, NULL, &containerd },
	{ "/run/docker/", false, NULL, &engine_docker },
	{ "/run/containerd/", false, NULL, &containerd },
	{ "/run/crio/", false, NULL, &crio },
	{ "/run/containers/storage/", false, "io.kubernetes.cri-o.ContainerID", &crio },
	{ "/run/containers/storage/", false, NULL, &podman },
	{ "/var/lib/containers/storage/", false, NULL, &podman },
};

/* DRIVER-containers/ID/userdata: where Podman puts bundles, below a root of containers/storage. */
static bool is_in_storage(const char *below)
{
	static const char before[] = "-containers/", last[] = "/userdata";
	const size_t len = sizeof(before) - 1;
	const char *id = strchr(below, '/'), *slash;

	if (!id || ++id - below <= (ptrdiff_t)len || strncmp(id - len, before, len) != 0)
		return false;
	slash = strchr(id, '/');
	return slash && slash > id && strcmp(slash, last) == 0;
}

static bool is_in_root(const struct attach_config *c, const char *path)
{
	for (size_t i = 0; i < ATTACH_ROOTS_MAX && c->engine_roots[i]; i++) {
		SCOPED(free_ptr) char *root = realpath(c->engine_roots[i], NULL);
		size_t len = root ? strlen(root) : 0;

		if (len > 1 && strncmp(path, root, len) == 0 && path[len] == '/' &&
		    is_in_storage(path + len + 1))
			return true;
	}
	return false;
}

/* Three folders up from its end. */
static bool is_in_any_root(const char *path)
{
	const char *at = path + strlen(path);
	int folders = 0;

	while (at > path && folders < 3)
		folders += *--at == '/';
	return folders == 3 && is_in_storage(at + 1);
}

const struct engine *engine_of_bundle(const struct attach_config *c, const char *path, bool users,
                                      const struct oci_config *config)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const char *where = places[i].where;

		if (places[i].anywhere ? !strstr(path, where)
		                       : strncmp(path, where, strlen(where)) != 0)
			continue;
		if (!places[i].annotation || oci_annotation(config, places[i].annotation))
			return places[i].engine;
	}
	return is_in_root(c, path) || (users && is_in_any_root(path)) ? &podman : &runc;
}

int engine_annotations(struct found *f)
{
	int r = 0;

	for (size_t i = 0; i < f->config.annotations && r == 0; i++)
		r = found_add(f, f->config.annotation[i].key, f->config.annotation[i].value, false);
	return r;
}

int engine_id_of(const struct attach_config *c, const char *name, char ret[OCI_ID_MAX + 1],
                 struct err *e)
{
	static const struct engine *const engines[] = { &engine_docker, &podman, &containerd,
		                                        &crio };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(engines) && r == 0; i++)
		if (engines[i]->id_of)
			r = engines[i]->id_of(c, name, ret, e);
	return r;
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

/*
 * Podman hands the bundle's folder, and nothing above it, to the root of a container with mapped users, which
 * does not see it from inside.
 */
static bool is_mapped_roots(const char *path, int folder, const struct found *f)
{
	struct trusted_folder above = { .fd = -1 };
	char *slash, parent[ATTACH_TEXT_MAX];
	bool by_root, mapped = false;
	struct stat st;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent || fstat(folder, &st) < 0)
		return false;
	*slash = '\0';
	by_root = trusted_open(parent, &above, NULL) == 0 && above.by_root;
	fd_close(above.fd);
	for (uint32_t i = 0; i < f->facts.uid_maps; i++)
		if (f->facts.uid_map[i].inside == 0)
			mapped = st.st_uid == f->facts.uid_map[i].outside;
	return by_root && mapped && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static void judge_bundle(const struct attach_config *c, const struct trusted_folder *folder,
                         bool file_by_root, struct found *f)
{
	f->bundle_is_its_own = !folder->by_root &&
	                       engine_of_bundle(c, f->bundle, false, &f->config) == &podman &&
	                       is_mapped_roots(f->bundle, folder->fd, f);
	if (!file_by_root || (!folder->by_root && !f->bundle_is_its_own))
		f->facts.flags |= FACTS_UNVERIFIED;
}

int engine_read_bundle(const struct attach_config *c, const char *bundle, struct found *f,
                       struct err *e)
{
	struct trusted_folder folder = { .fd = -1 };
	SCOPED_FD int fd = -1;
	SCOPED(free_ptr) char *text = NULL;
	const struct engine *engine;
	bool file_by_root = true;
	size_t len;
	int r = trusted_open(bundle, &folder, e);

	if (r < 0)
		return err_prefix(e, r, "the container's bundle");
	fd = folder.fd;
	r = trusted_read(fd, "config.json", &text, &len, &file_by_root, e);
	if (r == 0)
		r = oci_config_parse(text, len, &f->config, e);
	if (r < 0)
		return err_prefix(e, r, "config.json in %.200s", folder.path);
	memcpy(f->bundle, folder.path, sizeof(f->bundle));
	judge_bundle(c, &folder, file_by_root, f);
	engine = engine_of_bundle(c, f->bundle, f->facts.flags & FACTS_UNVERIFIED, &f->config);
	snprintf(f->runtime, sizeof(f->runtime), "%s", engine->runtime);
	f->facts.uid = f->config.uid;
	f->facts.gid = f->config.gid;
	r = take_root(f, e);
	if (r == 0 && engine->describe(c, f, e) < 0)
		r = err_set(e, -ENOMEM, "out of memory");
	return r;
}
