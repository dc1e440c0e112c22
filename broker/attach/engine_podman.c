/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Podman. Its bundle lies at ROOT/DRIVER-containers/ID/userdata, where ROOT is the graph root of
 * containers/storage, and what is asked here is all below that: podman.h has the files. Labels are in libpod's
 * database alone, and annotations there too, beside the bundle. While a container is created all of it has been
 * written already, and nobody has to be asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/bolt_file.h"
#include "attach/engine.h"
#include "attach/image_labels.h"
#include "attach/podman.h"
#include "attach/trusted.h"
#include "coffer/cleanup.h"

#define DRIVER_MAX 32   /* overlay, vfs, btrfs */
#define MANIFESTS_MAX 8 /* of one image: its own, and lists that it was pulled by */
#define DATABASE "bolt_state.db"
#define NEW_DATABASE "db.sql"

static const char containers_end[] = "-containers";

struct storage {
	char root[ATTACH_TEXT_MAX];
	char driver[DRIVER_MAX];
	bool by_root;
};

/* ROOT/DRIVER-containers/ID/userdata. False: the bundle lies in no such place. */
static bool take_storage(const char *bundle, const char *id, struct storage *ret)
{
	struct storage s = { .by_root = true };
	char tail[OCI_ID_MAX + sizeof("//userdata")];
	size_t len = strlen(bundle), tail_len, name_len;
	char *name;

	tail_len = (size_t)snprintf(tail, sizeof(tail), "/%s/userdata", id);
	if (len <= tail_len || len >= sizeof(s.root) || strcmp(bundle + len - tail_len, tail) != 0)
		return false;
	memcpy(s.root, bundle, len - tail_len);
	name = strrchr(s.root, '/');
	if (!name)
		return false;
	*name++ = '\0';
	name_len = strlen(name);
	if (name_len < sizeof(containers_end) ||
	    strcmp(name + name_len - (sizeof(containers_end) - 1), containers_end) != 0 ||
	    name_len - (sizeof(containers_end) - 1) >= sizeof(s.driver))
		return false;
	memcpy(s.driver, name, name_len - (sizeof(containers_end) - 1));
	*ret = s;
	return true;
}

static int open_below(const char *root, const char *driver, const char *what, bool *by_root,
                      struct err *e)
{
	struct trusted_folder folder = { .fd = -1 };
	char path[ATTACH_TEXT_MAX];
	int r, n = snprintf(path, sizeof(path), "%s/%s%s", root, driver, what);

	if (n < 0 || (size_t)n >= sizeof(path))
		return err_set(e, -ENAMETOOLONG, "the path of a folder is too long");
	r = trusted_open(path, &folder, e);
	if (r < 0)
		return r;
	*by_root = *by_root && folder.by_root;
	return folder.fd;
}

static int read_json(int folder, const char *name, json_t **ret, bool *by_root, struct err *e)
{
	SCOPED(free_ptr) char *text = NULL;
	size_t len;
	int r = trusted_read(folder, name, &text, &len, by_root, e);

	if (r == 0)
		r = json_parse_foreign(text, len, ret, e);
	return r < 0 ? err_prefix(e, r, "%s", name) : 0;
}

/* The first trouble is told; the others are mostly its consequences. */
static void trouble(struct found *f, const struct err *e)
{
	if (!f->trouble.text[0])
		f->trouble = *e;
}

/* ---- the container ---- */

static const char *const container_lists[] = { "containers.json", "volatile-containers.json" };

/* The id of its image ("": it has none) into `ret`. False: it is not known. */
static bool take_container(struct storage *s, struct found *f, char ret[PODMAN_IMAGE_ID_LEN + 1])
{
	struct err e = { "" };
	SCOPED_FD int folder = open_below(s->root, s->driver, containers_end, &s->by_root, &e);
	bool known = false;

	for (size_t i = 0; folder >= 0 && i < ARRAY_LEN(container_lists) && !known; i++) {
		SCOPED(json_ptr) json_t *list = NULL;
		struct podman_container c;

		if (read_json(folder, container_lists[i], &list, &s->by_root, i ? NULL : &e) < 0 ||
		    podman_container(list, f->id, &c) == 0)
			continue;
		if (c.name[0])
			snprintf(f->name, sizeof(f->name), "%s", c.name);
		if (strlen(c.image_name) <= FOUND_IMAGE_MAX)
			snprintf(f->image, sizeof(f->image), "%s", c.image_name);
		known = strlen(c.image) <= PODMAN_IMAGE_ID_LEN;
		if (known)
			snprintf(ret, PODMAN_IMAGE_ID_LEN + 1, "%s", c.image);
		podman_container_clear(&c);
	}
	if (!known) {
		if (!e.text[0])
			err_set(&e, 0, "%s does not list it", container_lists[0]);
		err_prefix(&e, 0, "what Podman knows of it (its name, image and labels) in %.200s",
		           s->root);
		trouble(f, &e);
	}
	return known;
}

/* ---- its image ---- */

/* What the image says of itself: lists of objects; NULL for what is not known. */
struct image_says {
	json_t *labels, *annotations;
};

static void image_says_clear(struct image_says *i)
{
	json_decref(i->labels);
	json_decref(i->annotations);
}

static int read_big_data(int folder, const char *key, json_t **ret, bool *by_root, struct err *e)
{
	char name[PODMAN_BIG_DATA_NAME_MAX];
	int r = podman_big_data_name(key, name);

	return r < 0 ? r : read_json(folder, name, ret, by_root, e);
}

static int take_image_labels(int folder, const char *id, struct image_says *ret, bool *by_root,
                             struct err *e)
{
	char key[sizeof("sha256:") + PODMAN_IMAGE_ID_LEN];
	SCOPED(json_ptr) json_t *config = NULL;
	json_t *labels;
	int r;

	snprintf(key, sizeof(key), "sha256:%s", id);
	r = read_big_data(folder, key, &config, by_root, e);
	if (r < 0)
		return err_prefix(e, r, "the configuration of its image");
	r = image_labels(config, &labels, e);
	if (r < 0)
		return err_prefix(e, r, "the configuration of its image");
	ret->labels = labels ? json_pack("[O]", labels) : json_array();
	return ret->labels ? 0 : -ENOMEM;
}

static int take_image_annotations(int folder, const json_t *image, struct image_says *ret,
                                  bool *by_root, struct err *e)
{
	SCOPED(json_ptr) json_t *all = json_array();
	const json_t *digests = json_object_get(image, "big-data-digests");
	const char *key;
	json_t *unused;
	int count = 0, r = 0;

	json_object_foreach ((json_t *)(uintptr_t)digests, key, unused) {
		SCOPED(json_ptr) json_t *manifest = NULL;

		if (!podman_is_manifest(key) || r < 0)
			continue;
		if (++count > MANIFESTS_MAX)
			return err_set(e, -E2BIG, "its image has more than %d manifests",
			               MANIFESTS_MAX);
		r = read_big_data(folder, key, &manifest, by_root, e);
		if (r == 0)
			r = image_spelt(manifest, "annotations", e);
		if (r == 0 && json_object_get(manifest, "annotations") &&
		    json_array_append(all, json_object_get(manifest, "annotations")) < 0)
			r = -ENOMEM;
	}
	if (r == 0 && count == 0)
		return err_set(e, -ENOENT, "its image has no manifest");
	if (r < 0)
		return err_prefix(e, r, "a manifest of its image");
	ret->annotations = TAKE_PTR(all);
	return 0;
}

/* 1: the image is in this root; 0: it is not; or -errno. */
static int image_in_root(const char *root, const char *driver, const char *id, struct found *f,
                         struct image_says *ret, bool *by_root, struct err *e)
{
	bool theirs = true;
	SCOPED_FD int folder = open_below(root, driver, "-images", &theirs, e);
	SCOPED(json_ptr) json_t *list = NULL;
	SCOPED_FD int own = -1;
	const json_t *image;
	char below[sizeof("-images/") + PODMAN_IMAGE_ID_LEN];
	int r = folder < 0 ? folder : read_json(folder, "images.json", &list, &theirs, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	image = podman_image(list, id);
	if (!image)
		return 0;
	podman_digests(image, f);
	snprintf(below, sizeof(below), "-images/%s", id);
	own = open_below(root, driver, below, &theirs, e);
	if (own < 0)
		return own;
	r = take_image_labels(own, id, ret, &theirs, e);
	if (r == 0)
		r = take_image_annotations(own, image, ret, &theirs, e);
	*by_root = *by_root && theirs;
	return r < 0 ? r : 1;
}

/* In the storage's own root, or in one that several share (additional image stores), if that is configured. */
static void take_image(const struct attach_config *c, struct storage *s, const char *id,
                       struct found *f, struct image_says *ret)
{
	struct err e = { "" };
	int r = image_in_root(s->root, s->driver, id, f, ret, &s->by_root, &e);

	for (size_t i = 0; i < ATTACH_ROOTS_MAX && c->engine_roots[i] && r == 0; i++)
		r = image_in_root(c->engine_roots[i], s->driver, id, f, ret, &s->by_root, &e);
	if (r == 0)
		err_set(&e, 0,
		        "its image %.64s is in none of engine_roots, so no label or annotation is "
		        "known to be of whoever started it; if it lies in an additional image "
		        "store, name that in engine_roots",
		        id);
	else if (r < 0)
		err_prefix(&e, 0, "no label or annotation is known to be of whoever started it");
	if (r <= 0)
		trouble(f, &e);
}

/* ---- its labels ---- */

static int read_database(struct storage *s, struct bolt_file *ret, struct err *e)
{
	SCOPED_FD int folder = open_below(s->root, "", "libpod", &s->by_root, e);
	int r = folder < 0 ? folder : bolt_file_read(folder, DATABASE, ret, &s->by_root, e);

	if (r == -ENOENT && folder >= 0 && faccessat(folder, NEW_DATABASE, F_OK, 0) == 0)
		return err_set(e, r,
		               "its labels are in an SQLite database (%.200s/libpod/%s), which is "
		               "not read: they match no grant; start it with --annotation, which "
		               "--label of a grant matches too",
		               s->root, NEW_DATABASE);
	return r < 0 ? err_prefix(e, r, "its labels, in Podman's database") : 0;
}

/* libpod's configuration of the container. */
static int read_config(struct storage *s, const char *id, json_t **ret, struct err *e)
{
	const char *path[] = { "ctr", id, "config", NULL };
	struct bolt_file file = { 0 };
	struct bolt_bytes text;
	int r = read_database(s, &file, e);

	if (r < 0)
		return r;
	r = bolt_get(&file.db, path, &text, e);
	if (r > 0)
		r = json_parse_foreign((const char *)text.at, text.len, ret, e);
	else if (r == 0)
		r = err_set(e, -ENOENT, "%s does not have it", DATABASE);
	bolt_file_clear(&file);
	return r < 0 ? err_prefix(e, r, "its labels, in Podman's database") : 0;
}

/*
 * Labels and annotations, as libpod has put them together from those of the image and of the starter. Its
 * configuration may be NULL: then the bundle has the annotations.
 */
static int take_attributes(struct found *f, const json_t *config, const struct image_says *says)
{
	SCOPED(json_ptr) json_t *of_bundle = json_object();
	json_t *annotations = podman_annotations(config);
	int r = podman_attributes(f, podman_labels(config), says->labels);

	for (size_t i = 0; i < f->config.annotations; i++)
		json_object_set_new(of_bundle, f->config.annotation[i].key,
		                    json_string(f->config.annotation[i].value));
	if (r == 0 && !of_bundle)
		r = -ENOMEM;
	if (r == 0 && annotations)
		r = podman_attributes(f, annotations, says->annotations);
	else if (r == 0)
		r = podman_attributes(f, of_bundle,
		                      f->bundle_is_its_own ? NULL : says->annotations);
	return r;
}

/* libpod's configuration of the container, or NULL. */
static json_t *take_config(struct storage *s, struct found *f, const char *image)
{
	SCOPED(json_ptr) json_t *config = NULL;
	const char *theirs = "";
	struct err e = { "" };

	if (read_config(s, f->id, &config, &e) < 0) {
		trouble(f, &e);
		return NULL;
	}
	json_get_string(config, "rootfsImageID", false, &theirs, NULL);
	if (strcmp(theirs, image) != 0) {
		err_set(&e, 0, "Podman's database and %s name different images for it",
		        container_lists[0]);
		trouble(f, &e);
		return NULL;
	}
	return TAKE_PTR(config);
}

int engine_podman_describe(const struct attach_config *c, struct found *f, struct err *e)
{
	SCOPED(image_says_clear) struct image_says says = { NULL, NULL };
	SCOPED(json_ptr) json_t *config = NULL;
	char image[PODMAN_IMAGE_ID_LEN + 1] = "";
	struct err why = { "" };
	struct storage s;

	if (!take_storage(f->bundle, f->id, &s)) {
		err_set(&why, 0,
		        "its bundle does not lie where Podman's do, so nothing is known "
		        "of its name, image and labels");
		trouble(f, &why);
		return take_attributes(f, NULL, &says);
	}
	if (take_container(&s, f, image)) {
		if (image[0])
			take_image(c, &s, image, f, &says);
		else
			says = (struct image_says){ json_array(), json_array() };
		config = take_config(&s, f, image);
	}
	if (!s.by_root)
		f->facts.flags |= FACTS_UNVERIFIED;
	return take_attributes(f, config, &says);
}

/* ---- by name ---- */

/* In one list of a folder of containers. */
static bool find_in(int folder, const char *list_name, const char *name, char ret[OCI_ID_MAX + 1])
{
	SCOPED(json_ptr) json_t *list = NULL;
	bool by_root = true;
	const char *id;

	if (read_json(folder, list_name, &list, &by_root, NULL) < 0 || !by_root)
		return false;
	id = podman_id_of(list, name);
	if (id)
		memcpy(ret, id, strlen(id) + 1);
	return id != NULL;
}

/* What is not there, or not root's alone, vouches for no name. */
static bool find_in_root(const char *root, const char *name, char ret[OCI_ID_MAX + 1])
{
	static const char *const drivers[] = { "overlay", "vfs", "btrfs", "zfs" };
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(drivers) && !found; i++) {
		bool by_root = true;
		SCOPED_FD int folder = open_below(root, drivers[i], containers_end, &by_root, NULL);

		for (size_t j = 0; j < ARRAY_LEN(container_lists) && folder >= 0 && by_root; j++)
			found = found || find_in(folder, container_lists[j], name, ret);
	}
	return found;
}

int engine_podman_id_of(const struct attach_config *c, const char *name, char ret[OCI_ID_MAX + 1],
                        struct err *e)
{
	for (size_t i = 0; i < ATTACH_ROOTS_MAX && c->engine_roots[i]; i++)
		if (find_in_root(c->engine_roots[i], name, ret))
			return 1;
	return 0;
}
