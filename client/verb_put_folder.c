/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "fields.h"
#include "folder.h"
#include "output.h"
#include "progress.h"
#include "put.h"

#define EXPOSED_NAMED 3 /* files named in the warning of those that others can read */

struct told {
	size_t exposed;
};

static void say(void *arg, enum folder_remark remark, const char *sentence)
{
	struct told *told = arg;

	if (remark == FOLDER_SKIPPED)
		output_note("%s", sentence);
	else if (remark == FOLDER_REFUSED)
		output_warning("%s", sentence);
	else if (told->exposed++ < EXPOSED_NAMED)
		output_warning("%s", sentence);
}

static int check_use(const struct options *o, struct err *e)
{
	const char *prefix = o->words ? o->word[0] : "";

	if (o->words > 1)
		return err_set(e, CLIENT_USAGE,
		               "--from-dir takes the names from the files: give a PREFIX/ at most");
	if (options_has(o, "file"))
		return err_set(e, CLIENT_USAGE, "--file and --from-dir exclude each other");
	if (options_has(o, "dry-run") && options_has(o, "wait-adopted"))
		return err_set(e, CLIENT_USAGE,
		               "--dry-run stores nothing that could be waited for");
	if (prefix[0] && prefix[strlen(prefix) - 1] != '/')
		return err_set(e, CLIENT_USAGE,
		               "a prefix ends in '/': coffer put PREFIX/ "
		               "--from-dir DIR");
	return prefix[0] ? name_check_prefix(prefix, e) : 0;
}

static int scan(const struct options *o, struct folder *f, struct err *e)
{
	struct told told = { 0 };
	const char *dir = options_text(o, "from-dir", 0);
	int r = folder_scan(dir, o->words ? o->word[0] : "", say, &told, f, e);

	if (r < 0)
		return r;
	if (told.exposed > EXPOSED_NAMED)
		output_warning(
			"%zu more files can be read by every user of this host: chmod -R o= it",
			told.exposed - EXPOSED_NAMED);
	if (f->refused > 0)
		return err_set(
			e, -EINVAL,
			"nothing was stored: %zu entries of the folder cannot be secrets, for "
			"the reasons above; rename them, or leave them out",
			f->refused);
	if (f->files == 0)
		return err_set(e, -ENOENT, "there is no file in the folder that could be a secret");
	return 0;
}

/* Where to begin: behind --after, with which a put that was cut off goes on. */
static size_t first_file(const struct options *o, const struct folder *f)
{
	const char *after = options_text(o, "after", 0);
	size_t i = 0;

	while (after && i < f->files && strcmp(f->file[i].name, after) <= 0)
		i++;
	return i;
}

static int read_file(struct put *p, const struct folder *f, size_t i, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	SCOPED_FD int fd = folder_open(f, i, e);
	int r = fd;

	if (r < 0)
		return r;
	r = secret_from_fd(fd, SECRET_VALUE_MAX, &value);
	if (r < 0)
		return err_errno(e, r, "cannot read the value of %s", f->file[i].name);
	return put_add(p, f->file[i].name, &value, e);
}

static int print_plan(const struct folder *f, size_t from, size_t to, struct err *e)
{
	static const char *const headings[] = { "NAME", "SIZE", "FILE", NULL };
	SCOPED(table_free_ptr) struct table *table = table_new(headings);
	int r = table ? 0 : -ENOMEM;

	for (size_t i = from; r == 0 && i < to; i++) {
		char size[FIELD_NUMBER_MAX];
		const char *cells[] = { f->file[i].name, size, f->file[i].path };

		snprintf(size, sizeof(size), "%zu", f->file[i].size);
		r = table_add(table, cells);
	}
	if (r < 0)
		return err_errno(e, r, "cannot list");
	table_print(table, stdout, false);
	return 0;
}

/* Files `from` up to `to`: one transaction, or what it would be. `progress` is the caller's copy. */
static int put_part(const struct client *c, const struct options *o, const struct folder *f,
                    const size_t part[2], struct progress progress, struct err *e)
{
	SCOPED(put_clear) struct put p = { 0 };
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = put_begin(&p, o, e);

	for (size_t i = part[0]; r == 0 && i < part[1]; i++)
		r = read_file(&p, f, i, e);
	if (r == 0)
		r = put_check(c, &p, e);
	if (r < 0)
		return r;
	if (options_has(o, "dry-run"))
		return print_plan(f, part[0], part[1], e);
	/* The line is there while the broker is waited for, and not when something is printed. */
	progress_tick(&progress);
	r = put_send(c, &p, &reply, e);
	progress_end(&progress);
	return r < 0 ? r : put_print(c, o, reply, e);
}

static int cut_off(const struct folder *f, size_t first, size_t done, int r, struct err *e)
{
	if (done == first)
		return r;
	return err_prefix(
		e, r, "%zu of %zu files were stored, the last as %s: go on with --after %s",
		done - first, f->files - first, f->file[done - 1].name, f->file[done - 1].name);
}

static int put_all(const struct client *c, const struct options *o, const struct folder *f,
                   size_t first, struct err *e)
{
	struct progress progress;

	progress_begin(&progress, c, "storing", PROGRESS_ITEMS, f->files - first);
	for (size_t at = first; at < f->files;) {
		size_t left = f->files - at,
		       end = at + (left > PUT_NAMES_MAX ? PUT_NAMES_MAX : left);
		const size_t part[2] = { at, end };
		int r;

		progress.done = at - first;
		r = put_part(c, o, f, part, progress, e);
		if (r < 0)
			return cut_off(f, first, at, r, e);
		at = end;
	}
	return 0;
}

int put_folder(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(folder_clear) struct folder f = { .fd = -1 };
	size_t first = 0, left = 0;
	int r = check_use(o, e);

	if (r == 0)
		r = scan(o, &f, e);
	if (r < 0)
		return r;
	first = first_file(o, &f);
	left = f.files - first;
	if (left == 0)
		return err_set(e, -ENOENT, "there is no file behind that name: all is stored");
	if (left > PUT_NAMES_MAX)
		output_note("%zu files are stored in %zu transactions of at most %d", left,
		            (left + PUT_NAMES_MAX - 1) / PUT_NAMES_MAX, PUT_NAMES_MAX);
	return put_all(c, o, &f, first, e);
}
