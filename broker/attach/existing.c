/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/existing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/sys.h"
#include "coffer/cleanup.h"
#include "coffer/name.h"
#include "coffer/record.h"
#include "coffer/worker_proto.h"

#define SHOWN_NAME_MAX 200

void existing_clear(struct existing *x)
{
	for (size_t i = 0; i < x->count; i++) {
		free(x->entry[i].link);
		fd_close(x->entry[i].tree);
	}
	x->count = 0;
}

static int fail(int error, const char *name, const char *what, struct err *e)
{
	char shown[SHOWN_NAME_MAX];

	return err_errno(e, error, "cannot %s \"%s\", which the mount folder holds already", what,
	                 name_escape(name, strlen(name), shown, sizeof(shown)));
}

/* 0 for an entry that is gone by now. */
static int take_entry(int folder, const char *name, struct existing_entry *ret, struct err *e)
{
	SCOPED_FD int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct existing_entry entry = { .tree = -1 };
	struct sys_place place;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail(-errno, name, "open", e);
	r = sys_place_of(fd, &place);
	if (r < 0)
		return fail(r, name, "look at", e);
	snprintf(entry.name, sizeof(entry.name), "%s", name);
	if (S_ISLNK(place.mode)) {
		char text[ATTACH_TEXT_MAX];
		ssize_t n = readlinkat(fd, "", text, sizeof(text) - 1);

		if (n < 0)
			return fail(-errno, name, "read the link", e);
		entry.kind = NODE_SYMLINK;
		entry.link = strndup(text, (size_t)n);
		if (!entry.link)
			return err_set(e, -ENOMEM, "out of memory");
	} else {
		entry.kind = S_ISDIR(place.mode) ? NODE_PLACEHOLDER_DIR : NODE_PLACEHOLDER_FILE;
		entry.tree = sys_clone_tree(fd, true);
		if (entry.tree < 0)
			return fail(entry.tree, name, "take up", e);
	}
	*ret = entry;
	return 1;
}

int existing_take(int folder, struct existing *ret, struct err *e)
{
	int fd = sys_openat2(folder, ".", O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	ret->count = 0;
	if (!dir) {
		fd_close(fd);
		return err_errno(e, fd < 0 ? fd : -errno, "cannot list the mount folder");
	}
	while (r >= 0 && (errno = 0, entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (ret->count == ATTACH_EXISTING_MAX) {
			r = err_set(e, -E2BIG,
			            "the mount folder holds more than %d entries already; move "
			            "them elsewhere",
			            ATTACH_EXISTING_MAX);
			break;
		}
		r = take_entry(folder, entry->d_name, &ret->entry[ret->count], e);
		if (r > 0)
			ret->count++;
	}
	if (r >= 0 && errno)
		r = err_errno(e, -errno, "cannot list the mount folder");
	closedir(dir);
	if (r < 0)
		existing_clear(ret);
	return r < 0 ? r : 0;
}

int existing_send(const struct existing *x, int sock, uint64_t serial,
                  const struct superblock *super, struct err *e)
{
	struct ar_existing fixed = { .count = (uint32_t)x->count };
	unsigned char texts[RECORD_PAYLOAD_MAX - sizeof(fixed)];
	struct sys_place place;
	size_t at = 0;
	int r = sys_place_of(super->mount, &place);

	if (r < 0)
		return err_errno(e, r, "cannot look at the mount");
	fixed.dev = place.dev;

	for (size_t i = 0; i < x->count && r == 0; i++) {
		const struct existing_entry *entry = &x->entry[i];

		if (sizeof(texts) - at < sizeof(entry->kind)) {
			r = -EMSGSIZE;
			break;
		}
		memcpy(texts + at, &entry->kind, sizeof(entry->kind));
		at += sizeof(entry->kind);
		r = record_put_text(texts, sizeof(texts), &at, entry->name);
		if (r == 0)
			r = record_put_text(texts, sizeof(texts), &at,
			                    entry->link ? entry->link : "");
	}
	if (r == -EMSGSIZE)
		return err_set(e, -E2BIG,
		               "the names and links in the mount folder are too long altogether; "
		               "move some "
		               "elsewhere");
	r = record_send(sock, AR_EXISTING, serial, &fixed, sizeof(fixed), texts, at, &super->fuse,
	                1);
	return r < 0 ? err_errno(e, r, "the broker is gone") : 0;
}

int existing_put(const struct existing *x, int mount, struct err *e)
{
	for (size_t i = 0; i < x->count; i++) {
		const struct existing_entry *entry = &x->entry[i];
		SCOPED_FD int placeholder = -1;
		int r;

		if (entry->tree < 0)
			continue;
		/* The worker answers this look-up, and is not trusted: no link, no other mount. */
		placeholder = sys_openat2(mount, entry->name, O_PATH | O_NOFOLLOW,
		                          RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
		r = placeholder < 0 ? placeholder : sys_move_mount(entry->tree, placeholder, "");
		if (r < 0)
			return fail(r, entry->name, "set down", e);
	}
	return 0;
}
