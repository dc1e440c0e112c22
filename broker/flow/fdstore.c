/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/fdstore.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "server/folders.h"

enum kind { KIND_OTHER, KIND_FUSE, KIND_CLONE, KIND_SHARED };

struct kept {
	int fd; /* -1: taken */
	enum kind kind;
	bool wanted;
	char name[FDSTORE_NAME_SIZE];
};

struct fdstore {
	size_t count;
	struct kept kept[];
};

/* `instance` is what the container is called by: 32 hex digits. */
static void name_of(const char *instance, char ret[FDSTORE_NAME_SIZE])
{
	unsigned char bytes[FDSTORE_NAME_BYTES] = { 0 };

	sodium_hex2bin(bytes, sizeof(bytes), instance, 2 * sizeof(bytes), NULL, NULL, NULL);
	sodium_bin2base64(ret, FDSTORE_NAME_SIZE, bytes, sizeof(bytes),
	                  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static enum kind kind_of(int fd)
{
	struct statx st;

	/* DONT_SYNC: behind the clone's root nobody may be there to answer. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return KIND_OTHER;
	if (S_ISCHR(st.stx_mode) &&
	    makedev(st.stx_rdev_major, st.stx_rdev_minor) == makedev(10, 229))
		return KIND_FUSE;
	if (S_ISDIR(st.stx_mode))
		return KIND_CLONE;
	return S_ISREG(st.stx_mode) && fcntl(fd, F_GET_SEALS) > 0 ? KIND_SHARED : KIND_OTHER;
}

int fdstore_new(struct fdstore **ret)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names);
	struct fdstore *store =
		calloc(1, sizeof(*store) + (count > 0 ? (size_t)count : 0) * sizeof(struct kept));

	for (int i = 0; i < count; i++) {
		if (store && strlen(names[i]) == FDSTORE_NAME_SIZE - 1) {
			struct kept *k = &store->kept[store->count];

			k->fd = SD_LISTEN_FDS_START + i;
			k->kind = kind_of(k->fd);
			memcpy(k->name, names[i], FDSTORE_NAME_SIZE);
			/* The sockets have names of that length too. */
			store->count += sd_is_socket(k->fd, AF_UNSPEC, 0, -1) <= 0;
		}
		free(names[i]);
	}
	free(names);
	if (!store)
		return -ENOMEM;
	*ret = store;
	return 0;
}

void fdstore_free(struct fdstore *store)
{
	for (size_t i = 0; store && i < store->count; i++)
		fd_close(store->kept[i].fd);
	free(store);
}

static struct kept *find(struct fdstore *store, const char *name, enum kind kind)
{
	for (size_t i = 0; i < store->count; i++)
		if (store->kept[i].fd >= 0 && store->kept[i].kind == kind &&
		    strcmp(store->kept[i].name, name) == 0)
			return &store->kept[i];
	return NULL;
}

bool fdstore_has(struct fdstore *store, const struct container *c)
{
	char name[FDSTORE_NAME_SIZE];

	name_of(c->instance_text, name);
	return find(store, name, KIND_FUSE) && find(store, name, KIND_CLONE) &&
	       find(store, name, KIND_SHARED);
}

int fdstore_take(struct fdstore *store, const struct container *c, struct fdstore_mount *ret)
{
	char name[FDSTORE_NAME_SIZE];
	struct kept *fuse, *clone, *shared;

	name_of(c->instance_text, name);
	fuse = find(store, name, KIND_FUSE);
	clone = find(store, name, KIND_CLONE);
	shared = find(store, name, KIND_SHARED);
	if (!fuse || !clone || !shared)
		return -ENOENT;
	*ret = (struct fdstore_mount){ TAKE_FD(fuse->fd), TAKE_FD(clone->fd), TAKE_FD(shared->fd) };
	return 0;
}

static void forget(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

static void keep(const struct container *c, const char *name)
{
	const int fds[] = { c->fuse_fd, c->clone_fd, c->shared_fd };
	char text[128];

	/* FDPOLL=0: a mount's descriptor cannot be polled, and the others need not be. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	if (sd_pid_notify_with_fds(0, 0, text, fds, ARRAY_LEN(fds)) < 0)
		log_warn("the service manager does not take the descriptors of a mount");
}

void fdstore_keep(const struct container *c)
{
	const struct fdstore *store = c->set->fdstore;
	char name[FDSTORE_NAME_SIZE];

	name_of(c->instance_text, name);
	for (size_t i = 0; i < store->count; i++)
		if (strcmp(store->kept[i].name, name) == 0)
			return;
	keep(c, name);
}

void fdstore_drop(struct containers *set, const char *instance)
{
	struct fdstore *store = set->fdstore;
	char name[FDSTORE_NAME_SIZE];

	name_of(instance, name);
	for (size_t i = 0; i < store->count; i++)
		if (strcmp(store->kept[i].name, name) == 0) {
			store->kept[i].fd = fd_close(store->kept[i].fd);
			store->kept[i].name[0] = '\0'; /* a later mount is kept anew */
		}
	forget(name);
}

void fdstore_renew(const struct container *c)
{
	fdstore_drop(c->set, c->instance_text);
	fdstore_keep(c);
}

static void mark_wanted(struct fdstore *store, const char *file)
{
	char name[FDSTORE_NAME_SIZE];

	if (strlen(file) < 2 * FDSTORE_NAME_BYTES)
		return;
	name_of(file, name);
	for (size_t i = 0; i < store->count; i++)
		store->kept[i].wanted |= strcmp(store->kept[i].name, name) == 0;
}

/* Its worker, which nobody could reach, is being ended: then it is revived from these. */
static bool is_awaited(const struct containers *set, const char *kept_name)
{
	char name[FDSTORE_NAME_SIZE];

	for (const struct container *c = set->first; c; c = c->next) {
		if (c->flow != FLOW_ADOPTING)
			continue;
		name_of(c->instance_text, name);
		if (strcmp(name, kept_name) == 0)
			return true;
	}
	return false;
}

void fdstore_sweep(struct containers *set)
{
	struct fdstore *store = set->fdstore;
	int fd = openat(set->b->runtime_fd, FOLDER_CONTAINERS,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		fd_close(fd);
		log_warn("cannot tell which descriptors of an earlier broker are still wanted");
		return;
	}
	/* Each container has a registration, and what waits for a later broker is one. */
	while ((entry = readdir(dir)))
		mark_wanted(store, entry->d_name);
	closedir(dir);
	for (size_t i = 0; i < store->count; i++) {
		struct kept *k = &store->kept[i];

		if (k->name[0] && !k->wanted)
			forget(k->name);
		if (!is_awaited(set, k->name))
			k->fd = fd_close(k->fd);
	}
}
