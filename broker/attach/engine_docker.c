/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker: what its daemon keeps on disk of containers and images (docker_config.h), below the
 * configured engine roots. The daemon is never asked: it holds the container's lock while the hook
 * waits for us. It writes a container's file when that is created, renamed, started or ended, each
 * time as a whole, and before it starts it.
 *
 * A daemon that maps its containers' users (userns-remap) keeps all of it one folder further down,
 * DATA/UID.GID, and so does it for those of its containers whose users are not mapped.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/docker_config.h"
#include "attach/engine.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"

#define DATA_MAX 32          /* folders looked into: roots, and UID.GID below them */
#define CONTAINERS_MAX 16384 /* of one of them; more than a host can run */
#define DIGESTS_MAX 8        /* as many as a container may be known by */
#define CONFIG "config.v2.json"
#define PATH_ROOM 512 /* for what is put behind a folder's path */

struct data {
	char path[ATTACH_TEXT_MAX];
};

static void dir_close(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* "165536.165536" */
static bool is_mapped_folder(const char *name)
{
	size_t uid = strspn(name, "0123456789");
	size_t gid = name[uid] == '.' ? strspn(name + uid + 1, "0123456789") : 0;

	return uid > 0 && gid > 0 && !name[uid + 1 + gid];
}

static void add_data(struct data *list, size_t *count, const char *root, const char *below)
{
	int n;

	if (*count == DATA_MAX)
		return;
	n = snprintf(list[*count].path, sizeof(list->path), "%s%s%s", root, *below ? "/" : "",
	             below);
	if (n > 0 && (size_t)n < sizeof(list->path))
		(*count)++;
}

/* The folders that may be the data of a daemon; the caller frees. NULL without memory. */
static struct data *data_folders(const struct attach_config *c, size_t *ret_count)
{
	struct data *list = calloc(DATA_MAX, sizeof(*list));

	*ret_count = 0;
	for (size_t i = 0; list && c->engine_roots[i]; i++) {
		SCOPED(dir_close) DIR *dir = opendir(c->engine_roots[i]);
		struct dirent *entry;

		add_data(list, ret_count, c->engine_roots[i], "");
		while (dir && (entry = readdir(dir)))
			if (is_mapped_folder(entry->d_name))
				add_data(list, ret_count, c->engine_roots[i], entry->d_name);
	}
	return list;
}

/* A file below a daemon's data that only root can have written. The caller frees. */
static int read_trusted(const char *data, const char *folder, const char *name, char **ret,
                        size_t *ret_len, struct err *e)
{
	char path[ATTACH_TEXT_MAX + PATH_ROOM];
	struct trusted_folder opened = { .fd = -1 };
	SCOPED(free_ptr) char *text = NULL;
	SCOPED_FD int fd = -1;
	size_t len = 0;
	int r;

	snprintf(path, sizeof(path), "%s/%s", data, folder);
	r = trusted_open(path, &opened, e);
	if (r < 0)
		return r;
	fd = opened.fd;
	r = trusted_read(fd, name, &text, &len, &opened.by_root, e);
	if (r < 0)
		return err_prefix(e, r, "in %.200s", path);
	if (!opened.by_root)
		return err_set(
			e, -EPERM,
			"%.200s/%.80s is not root's alone and is not believed; make root its "
			"owner and let nobody else write there",
			path, name);
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

static int read_container(const char *data, const char *id, struct docker_container *ret,
                          struct err *e)
{
	char folder[OCI_ID_MAX + 16];
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;
	int r;

	snprintf(folder, sizeof(folder), "containers/%s", id);
	r = read_trusted(data, folder, CONFIG, &text, &len, e);
	if (r == 0)
		r = docker_container_parse(text, len, ret, e);
	if (r == 0 && strcmp(ret->id, id) != 0) {
		docker_container_clear(ret);
		r = err_set(e, -EINVAL, "it is another container's");
	}
	return r < 0 ? err_prefix(e, r, "Docker's " CONFIG " of it") : 0;
}

/* Labels count as the image's where that is not known. */
static int read_image(const char *data, struct docker_container *c, struct err *e)
{
	char folder[OCI_ID_MAX + PATH_ROOM / 2];
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;
	int r;

	docker_container_distrust(c);
	if (!*c->image_id || !*c->driver)
		return err_set(e, -ENOENT, "Docker's " CONFIG " names no image");
	snprintf(folder, sizeof(folder), "image/%s/imagedb/content/sha256", c->driver);
	r = read_trusted(data, folder, strchr(c->image_id, ':') + 1, &text, &len, e);
	return r < 0 ? r : docker_container_image(text, len, c, e);
}

static int read_digests(const char *data, const struct docker_container *c, struct found *f,
                        struct err *e)
{
	char folder[OCI_ID_MAX + PATH_ROOM / 2], digests[DIGESTS_MAX][DOCKER_DIGEST_MAX];
	SCOPED(free_ptr) char *text = NULL;
	size_t len = 0;
	int r;

	if (!*c->image_id || !*c->driver)
		return 0;
	found_add_digest(f, c->image_id);
	snprintf(folder, sizeof(folder), "image/%s", c->driver);
	r = read_trusted(data, folder, "repositories.json", &text, &len, e);
	if (r == 0)
		r = docker_digests_parse(text, len, c->image_id, digests, DIGESTS_MAX, e);
	for (int i = 0; i < r; i++)
		found_add_digest(f, digests[i]);
	return r < 0 ? r : 0;
}

/* Those of the starter first: there may be more than are taken over. */
static int add_labels(const struct docker_container *c, struct found *f)
{
	int r = 0;

	for (size_t i = 0; i < c->labels && r == 0; i++)
		if (!c->label[i].from_image)
			r = found_add(f, c->label[i].key, c->label[i].value, false);
	if (r == 0)
		r = engine_annotations(f);
	for (size_t i = 0; i < c->labels && r == 0; i++)
		if (c->label[i].from_image)
			r = found_add(f, c->label[i].key, c->label[i].value, true);
	return r;
}

static void take_texts(const struct docker_container *c, struct found *f)
{
	if (strlen(c->name) < sizeof(f->name))
		memcpy(f->name, c->name, strlen(c->name) + 1);
	if (strlen(c->image) < sizeof(f->image))
		memcpy(f->image, c->image, strlen(c->image) + 1);
}

/* 0: `data` has no such container. 1: it has, and what of it could not be read is in f->trouble. */
static int describe_in(const char *data, struct found *f)
{
	SCOPED(docker_container_clear) struct docker_container c = { 0 };
	struct err why = { "" };
	int r = read_container(data, f->id, &c, &why);

	if (r == -ENOMEM || r == -ENOENT || r == -ENOTDIR)
		return r == -ENOMEM ? r : 0;
	if (r < 0) {
		err_set(&f->trouble, 0,
		        "its name, labels and image are unknown and match no grant: %s", why.text);
		r = engine_annotations(f);
		return r < 0 ? r : 1;
	}
	take_texts(&c, f);
	r = read_digests(data, &c, f, &why);
	if (r < 0 && r != -ENOENT) /* no file: no image has a name yet */
		err_set(&f->trouble, 0, "digests of its image are unknown: %s", why.text);
	r = read_image(data, &c, &why);
	if (r < 0 && r != -ENOMEM)
		err_set(&f->trouble, 0,
		        "the labels of its image are unknown, so that none of its labels counts as "
		        "set by whoever started it: %s",
		        why.text);
	if (r != -ENOMEM)
		r = add_labels(&c, f);
	return r < 0 ? r : 1;
}

static int describe(const struct attach_config *c, struct found *f, struct err *e)
{
	size_t count;
	SCOPED(free_ptr) struct data *data = data_folders(c, &count);
	int r = data ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && r == 0; i++)
		r = describe_in(data[i].path, f);
	if (r != 0)
		return r < 0 ? r : 0;
	err_set(&f->trouble, 0,
	        "its name, labels and image are unknown and match no grant: no folder of "
	        "engine_roots has containers/%.12s.../" CONFIG "; put Docker's data folder "
	        "(docker info says it) there, in cofferd's configuration",
	        f->id);
	return engine_annotations(f);
}

/* ---- by name ---- */

struct search {
	const struct attach_config *config;
	const char *name;
	size_t seen;
	char id[OCI_ID_MAX + 1];
	int hits;
};

static bool is_running(const struct attach_config *c, const char *id)
{
	struct oci_state state = { 0 };
	bool running = engine_runc_by_id(c, id, &state, NULL) > 0;

	oci_state_clear(&state);
	return running;
}

typedef bool (*container_matches)(const struct search *s, const char *data, const char *id);

static bool has_name(const struct search *s, const char *data, const char *id)
{
	SCOPED(docker_container_clear) struct docker_container c = { 0 };

	return read_container(data, id, &c, NULL) == 0 && c.name && strcmp(c.name, s->name) == 0;
}

static bool begins_with(const struct search *s, const char *data, const char *id)
{
	return strncmp(id, s->name, strlen(s->name)) == 0;
}

/* Those of a daemon that run and match. What cannot be read is passed over: it vouches for nobody. */
static void search_in(struct search *s, const char *data, container_matches matches)
{
	char path[ATTACH_TEXT_MAX + 16];
	SCOPED(dir_close) DIR *dir = NULL;
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/containers", data);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) && s->seen++ < CONTAINERS_MAX) {
		/* Two roots may be one folder. */
		if (!oci_id_ok(entry->d_name) || strcmp(s->id, entry->d_name) == 0 ||
		    !matches(s, data, entry->d_name) || !is_running(s->config, entry->d_name))
			continue;
		snprintf(s->id, sizeof(s->id), "%s", entry->d_name);
		s->hits++;
	}
}

/* As Docker does: a name comes before the beginning of an id. */
static int id_of(const struct attach_config *c, const char *name, char ret[OCI_ID_MAX + 1],
                 struct err *e)
{
	static const container_matches ways[] = { has_name, begins_with };
	size_t count;
	SCOPED(free_ptr) struct data *data = data_folders(c, &count);
	struct search s = { .config = c, .name = name };

	if (!data)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t way = 0; way < ARRAY_LEN(ways) && s.hits == 0 && *name; way++) {
		s.seen = 0;
		for (size_t i = 0; i < count; i++)
			search_in(&s, data[i].path, ways[way]);
	}
	if (s.hits > 1)
		return err_set(
			e, -EINVAL,
			"%d running containers of Docker are called %.100s, or have ids that "
			"begin so; give the whole id",
			s.hits, name);
	if (s.hits == 1)
		memcpy(ret, s.id, sizeof(s.id));
	return s.hits;
}

const struct engine engine_docker = { "docker", describe, id_of };
