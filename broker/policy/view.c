/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one container. Grants are gone through from the oldest, each one's names in order of
 * their paths; a file is taken unless its path is taken, lies below a file or is a folder of one.
 * So of two that clash the older grant's wins, and within a grant the upper file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "policy/policy.h"
#include "policy/view_path.h"

#define OUT_OF_MEMORY "out of memory while working out what a container may see"

/* Names of one grant, owned. */
struct names {
	char **name;
	size_t count, room;
};

static void names_clear(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
	*n = (struct names){ 0 };
}

/* Room for one element more behind `count`. Returns the array or NULL. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
	size_t larger = *room ? *room * 2 : 16;
	void *made;

	if (count < *room)
		return array;
	made = reallocarray(array, larger, size);
	if (made)
		*room = larger;
	return made;
}

static int collect(void *arg, const char *name)
{
	struct names *n = arg;
	char **array;

	if (n->count >= VIEW_FILES_MAX)
		return -ENOSPC;
	array = grow(n->name, n->count, &n->room, sizeof(*array));
	if (!array)
		return -ENOMEM;
	n->name = array;
	array[n->count] = strdup(name);
	if (!array[n->count])
		return -ENOMEM;
	n->count++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The view under construction: arrays grow, and `file` is in order of paths. */
struct draft {
	struct view view;
	size_t file_room, clash_room, unfit_room;
	const struct subject *subject;
};

/* The first file whose path is not below `path` in order, comparing `len` bytes of it. */
static size_t lower_bound(const struct view *v, const char *path, size_t len)
{
	size_t low = 0, high = v->files;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *other = v->file[middle].path;
		int order = strncmp(other, path, len);

		/* Equal so far: a longer path comes behind, the same one is at the place itself. */
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The file at exactly the first `len` bytes of `path`. */
static const struct view_file *file_at(const struct view *v, const char *path, size_t len)
{
	size_t i = lower_bound(v, path, len);

	if (i < v->files && strncmp(v->file[i].path, path, len) == 0 && !v->file[i].path[len])
		return &v->file[i];
	return NULL;
}

/* A file in the way of `path`: at it, at a folder above it, or below it. */
static const struct view_file *in_the_way(const struct view *v, const char *path)
{
	char below[NAME_LEN_MAX + 2];
	size_t len = strlen(path), i;

	for (size_t end = 1; end <= len; end++) {
		const struct view_file *f;

		if (path[end] != '/' && path[end] != '\0')
			continue;
		f = file_at(v, path, end);
		if (f)
			return f;
	}
	memcpy(below, path, len);
	below[len] = '/';
	below[len + 1] = '\0';
	i = lower_bound(v, below, len + 1);
	return i < v->files && strncmp(v->file[i].path, below, len + 1) == 0 ? &v->file[i] : NULL;
}

/* Takes the path over. Clashes above the limit are dropped: they tell nothing new. */
static int add_clash(struct draft *d, char *path, const struct grant *winner,
                     const struct grant *loser)
{
	SCOPED(free_ptr) char *taken = path;
	struct view *v = &d->view;
	struct view_clash *array;

	if (v->clashes >= VIEW_FILES_MAX)
		return 0;
	array = grow(v->clash, v->clashes, &d->clash_room, sizeof(*array));
	if (!array)
		return -ENOMEM;
	v->clash = array;
	array[v->clashes++] = (struct view_clash){ TAKE_PTR(taken), winner, loser };
	return 0;
}

/* As above for a path that breaks the rules, which a folder and a name can do together only. */
static int add_unfit(struct draft *d, char *path, const struct grant *g)
{
	SCOPED(free_ptr) char *taken = path;
	struct view *v = &d->view;
	struct view_unfit *array;

	if (v->unfits >= VIEW_FILES_MAX)
		return 0;
	array = grow(v->unfit, v->unfits, &d->unfit_room, sizeof(*array));
	if (!array)
		return -ENOMEM;
	v->unfit = array;
	array[v->unfits++] = (struct view_unfit){ TAKE_PTR(taken), g };
	return 0;
}

/* *name is taken over if the file comes into the view. */
static int add_file(struct draft *d, const struct grant *g, char **name)
{
	SCOPED(free_ptr) char *path = view_path(g, *name);
	struct view *v = &d->view;
	const struct view_file *other;
	struct view_file *array;
	size_t at;

	if (!path)
		return -ENOMEM;
	if (name_check_path(path, NULL) < 0)
		return add_unfit(d, TAKE_PTR(path), g);
	other = in_the_way(v, path);
	if (other)
		return add_clash(d, TAKE_PTR(path), other->grant, g);
	if (v->files >= VIEW_FILES_MAX)
		return -ENOSPC;
	array = grow(v->file, v->files, &d->file_room, sizeof(*array));
	if (!array)
		return -ENOMEM;
	v->file = array;
	at = lower_bound(v, path, strlen(path) + 1);
	memmove(array + at + 1, array + at, (v->files - at) * sizeof(*array));
	array[at] = (struct view_file){
		.path = TAKE_PTR(path),
		.name = TAKE_PTR(*name),
		.grant = g,
		.mode = g->mode,
		.has_mode = g->has_mode,
		.uid = g->has_uid ? g->uid : d->subject->uid,
		.gid = g->has_gid ? g->gid : d->subject->gid,
	};
	v->files++;
	return 0;
}

static int add_grant(struct draft *d, const struct grant *g, const struct policy_names *names)
{
	SCOPED(names_clear) struct names found = { 0 };
	int r = names->each(names->arg, g->name, collect, &found);

	if (r < 0)
		return r;
	/* The paths are these names with another text in front: one order for both. */
	if (found.count > 0)
		qsort(found.name, found.count, sizeof(*found.name), by_name);
	for (size_t i = 0; i < found.count; i++) {
		r = add_file(d, g, &found.name[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int describe(int error, const struct grant *g, struct err *e)
{
	switch (error) {
	case -ENOSPC:
		return err_set(e, error,
		               "a container may see at most %d secrets, and with grant %s (%s) "
		               "there are more; grant narrower prefixes",
		               VIEW_FILES_MAX, g->id, g->name);
	case -ENOMEM:
		return err_set(e, error, OUT_OF_MEMORY);
	default:
		return err_errno(e, error, "cannot go through the secrets of grant %s (%s)", g->id,
		                 g->name);
	}
}

int policy_view(const struct policy *p, const struct subject *s, const struct policy_names *names,
                struct view *ret, struct err *e)
{
	struct draft d = { .subject = s };

	for (size_t i = 0; i < policy_count(p); i++) {
		const struct grant *g = policy_at(p, i);
		int r = policy_matches(g, s, NULL, NULL) ? add_grant(&d, g, names) : 0;

		if (r < 0) {
			view_clear(&d.view);
			return describe(r, g, e);
		}
	}
	*ret = d.view;
	return 0;
}

void view_clear(struct view *v)
{
	for (size_t i = 0; i < v->files; i++) {
		free(v->file[i].path);
		free(v->file[i].name);
	}
	for (size_t i = 0; i < v->clashes; i++)
		free(v->clash[i].path);
	for (size_t i = 0; i < v->unfits; i++)
		free(v->unfit[i].path);
	free(v->file);
	free(v->clash);
	free(v->unfit);
	*v = (struct view){ 0 };
}
