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

/* A put of a folder that is under way. */
struct course {
	const struct client *c;
	const struct options *o;
	const struct folder *f;
	struct progress progress;
	json_t *unadopted; /* readers that have not opened a part of it in time, each once */
};

static int add_unadopted(json_t *all, const json_t *reply, struct err *e)
{
	const json_t *names = json_object_get(reply, "unadopted");
	json_t *name, *known;
	size_t i, j;

	json_array_foreach (names, i, name) {
		json_array_foreach (all, j, known)
			if (json_equal(name, known))
				break;
		if (j == json_array_size(all) && json_array_append(all, name) < 0)
			return err_errno(e, -ENOMEM, "cannot note who has not opened it");
	}
	return 0;
}

/* Files part[0] up to part[1]: one transaction, or what it would be. */
static int put_part(const struct course *k, const size_t part[2], struct err *e)
{
	/* A copy: its line is there while the broker is waited for, and not when something is
	 * printed. */
	struct progress progress = k->progress;
	SCOPED(put_clear) struct put p = { 0 };
	SCOPED(json_ptr) json_t *reply = NULL;
	int r = put_begin(&p, k->o, e);

	for (size_t i = part[0]; r == 0 && i < part[1]; i++)
		r = read_file(&p, k->f, i, e);
	if (r == 0)
		r = put_check(k->c, &p, e);
	if (r < 0)
		return r;
	if (options_has(k->o, "dry-run"))
		return print_plan(k->f, part[0], part[1], e);
	progress_tick(&progress);
	r = put_send(k->c, &p, &reply, e);
	progress_end(&progress);
	if (r == 0)
		r = put_print(k->c, reply, e);
	return r < 0 ? r : add_unadopted(k->unadopted, reply, e);
}

static int cut_off(const struct folder *f, size_t first, size_t done, int r, struct err *e)
{
	if (done == first)
		return r;
	return err_prefix(
		e, r, "%zu of %zu files were stored, the last as %s: go on with --after %s",
		done - first, f->files - first, f->file[done - 1].name, f->file[done - 1].name);
}

static int put_parts(struct course *k, size_t first, struct err *e)
{
	const struct folder *f = k->f;

	progress_begin(&k->progress, k->c, "storing", PROGRESS_ITEMS, f->files - first);
	for (size_t at = first; at < f->files;) {
		size_t left = f->files - at,
		       end = at + (left > PUT_NAMES_MAX ? PUT_NAMES_MAX : left);
		const size_t part[2] = { at, end };
		int r;

		k->progress.done = at - first;
		r = put_part(k, part, e);
		if (r < 0)
			return cut_off(f, first, at, r, e);
		at = end;
	}
	return 0;
}

/* Who has not opened a part in time is told when all are stored, or where it was cut off. */
static int put_all(const struct client *c, const struct options *o, const struct folder *f,
                   size_t first, struct err *e)
{
	SCOPED(json_ptr) json_t *all = json_pack("{s:[]}", "unadopted");
	struct course k = { c, o, f, .unadopted = json_object_get(all, "unadopted") };
	struct err late = { 0 };
	int r = all ? put_parts(&k, first, e) : err_errno(e, -ENOMEM, "cannot store them");

	if (r == 0)
		return client_adopted(all, options_text(o, "wait-adopted", 0), e);
	if (all && client_adopted(all, options_text(o, "wait-adopted", 0), &late) < 0)
		output_warning("%s", late.text);
	return r;
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
